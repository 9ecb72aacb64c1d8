// Which table is in use. Not for the instruction-set units.
#pragma once

#include "kernels/table.h"

namespace nnfast {

// The tables that were built and that this machine can run, the best last.
struct KernelTables {
  const KernelTable* table[4];
  int count;
};
KernelTables available_tables();

// Chooses the table of that name; null or empty: the best. Throws a ValueError that lists the valid
// names where there is none. Call once, when the module loads, before any kernel.
void select_table(const char* name);
// Takes the caller's, which stays the caller's: tests wrap kernels to see which of them run.
void select_table(const KernelTable& table);
const KernelTable& active_table();

template <class T>
const Kernels<T>& kernels();
template <>
inline const Kernels<float>& kernels<float>() {
  return active_table().f32;
}
template <>
inline const Kernels<double>& kernels<double>() {
  return active_table().f64;
}

}  // namespace nnfast
