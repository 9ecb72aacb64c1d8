#include "ops/conv/winograd.h"

#include <algorithm>

#include "base/interrupt.h"
#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/activation.h"

namespace nnfast {
namespace {

constexpr index_t kElements = 16;  // elements of a tile
// Tiles multiplied together: their elements stay in the lower-level caches.
constexpr index_t kTileBytes = 64 * 1024, kFewestTiles = 12;
// Gap between planes, so that they do not compete for the same cache sets.
constexpr index_t kPlaneGap = 16;
constexpr double kOperationsPerUnit = 60;
// Elements of a kernel that the threads transform together. Up to there each does it alone: that takes no
// longer than waiting for one thread to do it for all, and for few images less than fetching the
// result from another processor's cache.
constexpr index_t kLargeKernel = 128 * 128;
// Elements of a kernel transformed between two times of packing: 16 times as many stay in the L2
// cache.
constexpr index_t kPackedTogether = 2048;

index_t tiles_along(const AxisTaps& axis) { return (axis.outputs + 1) / 2; }

// The transformed kernel: 16 planes, each with its panels of columns one after the other.
template <class T>
class WinogradKernel {
 public:
  explicit WinogradKernel(const Correlation<T>& p)
      : p_(p),
        table_(kernels<T>()),
        by_channels_(p.kernel_column == 1),
        width_(std::min<index_t>(table_.gemm_columns, p.columns)),
        is_panel_(by_channels_ && p.columns == table_.padded(width_)),
        block_(std::max(unit(), kPackedTogether / line() / unit() * unit())) {}

  index_t size() const { return p_.channels * p_.columns; }
  index_t panel_width() const { return width_; }
  index_t plane() const { return p_.channels * table_.padded(p_.columns) + kPlaneGap; }
  // Lines of the kernel in memory, and how many belong together.
  index_t lines() const { return by_channels_ ? p_.channels : p_.columns; }
  index_t unit() const { return by_channels_ ? 1 : width_; }
  index_t scratch() const { return is_panel_ ? 0 : kElements * natural_plane(); }

  // Lines [begin, end); begin is a multiple of the unit.
  void transform(T* to, T* scratch, index_t begin, index_t end) const {
    const bool turned = p_.h.kernel_step < 0;
    if (is_panel_) {  // needs no packing
      table_.winograd_kernel(to + begin * line(), plane(), p_.kernel + begin * line(), size(),
                             (end - begin) * line(), turned);
      return;
    }
    for (index_t first = begin; first < end; first += block_) {
      const index_t count = std::min(block_, end - first);
      table_.winograd_kernel(scratch, natural_plane(), p_.kernel + first * line(), size(),
                             count * line(), turned);
      for (index_t i = 0; i < kElements; ++i) {
        pack(to + i * plane(), scratch + i * natural_plane(), first, count);
      }
    }
  }

 private:
  index_t line() const { return by_channels_ ? p_.columns : p_.channels; }
  index_t natural_plane() const { return std::min(block_, lines()) * line() + kPlaneGap; }

  void pack(T* to, const T* natural, index_t first, index_t count) const {
    const index_t begin = by_channels_ ? 0 : first, end = by_channels_ ? p_.columns : first + count;
    for (index_t column = begin; column < end; column += width_) {
      const index_t n = std::min(width_, end - column), width = table_.padded(n);
      T* panel = to + p_.channels * column;
      if (by_channels_) {
        table_.pack_panel(
            {panel + first * width, width, natural + column, p_.columns, 1, count, n});
      } else {
        const T* from = natural + (column - first) * p_.channels;
        table_.pack_panel({panel, width, from, 1, p_.channels, p_.channels, n});
      }
    }
  }

  const Correlation<T>& p_;
  const Kernels<T>& table_;
  bool by_channels_;  // a line is a channel's columns, else a column's channels
  index_t width_;
  bool is_panel_;
  index_t block_;
};

// In the thread's scratch memory: tiles before and after the products, and the transformed kernel
// unless the threads share it.
template <class T>
class Winograd {
 public:
  Winograd(const Correlation<T>& p, const WinogradKernel<T>& kernel, const T* transformed)
      : p_(p),
        table_(kernels<T>()),
        tiles_(tiles_along(p.w)),
        tile_rows_(tiles_along(p.h)),
        width_(kernel.panel_width()),
        kernel_plane_(kernel.plane()),
        kernel_(transformed) {
    const index_t bytes = kElements * (p.channels + width_) * static_cast<index_t>(sizeof(T));
    rows_together_ = (std::max(kFewestTiles, kTileBytes / bytes) + tiles_ - 1) / tiles_;
    const index_t max_tiles = rows_together_ * tiles_;
    in_plane_ = max_tiles * p.channels + kPlaneGap;
    out_plane_ = max_tiles * width_ + kPlaneGap;
    const index_t of_tiles = kElements * (in_plane_ + out_plane_);
    const index_t of_kernel = transformed ? 0 : kElements * kernel_plane_ + kernel.scratch();
    in_ = scratch_of<T>(of_tiles + of_kernel);
    out_ = in_ + kElements * in_plane_;
    if (transformed) return;
    T* own = in_ + of_tiles;
    kernel.transform(own, own + kElements * kernel_plane_, 0, kernel.lines());
    kernel_ = own;
  }

  // Rows of tiles [begin, end) of all images, numbered consecutively.
  void run(index_t begin, index_t end) const {
    InterruptWatch watch;
    for (index_t row = begin; row < end; row += rows_together_) {
      const index_t rows = std::min(rows_together_, end - row);
      for (index_t i = 0; i < rows; ++i) transform_input(in_ + i * tiles_ * p_.channels, row + i);
      for (index_t column = 0; column < p_.columns; column += width_) {
        const index_t n = std::min(width_, p_.columns - column);
        multiply(column, n, rows * tiles_);
        for (index_t i = 0; i < rows; ++i)
          transform_output(out_ + i * tiles_ * width_, row + i, column, n);
      }
      watch.did(2.0 * kElements * static_cast<double>(rows * tiles_) *
                static_cast<double>(p_.channels * p_.columns) / kOperationsPerUnit);
    }
  }

 private:
  void transform_input(T* out, index_t row) const {
    const index_t image = row / tile_rows_, first = 2 * (row % tile_rows_) + p_.h.first;
    WinogradInput<T> in;
    in.out = out;
    for (index_t i = 0; i < 4; ++i) {
      const index_t line = first + i;
      const bool there = line >= 0 && line < p_.in_h;
      in.rows[i] = there ? p_.x + (image * p_.in_h + line) * p_.in_w * p_.x_pixel : nullptr;
    }
    in.first = p_.w.first;
    in.width = p_.in_w;
    in.pixel = p_.x_pixel;
    in.channels = p_.channels;
    in.plane = in_plane_;
    in.tiles = tiles_;
    table_.winograd_input(in);
  }

  void multiply(index_t column, index_t columns, index_t tiles) const {
    GemmPanel<T> panel{};
    panel.a_row = panel.k = p_.channels;
    panel.a_k = panel.outer = panel.inner = 1;
    panel.b_k = table_.padded(columns);
    panel.c_row = width_;
    panel.m = tiles;
    panel.n = columns;
    panel.start = GemmStart::zero;
    for (index_t i = 0; i < kElements; ++i) {
      panel.a = in_ + i * in_plane_;
      panel.b = kernel_ + i * kernel_plane_ + p_.channels * column;
      panel.c = out_ + i * out_plane_;
      table_.gemm_panel(panel);
    }
  }

  void transform_output(const T* products, index_t row, index_t column, index_t columns) const {
    const index_t image = row / tile_rows_, first = 2 * (row % tile_rows_);
    WinogradOutput<T> out;
    out.y = p_.y + image * p_.y_image + first * p_.y_row + column;
    out.line = p_.y_row;
    out.pixel = p_.y_pixel;
    out.outputs = p_.w.outputs;
    out.columns = columns;
    out.rows = first + 1 < p_.h.outputs ? 2 : 1;
    out.products = products;
    out.plane = out_plane_;
    out.width = width_;
    out.tiles = tiles_;
    out.bias = p_.bias ? p_.bias + column : nullptr;
    out.scaled = from_column(p_.scaled, column);
    out.relu = p_.activation.kind == Activation::relu;
    table_.winograd_output(out);
    for (index_t i = 0; i < out.rows; ++i) {
      activate_rows(out.y + i * out.line, out.outputs, out.pixel, columns, p_.activation);
    }
  }

  const Correlation<T>& p_;
  const Kernels<T>& table_;
  index_t tiles_, tile_rows_;  // in a row, in an image
  index_t width_;              // of a panel of columns
  index_t rows_together_;
  index_t kernel_plane_, in_plane_, out_plane_;
  const T* kernel_;
  T *in_, *out_;
};

}  // namespace

template <class T>
void correlate_by_winograd(const Correlation<T>& p) {
  if (p.n == 0 || p.h.outputs == 0 || p.w.outputs == 0) return;
  const WinogradKernel<T> kernel(p);
  T* shared = nullptr;
  if (kernel.size() > kLargeKernel) {
    constexpr double kCostOfElement = 4;
    shared = scratch_of<T>(kElements * kernel.plane(), Scratch::of_job);
    parallel_ranges(kernel.lines(), kernel.unit(),
                    kCostOfElement * static_cast<double>(kernel.size()),
                    [&](index_t begin, index_t end) {
                      kernel.transform(shared, scratch_of<T>(kernel.scratch()), begin, end);
                    });
  }
  const double operations = 8.0 * static_cast<double>(p.n * p.h.outputs * p.w.outputs) *
                            static_cast<double>(p.channels * p.columns);
  parallel_shares(
      p.n * tiles_along(p.h), 1, operations * (sizeof(T) / 4.0) / kOperationsPerUnit,
      [&](index_t begin, index_t end) { Winograd<T>(p, kernel, shared).run(begin, end); });
}

template void correlate_by_winograd<float>(const Correlation<float>&);
template void correlate_by_winograd<double>(const Correlation<double>&);

}  // namespace nnfast
