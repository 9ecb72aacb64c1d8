#include "ops/reduce.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "base/thread_pool.h"
#include "kernels/select.h"

namespace nnfast {

template <class T>
double sum_all(const T* x, index_t n) {
  constexpr index_t tile = 4096;
  double total = 0;
  for (index_t i = 0; i < n; i += tile) {
    T sum;
    kernels<T>().sum_rows(&sum, x + i, 1, n - i < tile ? n - i : tile);
    total += static_cast<double>(sum);
  }
  return total;
}

template <class T>
double sum_of_squares(const T* x, index_t n) {
  constexpr index_t tile = 1 << 16;
  constexpr double cost = 0.05;
  const index_t tiles = (n + tile - 1) / tile;
  double* sums = scratch_of<double>(tiles);
  parallel_ranges(tiles, 1, cost * static_cast<double>(n), [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      const index_t size = std::min(tile, n - i * tile);
      sums[i] = static_cast<double>(kernels<T>().sum_of_squares(x + i * tile, size));
    }
  });
  double total = 0;
  for (index_t i = 0; i < tiles; ++i) total += sums[i];
  return total;
}

template <class T>
double add_tiny_squares(double sum, const T* x, index_t n) {
  for (index_t i = 0; i < n; ++i) {
    const double value = static_cast<double>(x[i]) * kTiny;
    sum += value * value;
  }
  return sum;
}

template <class T>
double norm_of(const T* x, index_t n) {
  const double sum = sum_of_squares(x, n);
  return std::isfinite(sum) ? std::sqrt(sum) : std::sqrt(add_tiny_squares(0, x, n)) / kTiny;
}

template <class T>
double dot(const T* a, const T* b, index_t n) {
  constexpr index_t tile = 1 << 14, lanes = 8;
  constexpr double cost = 0.4;
  const index_t tiles = (n + tile - 1) / tile;
  double* sums = scratch_of<double>(tiles);
  parallel_ranges(tiles, 1, cost * static_cast<double>(n), [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      const index_t first = i * tile, size = std::min(tile, n - first);
      double lane[lanes] = {};
      for (index_t j = 0; j < size; j += lanes) {
        const index_t count = std::min(lanes, size - j);
        const T *x = a + first + j, *y = b + first + j;
        for (index_t k = 0; k < count; ++k)
          lane[k] += static_cast<double>(x[k]) * static_cast<double>(y[k]);
      }
      for (index_t half = lanes / 2; half > 0; half /= 2) {
        for (index_t k = 0; k < half; ++k) lane[k] += lane[k + half];
      }
      sums[i] = lane[0];
    }
  });
  double total = 0;
  for (index_t i = 0; i < tiles; ++i) total += sums[i];
  return total;
}

template <class T>
void sum_columns(T* out, const T* x, index_t rows, index_t n) {
  constexpr double cost = 0.1;
  parallel_ranges(n, 64, cost * static_cast<double>(rows * n), [&](index_t begin, index_t end) {
    std::memset(out + begin, 0, sizeof(T) * static_cast<size_t>(end - begin));
    add_columns(out + begin, x + begin, n, rows, end - begin);
  });
}

namespace {

template <class T>
bool all_below(const T* x, index_t n, double scale) {
  constexpr double cost = 0.05;
  std::atomic<bool> below{true};
  parallel_ranges(n, 64, cost * static_cast<double>(n), [&](index_t begin, index_t end) {
    if (!kernels<T>().all_below(x + begin, end - begin, static_cast<T>(scale)))
      below.store(false, std::memory_order_relaxed);
  });
  return below.load(std::memory_order_relaxed);
}

}  // namespace

template <class T>
void add_columns(T* out, const T* x, index_t row, index_t rows, index_t n) {
  constexpr index_t tile = 256;
  for (index_t r = 0; r < rows; r += tile) {
    kernels<T>().accumulate_columns(out, x + r * row, row, std::min(tile, rows - r), n);
  }
}

template <class T>
bool all_finite(const T* x, index_t n) {
  return all_below(x, n, 0);
}

template <class T>
bool all_moderate(const T* x, index_t n) {
  return all_below(x, n, sizeof(T) == 4 ? 0x1p88 : 0x1p624);
}

template <class T>
bool all_moderate_squares(const T* x, index_t n) {
  return all_below(x, n, sizeof(T) == 4 ? 0x1p47 : 0x1p223);
}

template double sum_all<float>(const float*, index_t);
template double sum_all<double>(const double*, index_t);
template double sum_of_squares<float>(const float*, index_t);
template void sum_columns<float>(float*, const float*, index_t, index_t);
template double sum_of_squares<double>(const double*, index_t);
template double add_tiny_squares<float>(double, const float*, index_t);
template double add_tiny_squares<double>(double, const double*, index_t);
template double norm_of<float>(const float*, index_t);
template double norm_of<double>(const double*, index_t);
template double dot<float>(const float*, const float*, index_t);
template double dot<double>(const double*, const double*, index_t);
template void sum_columns<double>(double*, const double*, index_t, index_t);
template void add_columns<float>(float*, const float*, index_t, index_t, index_t);
template void add_columns<double>(double*, const double*, index_t, index_t, index_t);
template bool all_finite<float>(const float*, index_t);
template bool all_finite<double>(const double*, index_t);
template bool all_moderate<float>(const float*, index_t);
template bool all_moderate<double>(const double*, index_t);
template bool all_moderate_squares<float>(const float*, index_t);
template bool all_moderate_squares<double>(const double*, index_t);

}  // namespace nnfast
