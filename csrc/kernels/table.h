// The function table of an instruction set: every kernel of kernels.def for float and double, with
// the block sizes that belong to them.
#pragma once

#include "kernels/params.h"

namespace nnfast {

template <class T>
struct Kernels {
#define NNF_KERNEL(name, result, arguments) result(*name) arguments;
#include "kernels/kernels.def"
#undef NNF_KERNEL
  int lanes;
  int gemm_columns;              // the widest panel of gemm_panel
  int fma_chains;                // of fma_peak
  bool partial_loads_are_cheap;  // B may be read in place where its width is no multiple of lanes

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
