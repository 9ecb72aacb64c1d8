#include "ops/tensor/cumulative_sum.h"

#include <algorithm>

#include "base/thread_pool.h"

namespace nnfast {
namespace {

constexpr index_t kStrip = 256;  // columns summed together

// n lines of `width` numbers, `step` apart.
template <class T>
void sum_lines(T* y, const T* x, index_t n, index_t step, index_t width, bool exclusive) {
  double sums[kStrip];
  std::fill(sums, sums + width, 0.0);
  for (index_t i = 0; i < n; ++i) {
    for (index_t k = 0; k < width; ++k) {
      const double before = sums[k];
      sums[k] += static_cast<double>(x[i * step + k]);
      y[i * step + k] = static_cast<T>(exclusive ? before : sums[k]);
    }
  }
}

// The same for one column, whose sum stays in a register.
template <class T>
void sum_line(T* y, const T* x, index_t n, index_t step, bool exclusive) {
  double sum = 0;
  for (index_t i = 0; i < n; ++i) {
    const double before = sum;
    sum += static_cast<double>(x[i * step]);
    y[i * step] = static_cast<T>(exclusive ? before : sum);
  }
}

}  // namespace

template <class T>
void CumulativeSum::forward(T* y, const T* x, const Dims& dims) const {
  const index_t outer = dims.product(0, axis), n = dims.size[axis];
  const index_t inner = dims.product(axis + 1, dims.rank);
  const index_t strips = (inner + kStrip - 1) / kStrip;
  const index_t first_line = reverse ? (n - 1) * inner : 0, step = reverse ? -inner : inner;
  const double cost = (inner == 1 ? 1.5 : 0.5) * static_cast<double>(dims.elements());
  parallel_ranges(outer * strips, 1, cost, [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      const index_t column = i % strips * kStrip, at = i / strips * n * inner + first_line + column;
      const index_t width = std::min(kStrip, inner - column);
      if (width == 1) {
        sum_line(y + at, x + at, n, step, exclusive);
      } else {
        sum_lines(y + at, x + at, n, step, width, exclusive);
      }
    }
  });
}

template void CumulativeSum::forward<float>(float*, const float*, const Dims&) const;
template void CumulativeSum::forward<double>(double*, const double*, const Dims&) const;

}  // namespace nnfast
