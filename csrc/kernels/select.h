// Selection of the kernel table. Not for the instruction-set units.
#pragma once

#include "kernels/table.h"

namespace nnfast {

// The tables that were built and that this machine can run, the best one last.
struct KernelTables {
  const KernelTable* table[4];
  int count;
};
KernelTables available_tables();

// Selects the table of the given name; null or empty: the best. Throws a ValueError that lists the
// valid names if there is none. Called once, when the module is loaded, before any kernel.
void select_table(const char* name);
// Selects the caller's table, which must outlive its use: tests wrap kernels to see which of them
// run.
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
