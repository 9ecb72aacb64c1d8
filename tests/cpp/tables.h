// Every instruction set of this machine, in turn.
#pragma once

#include <cstdint>
#include <cstdio>

#include "check.h"
#include "kernels/select.h"

namespace nnfast_test {

// Runs `test` with each set and prints the hash of its results that it returns: sets with fused
// multiply-add must agree, here and, as .ci/run compares the lines, on other machines.
template <class Test>
void for_each_table(Test test) {
  const nnfast::KernelTables tables = nnfast::available_tables();
  uint64_t fma_bits = 0;
  for (int i = 0; i < tables.count; ++i) {
    const nnfast::KernelTable& table = *tables.table[i];
    nnfast::select_table(table.name);
    const uint64_t bits = test();
    std::printf("bits %s %s %016llx\n", table.has_fma ? "fma" : "no-fma", table.name,
                static_cast<unsigned long long>(bits));
    if (!table.has_fma) continue;
    CHECK(fma_bits == 0 || fma_bits == bits);
    fma_bits = bits;
  }
}

}  // namespace nnfast_test
