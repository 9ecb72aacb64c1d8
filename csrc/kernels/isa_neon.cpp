#define NNF_ISA neon
#define NNF_ISA_VECTORS "simd/vec_neon.h"
#include "kernels/isa_entry.inl"
