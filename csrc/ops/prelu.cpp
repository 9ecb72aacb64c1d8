#include "ops/prelu.h"

#include <algorithm>
#include <cstring>

#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/reduce.h"

namespace nnfast {
namespace {

// A piece of work, cut by the shape alone: few rows may be long, as those of a whole image are.
constexpr index_t kTileRows = 256, kTileColumns = 1024;

// body(first row, rows, first column, columns) for each tile of (rows, n).
template <class Body>
void for_each_tile(index_t rows, index_t n, double cost, const Body& body) {
  const index_t across = (n + kTileColumns - 1) / kTileColumns;
  const index_t down = (rows + kTileRows - 1) / kTileRows;
  parallel_ranges(across * down, 1, cost * static_cast<double>(rows * n),
                  [&](index_t begin, index_t end) {
                    for (index_t i = begin; i < end; ++i) {
                      const index_t r = i / across * kTileRows, c = i % across * kTileColumns;
                      body(r, std::min(kTileRows, rows - r), c, std::min(kTileColumns, n - c));
                    }
                  });
}

}  // namespace

template <class T>
void prelu_forward(T* y, const T* x, const T* alpha, index_t rows, index_t n) {
  for_each_tile(rows, n, 0.1, [=](index_t r, index_t height, index_t c, index_t width) {
    const index_t at = r * n + c;
    kernels<T>().prelu_forward(y + at, x + at, alpha + c, n, height, width);
  });
}

template <class T>
void prelu_backward(T* dx, T* d_alpha, const T* dy, const T* x, const T* alpha, index_t rows,
                    index_t n) {
  const index_t tiles = (rows + kTileRows - 1) / kTileRows;
  T* sums = d_alpha && tiles > 1 ? scratch_of<T>(tiles * n, Scratch::of_job) : d_alpha;
  for_each_tile(rows, n, 0.2, [=](index_t r, index_t height, index_t c, index_t width) {
    const index_t at = r * n + c;
    kernels<T>().prelu_backward(dx ? dx + at : nullptr,
                                sums ? sums + r / kTileRows * n + c : nullptr, dy + at, x + at,
                                alpha + c, n, height, width);
  });
  if (sums == d_alpha) return;
  std::memset(static_cast<void*>(d_alpha), 0, sizeof(T) * static_cast<size_t>(n));
  add_columns(d_alpha, sums, n, tiles, n);
}

template void prelu_forward<float>(float*, const float*, const float*, index_t, index_t);
template void prelu_forward<double>(double*, const double*, const double*, index_t, index_t);
template void prelu_backward<float>(float*, float*, const float*, const float*, const float*,
                                    index_t, index_t);
template void prelu_backward<double>(double*, double*, const double*, const double*, const double*,
                                     index_t, index_t);

}  // namespace nnfast
