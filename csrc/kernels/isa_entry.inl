// One instruction set's unit. Rules: README.md in this folder.
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#else
#include <arm_neon.h>
#endif

#include "kernels/table.h"

#define NNF_JOIN(a, b) a##b
#define NNF_TABLE_NAME(isa) NNF_JOIN(table_, isa)
#define NNF_STRING(x) #x
#define NNF_ISA_NAME(isa) NNF_STRING(isa)

namespace nnfast {
namespace NNF_ISA {
namespace {

#include NNF_ISA_VECTORS

#include "simd/vec.h"
#include "simd/math.h"

#include "kernels/gemm.inl"
#include "kernels/activation.inl"
#include "kernels/depthwise.inl"
#include "kernels/elementwise.inl"
#include "kernels/fold.inl"
#include "kernels/loss.inl"
#include "kernels/norm.inl"
#include "kernels/optimizer.inl"
#include "kernels/pairs.inl"
#include "kernels/peak.inl"
#include "kernels/pool.inl"
#include "kernels/random.inl"
#include "kernels/augment.inl"
#include "kernels/reduce.inl"
#include "kernels/resample.inl"
#include "kernels/softmax.inl"
#include "kernels/winograd.inl"

template <class T>
constexpr Kernels<T> make_kernels() {
  return {
#define NNF_KERNEL(name, result, arguments) &name<T>,
#include "kernels/kernels.def"
#undef NNF_KERNEL
      Vec<T>::lanes,
      kGemmVectors * Vec<T>::lanes,
      kGemmVectors * gemm_rows(kGemmVectors),
      kPartialLoadsAreCheap,
  };
}

constexpr KernelTable kTable = {NNF_ISA_NAME(NNF_ISA), kHasFma, make_kernels<float>(),
                                make_kernels<double>()};

}  // namespace
}  // namespace NNF_ISA

const KernelTable* NNF_TABLE_NAME(NNF_ISA)() noexcept;
const KernelTable* NNF_TABLE_NAME(NNF_ISA)() noexcept { return &NNF_ISA::kTable; }

}  // namespace nnfast
