#define NNF_ISA avx512
#define NNF_ISA_VECTORS "simd/vec_avx512.h"
#include "kernels/isa_entry.inl"
