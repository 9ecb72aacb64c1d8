// Plain types shared by every translation unit, the instruction-set units included.
// No inline function bodies here: an instruction-set unit would emit them as weak symbols
// (kernels/README.md, rule 1).
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

// Before a loop over registers: arrays that it indexes live there once it is unrolled. A template or lambda called
// once for each number does the same and took the compiler twice as long over gemm.inl. The sanitizers' checks of
// unrolled code keep it busy for minutes.
#if defined(NNF_SANITIZED) || (defined(_MSC_VER) && !defined(__clang__))
#define NNF_UNROLL
#else
#define NNF_UNROLL _Pragma("GCC unroll 16")
#endif

// Keeps the compiler from working out a pointer's next values from other ones.
#if defined(_MSC_VER) && !defined(__clang__)
#define NNF_IN_REGISTER(pointer) (void)0
#else
#define NNF_IN_REGISTER(pointer) __asm__("" : "+r"(pointer))
#endif

namespace nnfast {

using index_t = ptrdiff_t;

// Lanes of the virtual vector in which every horizontal sum is made, whatever the real width.
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

// The bits of a float taken from this are those of its reciprocal to within 5.1 %.
constexpr int32_t kReciprocalMagic = 0x7ef311c7;

}  // namespace nnfast
