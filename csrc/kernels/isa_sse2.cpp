#define NNF_ISA sse2
#define NNF_ISA_VECTORS "simd/vec_sse2.h"
#include "kernels/isa_entry.inl"
