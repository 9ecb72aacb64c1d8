// The function table of an instruction set: every kernel of kernels.def for float and double, with
// the block sizes that belong to them.
#pragma once

#include "kernels/params.h"

namespace nnfast {

template <class T>
struct Kernels {
#define NNF_FAMILY(family) 1
#define NNF_KERNEL(name, result, arguments) result(*name) arguments;
#include "kernels/kernels.def"
#undef NNF_KERNEL
#undef NNF_FAMILY
  int lanes;
  index_t gemm_columns;          // widest panel of gemm_panel
  index_t gemm_rows;             // rows of a tile of such a panel
  int fma_chains;                // number of chains of fma_peak
  bool partial_loads_are_cheap;  // B is not copied if its width is not a multiple of lanes

  // n, up to whole vectors.
  index_t padded(index_t n) const { return (n + lanes - 1) / lanes * lanes; }
};

struct KernelTable {
  const char* name;
  bool has_fma;
  Kernels<float> f32;
  Kernels<double> f64;
};

}  // namespace nnfast
