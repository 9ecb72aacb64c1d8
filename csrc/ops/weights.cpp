#include "ops/weights.h"

#include <algorithm>

#include "base/thread_pool.h"
#include "kernels/select.h"

namespace nnfast {
namespace {

constexpr double kCost = 0.15;  // nanoseconds per element, approximately
// Elements that stay in the first cache between two kernels.
constexpr index_t kTile = 2048;

// The sum of p^2; g += slope p.
template <class T>
double add_square(T* g, const T* p, index_t n, double slope) {
  if (g) kernels<T>().add_scaled(g, g, p, n, slope);
  return static_cast<double>(kernels<T>().sum_of_squares(p, n));
}

// The sum of |p|; g += slope sign(p), which is 0 for 0.
template <class T>
double add_absolute(T* g, const T* p, index_t n, double slope) {
  T sign[kTile], sum;
  kernels<T>().unary(sign, p, n, Unary::sign);
  if (g) kernels<T>().add_scaled(g, g, sign, n, slope);
  kernels<T>().multiply(sign, sign, p, n);
  kernels<T>().sum_rows(&sum, sign, 1, n);
  return static_cast<double>(sum);
}

}  // namespace

template <class T>
double regularize(T* gradients, const T* parameters, index_t n, double l1, double l2) {
  const index_t tiles = (n + kTile - 1) / kTile;
  double* sums = scratch_of<double>(tiles);
  parallel_ranges(tiles, 1, kCost * static_cast<double>(n), [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      const index_t first = i * kTile, size = std::min(kTile, n - first);
      T* const g = gradients ? gradients + first : nullptr;
      sums[i] = l2 == 0 ? 0 : l2 * add_square(g, parameters + first, size, 2 * l2);
      if (l1 != 0) sums[i] += l1 * add_absolute(g, parameters + first, size, l1);
    }
  });
  double total = 0;
  for (index_t i = 0; i < tiles; ++i) total += sums[i];
  return total;
}

template <class T>
void decay(T* parameters, index_t n, double amount) {
  parallel_ranges(n, 64, kCost * static_cast<double>(n), [&](index_t begin, index_t end) {
    T* p = parameters + begin;
    kernels<T>().add_scaled(p, p, p, end - begin, -amount);
  });
}

// average - share average + share p: this neither overflows nor leaves a constant p.
template <class T>
void moving_average(T* average, const T* parameters, index_t n, double momentum) {
  const double share = 1 - momentum;
  parallel_ranges(n, 64, kCost * static_cast<double>(n), [&](index_t begin, index_t end) {
    T rest[kTile];
    for (index_t i = begin; i < end; i += kTile) {
      const index_t size = std::min(kTile, end - i);
      kernels<T>().add_scaled(rest, average + i, average + i, size, -share);
      kernels<T>().add_scaled(average + i, rest, parameters + i, size, share);
    }
  });
}

template double regularize<float>(float*, const float*, index_t, double, double);
template double regularize<double>(double*, const double*, index_t, double, double);
template void decay<float>(float*, index_t, double);
template void decay<double>(double*, index_t, double);
template void moving_average<float>(float*, const float*, index_t, double);
template void moving_average<double>(double*, const double*, index_t, double);

}  // namespace nnfast
