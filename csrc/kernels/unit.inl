// One family of kernels for one instruction set, included by unit.cpp.in. Rules: README.md in this
// folder.
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#else
#include <arm_neon.h>
#endif

#include "kernels/table.h"

#define NNF_JOIN_NAMES(verb, family, isa) verb##_##family##_##isa
#define NNF_UNIT_FUNCTION(verb, family, isa) NNF_JOIN_NAMES(verb, family, isa)

namespace nnfast {
namespace NNF_ISA {
namespace {

#include NNF_ISA_VECTORS

#include "simd/vec.h"
#include "simd/math.h"

#include NNF_UNIT_SOURCE

// Only the kernels of this family: NNF_UNIT_IS_<family> is 1 for it and, like any unknown name in
// an #if, 0 for all others.
template <class T>
void add_kernels(Kernels<T>& table) {
#define NNF_FAMILY(family) NNF_UNIT_IS_##family
#define NNF_KERNEL(name, result, arguments) table.name = &name<T>;
#include "kernels/kernels.def"
#undef NNF_KERNEL
#undef NNF_FAMILY
  table.lanes = Vec<T>::lanes;
  table.gemm_columns = kGemmVectors * Vec<T>::lanes;
  table.gemm_rows = gemm_rows(kGemmVectors);
  table.fma_chains = kGemmVectors * gemm_rows(kGemmVectors);
  table.partial_loads_are_cheap = kPartialLoadsAreCheap;
}

}  // namespace
}  // namespace NNF_ISA

void NNF_UNIT_FUNCTION(add, NNF_UNIT, NNF_ISA)(KernelTable& table) noexcept;
void NNF_UNIT_FUNCTION(add, NNF_UNIT, NNF_ISA)(KernelTable& table) noexcept {
  NNF_ISA::add_kernels(table.f32);
  NNF_ISA::add_kernels(table.f64);
  table.has_fma = NNF_ISA::kHasFma;
}

}  // namespace nnfast
