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

index_t tiles_along(const AxisTaps& axis) { return (axis.outputs + 1) / 2; }

// In the thread's scratch memory: the transformed kernel, and tiles before and after the products.
// Each thread transforms the kernel itself: that takes no longer than waiting for one thread to do
// it for all, and for few images less than fetching the result from another processor's cache.
template <class T>
class Winograd {
 public:
  explicit Winograd(const Correlation<T>& p)
      : p_(p),
        table_(kernels<T>()),
        tiles_(tiles_along(p.w)),
        tile_rows_(tiles_along(p.h)),
        width_(std::min<index_t>(table_.gemm_columns, p.columns)) {
    const index_t bytes = kElements * (p.channels + width_) * static_cast<index_t>(sizeof(T));
    rows_together_ = (std::max(kFewestTiles, kTileBytes / bytes) + tiles_ - 1) / tiles_;
    const index_t max_tiles = rows_together_ * tiles_, size = p.channels * p.columns;
    // A kernel that is a single panel needs no packing.
    const bool is_panel = p.kernel_column == 1 && p.columns == table_.padded(width_);
    const index_t plane = size + kPlaneGap;
    kernel_plane_ = is_panel ? plane : p.channels * table_.padded(p.columns) + kPlaneGap;
    in_plane_ = max_tiles * p.channels + kPlaneGap;
    out_plane_ = max_tiles * width_ + kPlaneGap;
    const index_t elements = kernel_plane_ + in_plane_ + out_plane_ + (is_panel ? 0 : plane);
    kernel_ = scratch_of<T>(kElements * elements);
    in_ = kernel_ + kElements * kernel_plane_;
    out_ = in_ + kElements * in_plane_;
    T* natural = is_panel ? kernel_ : out_ + kElements * out_plane_;
    table_.winograd_kernel(natural, plane, p.kernel, size, p.h.kernel_step < 0);
    if (!is_panel) pack(natural, plane);
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
  // 16 planes, each with its panels of columns one after the other.
  void pack(const T* natural, index_t plane) const {
    for (index_t i = 0; i < kElements; ++i) {
      for (index_t column = 0; column < p_.columns; column += width_) {
        const index_t n = std::min(width_, p_.columns - column);
        table_.pack_panel({kernel_ + i * kernel_plane_ + p_.channels * column, table_.padded(n),
                           natural + i * plane + column * p_.kernel_column, p_.kernel_channel,
                           p_.kernel_column, p_.channels, n});
      }
    }
  }

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
  T *kernel_, *in_, *out_;
};

}  // namespace

template <class T>
void correlate_by_winograd(const Correlation<T>& p) {
  if (p.n == 0 || p.h.outputs == 0 || p.w.outputs == 0) return;
  const double operations = 8.0 * static_cast<double>(p.n * p.h.outputs * p.w.outputs) *
                            static_cast<double>(p.channels * p.columns);
  parallel_shares(p.n * tiles_along(p.h), 1, operations * (sizeof(T) / 4.0) / kOperationsPerUnit,
                  [&](index_t begin, index_t end) { Winograd<T>(p).run(begin, end); });
}

template void correlate_by_winograd<float>(const Correlation<float>&);
template void correlate_by_winograd<double>(const Correlation<double>&);

}  // namespace nnfast
