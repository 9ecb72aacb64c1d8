// A matrix B (K, N) that every time step multiplies with a few rows.
#pragma once

#include "kernels/params.h"

namespace nnfast {

// Reads B in place, or from a copy in panels of columns as the kernels read them.
template <class T>
class Panels {
 public:
  // Elements of a copy.
  static index_t size(index_t k, index_t n);

  // Columns of b are contiguous; it must outlive this object.
  void read(const T* b, index_t b_k, index_t k, index_t n);
  // A copy of b into `memory`, with any strides of which one is 1.
  void copy(T* memory, const T* b, index_t b_k, index_t b_n, index_t k, index_t n);

  // C (rows, N) = start + A (rows, K) B, each element one chain of fma over k in ascending order,
  // as in a matrix product (ops/gemm/gemm.h).
  void multiply(T* c, index_t c_row, const T* a, index_t a_row, index_t rows, GemmStart start,
                const T* bias = nullptr) const;

 private:
  void multiply_row(T* c, const T* a, GemmStart start, const T* bias) const;

  const T* b_ = nullptr;
  index_t k_ = 0, n_ = 0;
  index_t b_k_ = 0;  // 0: in panels
};

}  // namespace nnfast
