#define NNF_ISA avx2
#define NNF_ISA_VECTORS "simd/vec_avx2.h"
#include "kernels/isa_entry.inl"
