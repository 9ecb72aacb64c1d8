#include "ops/recurrent/panels.h"

#include <algorithm>

#include "kernels/select.h"

namespace nnfast {
namespace {

// Steps of k after which the sums go to C, so that a panel stays in the L1 cache while all rows
// pass.
constexpr index_t kDepth = 128;

}  // namespace

template <class T>
index_t Panels<T>::size(index_t k, index_t n) {
  return k * kernels<T>().padded(n);
}

template <class T>
void Panels<T>::read(const T* b, index_t b_k, index_t k, index_t n) {
  b_ = b;
  b_k_ = b_k;
  k_ = k;
  n_ = n;
}

template <class T>
void Panels<T>::copy(T* memory, const T* b, index_t b_k, index_t b_n, index_t k, index_t n) {
  const Kernels<T>& table = kernels<T>();
  b_ = memory;
  b_k_ = 0;
  k_ = k;
  n_ = n;
  for (index_t column = 0; column < n; column += table.gemm_columns) {
    const index_t columns = std::min(table.gemm_columns, n - column);
    table.pack_panel(
        {memory + column * k, table.padded(columns), b + column * b_n, b_k, b_n, k, columns});
  }
}

template <class T>
void Panels<T>::multiply(T* c, index_t c_row, const T* a, index_t a_row, index_t rows,
                         GemmStart start, const T* bias) const {
  if (rows == 1 && b_k_ != 0) return multiply_row(c, a, start, bias);
  const Kernels<T>& table = kernels<T>();
  GemmPanel<T> p{};
  p.a_row = a_row;
  p.a_k = p.outer = p.inner = 1;
  p.c_row = c_row;
  p.m = rows;
  for (index_t column = 0; column < n_; column += table.gemm_columns) {
    p.n = std::min(table.gemm_columns, n_ - column);
    const T* panel = b_k_ == 0 ? b_ + column * k_ : b_ + column;
    p.b_k = b_k_ == 0 ? table.padded(p.n) : b_k_;
    p.c = c + column;
    p.bias = bias ? bias + column : nullptr;
    p.start = start;
    for (index_t k = 0; k < k_; k += kDepth) {
      p.k = std::min(kDepth, k_ - k);
      p.a = a + k;
      p.b = panel + k * p.b_k;
      table.gemm_panel(p);
      p.start = GemmStart::output;
    }
  }
}

template <class T>
void Panels<T>::multiply_row(T* c, const T* a, GemmStart start, const T* bias) const {
  kernels<T>().gemv({a, 1, b_, b_k_, c, bias, n_, k_, start});
}

template class Panels<float>;
template class Panels<double>;

}  // namespace nnfast
