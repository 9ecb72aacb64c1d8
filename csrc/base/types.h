// Plain types shared by all translation units, including the instruction-set units. No inline
// function bodies: an instruction-set unit would emit them as weak symbols (kernels/README.md, rule
// 1).
#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(_MSC_VER) && !defined(__clang__)
#define NNF_INLINE __forceinline
#define NNF_OUTLINE __declspec(noinline)
#define NNF_INLINE_LAMBDA
#define NNF_RESTRICT __restrict
#else
#define NNF_INLINE inline __attribute__((always_inline))
#define NNF_OUTLINE __attribute__((noinline))
#define NNF_INLINE_LAMBDA __attribute__((always_inline))
#define NNF_RESTRICT __restrict__
#endif

// Before a loop over registers: arrays that it indexes stay in registers once it is unrolled. A
// template or lambda called once for each number has the same effect, but took the compiler twice
// as long for gemm.inl. With sanitizers, unrolled code takes minutes to compile.
#if defined(NNF_SANITIZED) || (defined(_MSC_VER) && !defined(__clang__))
#define NNF_UNROLL
#else
#define NNF_UNROLL _Pragma("GCC unroll 16")
#endif

// Prevents the compiler from deriving the next values of a pointer from those of another.
#if defined(_MSC_VER) && !defined(__clang__)
#define NNF_IN_REGISTER(pointer) (void)0
#else
#define NNF_IN_REGISTER(pointer) __asm__("" : "+r"(pointer))
#endif

namespace nnfast {

using index_t = ptrdiff_t;

// Number of lanes of the virtual vector in which all horizontal sums are computed, whatever the
// real width.
template <class T>
struct VirtualLanes;
template <>
struct VirtualLanes<float> {
  static constexpr int value = 16;
};
template <>
struct VirtualLanes<double> {
  static constexpr int value = 8;
};

// Subtracting the bits of a float from this gives the bits of its reciprocal to within 5.1 %.
constexpr int32_t kReciprocalMagic = 0x7ef311c7;

}  // namespace nnfast
