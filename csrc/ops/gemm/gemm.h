// C (M, N) = start + A (M, K) B (K, N), blocked, packed and multithreaded.
#pragma once

#include "kernels/params.h"

namespace nnfast {

// An A that is not in memory as a matrix.
template <class T>
class RowSource {
 public:
  virtual ~RowSource() = default;
  // Copies steps [k, k + steps) of rows [row, row + rows) to `out`, whose rows are `width` apart.
  virtual void copy(T* out, index_t width, index_t row, index_t rows, index_t k,
                    index_t steps) const = 0;
};

// Strides in elements. One stride of A and one of B may be arbitrary; columns of C are contiguous.
template <class T>
struct Gemm {
  index_t m, n, k;
  const T* a;
  index_t a_row, a_k;
  const T* b;
  index_t b_k, b_n;
  T* c;
  index_t c_row;
  const T* bias = nullptr;  // (N): the chains start from it
  bool accumulate = false;  // the chains start from C or, tiled, are added to it; not with a bias
  ColumnScale<T> scaled = {};                               // applied to the result
  ActivationParams activation = {Activation::identity, 0};  // then element-wise
  bool check = false;  // whether to check that C is moderate before the activation: ops/reduce.h
  bool tiled = false;  // k is rows or pixels of a batch: see below
  const RowSource<T>* source = nullptr;  // takes the place of `a`
};

// Each element of C is one chain of fma over k in ascending order: its bits depend neither on the
// number of threads, nor on M, nor on the instruction set if that has fma. If it is tiled and K is
// larger than kTiledDepth, it is a sum of as few chains of nearly equal length as possible. C must
// not overlap A or B. Scratch: one panel of B per thread. Returns false if the check fails.
constexpr index_t kTiledDepth = 1024;
template <class T>
bool gemm(const Gemm<T>& p);

}  // namespace nnfast
