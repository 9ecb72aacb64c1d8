#include "ops/conv/winograd_gradient.h"

#include <algorithm>
#include <cstring>

#include "base/interrupt.h"
#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/reduce.h"

namespace nnfast {
namespace {

constexpr index_t kElements = 16;  // elements of a tile
// Tiles multiplied together, in chains that are added: their elements stay in the L2 cache.
constexpr index_t kTileBytes = 256 * 1024, kFewestTiles = 64;
// Gap between planes, so that they do not compete for the same cache sets.
constexpr index_t kPlaneGap = 16;
constexpr double kProductsPerUnit = 2;  // products of all elements of a tile per nanosecond

template <class T>
class WinogradSums {
 public:
  WinogradSums(const T* x, const T* dy, const ConvShape& s, index_t first, index_t last)
      : x_(x),
        dy_(dy),
        s_(s),
        table_(kernels<T>()),
        first_(first),
        channels_(last - first),
        tiles_((s.window.w.out + 1) / 2),
        tile_rows_((s.window.h.out + 1) / 2) {
    // Length of a chain, which must depend on the shape, not on the number of channels of this
    // thread.
    const index_t bytes =
        kElements * (s.in_channels + s.out_channels) * static_cast<index_t>(sizeof(T));
    rows_together_ = (std::max(kFewestTiles, kTileBytes / bytes) + tiles_ - 1) / tiles_;
    const index_t max_tiles = rows_together_ * tiles_;
    in_plane_ = max_tiles * channels_ + kPlaneGap;
    gradient_plane_ = max_tiles * s.out_channels + kPlaneGap;
    sum_plane_ = channels_ * s.out_channels + kPlaneGap;
    in_ = scratch_of<T>(kElements * (in_plane_ + gradient_plane_ + sum_plane_));
    gradient_ = in_ + kElements * in_plane_;
    sums_ = gradient_ + kElements * gradient_plane_;
  }

  // Over images [begin, end), into the channels' rows of d_kernel. Adds dy to d_bias unless that is
  // null.
  void run(T* d_kernel, T* d_bias, index_t begin, index_t end) const {
    const index_t last = end * tile_rows_;
    GemmStart start = GemmStart::zero;
    InterruptWatch watch;
    for (index_t row = begin * tile_rows_; row < last; row += rows_together_) {
      const index_t rows = std::min(rows_together_, last - row);
      for (index_t i = 0; i < rows; ++i) {
        transform_input(in_ + i * tiles_ * channels_, row + i);
        transform_gradient(gradient_ + i * tiles_ * s_.out_channels, d_bias, row + i);
      }
      multiply(rows * tiles_, start);
      start = GemmStart::added;
      watch.did(static_cast<double>(rows * tiles_) *
                static_cast<double>(channels_ * s_.out_channels) / kProductsPerUnit);
    }
    const index_t out = s_.out_channels;
    table_.winograd_kernel_gradient(d_kernel + first_ * out, s_.in_channels * out, sums_,
                                    sum_plane_, channels_ * out);
  }

 private:
  void transform_input(T* out, index_t row) const {
    const WindowAxis &h = s_.window.h, &w = s_.window.w;
    const index_t image = row / tile_rows_, line = 2 * (row % tile_rows_) - h.before;
    WinogradInput<T> p;
    p.out = out;
    for (index_t i = 0; i < 4; ++i) {
      const bool there = line + i >= 0 && line + i < h.in;
      p.rows[i] =
          there ? x_ + ((image * h.in + line + i) * w.in) * s_.in_channels + first_ : nullptr;
    }
    p.first = -w.before;
    p.width = w.in;
    p.pixel = s_.in_channels;
    p.channels = channels_;
    p.plane = in_plane_;
    p.tiles = tiles_;
    table_.winograd_input(p);
  }

  void transform_gradient(T* out, T* d_bias, index_t row) const {
    const WindowAxis &h = s_.window.h, &w = s_.window.w;
    const index_t image = row / tile_rows_, line = 2 * (row % tile_rows_);
    const index_t columns = s_.out_channels, lines = std::min<index_t>(2, h.out - line);
    const T* at = dy_ + (image * h.out + line) * w.out * columns;
    const T* below = lines == 2 ? at + w.out * columns : nullptr;
    table_.winograd_gradient({out, {at, below}, w.out, columns, gradient_plane_, tiles_});
    if (d_bias) add_columns(d_bias, at, columns, lines * w.out, columns);
  }

  // For each element, sums (channels, O) += in (tiles, channels)^T gradient (tiles, O).
  void multiply(index_t tiles, GemmStart start) const {
    const index_t out = s_.out_channels;
    GemmPanel<T> panel{};
    panel.a_row = panel.outer = panel.inner = 1;
    panel.a_k = panel.m = channels_;
    panel.b_k = panel.c_row = out;
    panel.k = tiles;
    panel.start = start;
    for (index_t i = 0; i < kElements; ++i) {
      panel.a = in_ + i * in_plane_;
      for (index_t column = 0; column < out; column += panel.n) {
        panel.n = std::min<index_t>(table_.gemm_columns, out - column);
        panel.b = gradient_ + i * gradient_plane_ + column;
        panel.c = sums_ + i * sum_plane_ + column;
        table_.gemm_panel(panel);
      }
    }
  }

  const T *x_, *dy_;
  const ConvShape& s_;
  const Kernels<T>& table_;
  index_t first_, channels_;
  index_t tiles_, tile_rows_;  // in a row, in an image
  index_t rows_together_;
  index_t in_plane_, gradient_plane_, sum_plane_;
  T *in_, *gradient_, *sums_;
};

}  // namespace

template <class T>
void winograd_kernel_gradient(T* d_kernel, T* d_bias, const T* x, const T* dy, const ConvShape& s,
                              index_t begin, index_t end, index_t first, index_t last) {
  if (first != 0) d_bias = nullptr;
  if (d_bias) std::memset(d_bias, 0, sizeof(T) * static_cast<size_t>(s.out_channels));
  WinogradSums<T>(x, dy, s, first, last).run(d_kernel, d_bias, begin, end);
}

template void winograd_kernel_gradient<float>(float*, float*, const float*, const float*,
                                              const ConvShape&, index_t, index_t, index_t, index_t);
template void winograd_kernel_gradient<double>(double*, double*, const double*, const double*,
                                               const ConvShape&, index_t, index_t, index_t,
                                               index_t);

}  // namespace nnfast
