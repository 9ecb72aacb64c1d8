#include "ops/winograd.h"

#include <algorithm>

#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/activation.h"

namespace nnfast {
namespace {

constexpr index_t kElements = 16;  // of a tile
// Tiles that are multiplied together: their numbers stay in the second-level cache.
constexpr index_t kTileBytes = 128 * 1024, kFewestTiles = 12;
// So much apart that planes do not compete for the same sets of the caches.
constexpr index_t kPlaneGap = 16;
constexpr double kOperationsPerUnit = 60;

template <class T>
class Winograd {
 public:
  explicit Winograd(const Correlation<T>& p)
      : p_(p),
        table_(kernels<T>()),
        tiles_((p.w.outputs + 1) / 2),
        tile_rows_((p.h.outputs + 1) / 2),
        width_(std::min<index_t>(table_.gemm_columns, p.columns)) {
    const index_t bytes = kElements * (p.channels + width_) * static_cast<index_t>(sizeof(T));
    rows_together_ = (std::max(kFewestTiles, kTileBytes / bytes) + tiles_ - 1) / tiles_;
  }

  index_t rows() const { return p_.n * tile_rows_; }

  // The transformed kernel: for each panel of columns 16 matrices (channels, panel).
  void prepare() {
    const index_t plane = p_.channels * p_.columns;
    const index_t packed = p_.channels * table_.padded(p_.columns);
    T* natural = static_cast<T*>(thread_scratch(
        sizeof(T) * static_cast<size_t>(kElements * (plane + packed)), Scratch::of_job));
    table_.winograd_kernel(natural, p_.kernel, plane, p_.h.kernel_step < 0);
    T* to = natural + kElements * plane;
    kernel_ = to;
    for (index_t column = 0; column < p_.columns; column += width_) {
      const index_t n = std::min(width_, p_.columns - column), padded = table_.padded(n);
      for (index_t i = 0; i < kElements; ++i, to += p_.channels * padded) {
        table_.pack_panel({to, padded, natural + i * plane + column * p_.kernel_column,
                           p_.kernel_channel, p_.kernel_column, p_.channels, n});
      }
    }
  }

  // Rows of tiles [begin, end) of all images, numbered through.
  void run(index_t begin, index_t end) const {
    const index_t most = rows_together_ * tiles_;
    const index_t in_plane = most * p_.channels + kPlaneGap, out_plane = most * width_ + kPlaneGap;
    T* in = static_cast<T*>(
        thread_scratch(sizeof(T) * static_cast<size_t>(kElements * (in_plane + out_plane))));
    T* out = in + kElements * in_plane;
    for (index_t row = begin; row < end; row += rows_together_) {
      const index_t rows = std::min(rows_together_, end - row);
      for (index_t i = 0; i < rows; ++i)
        transform_input(in + i * tiles_ * p_.channels, in_plane, row + i);
      const T* kernel = kernel_;
      for (index_t column = 0; column < p_.columns; column += width_) {
        const index_t n = std::min(width_, p_.columns - column);
        multiply(out, out_plane, in, in_plane, kernel, n, rows * tiles_);
        for (index_t i = 0; i < rows; ++i)
          transform_output(out + i * tiles_ * width_, out_plane, row + i, column, n);
        kernel += kElements * p_.channels * table_.padded(n);
      }
    }
  }

 private:
  void transform_input(T* out, index_t plane, index_t row) const {
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
    in.plane = plane;
    in.tiles = tiles_;
    table_.winograd_input(in);
  }

  void multiply(T* out, index_t out_plane, const T* in, index_t in_plane, const T* kernel,
                index_t columns, index_t tiles) const {
    GemmPanel<T> panel{};
    panel.a_row = panel.k = p_.channels;
    panel.a_k = panel.outer = panel.inner = 1;
    panel.b_k = table_.padded(columns);
    panel.c_row = width_;
    panel.m = tiles;
    panel.n = columns;
    panel.start = GemmStart::zero;
    for (index_t i = 0; i < kElements; ++i) {
      panel.a = in + i * in_plane;
      panel.b = kernel + i * p_.channels * panel.b_k;
      panel.c = out + i * out_plane;
      table_.gemm_panel(panel);
    }
  }

  void transform_output(const T* products, index_t plane, index_t row, index_t column,
                        index_t columns) const {
    const index_t image = row / tile_rows_, first = 2 * (row % tile_rows_);
    WinogradOutput<T> out;
    out.y = p_.y + image * p_.y_image + first * p_.y_row + column;
    out.line = p_.y_row;
    out.pixel = p_.y_pixel;
    out.outputs = p_.w.outputs;
    out.columns = columns;
    out.rows = first + 1 < p_.h.outputs ? 2 : 1;
    out.products = products;
    out.plane = plane;
    out.width = width_;
    out.tiles = tiles_;
    out.bias = p_.bias ? p_.bias + column : nullptr;
    out.scaled = {nullptr, nullptr};
    if (p_.scaled.scale) out.scaled = {p_.scaled.scale + column, p_.scaled.shift + column};
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
  const T* kernel_ = nullptr;
};

}  // namespace

bool winograd_pays(index_t channels, index_t columns) {
  constexpr index_t kFewestChannels = 32, kLargestKernel = 128 * 128;
  return channels >= kFewestChannels && columns >= kFewestChannels &&
         channels * columns <= kLargestKernel;
}

template <class T>
bool winograd_pays(const Correlation<T>& p) {
  const auto is_plain = [](const AxisTaps& a) {
    return a.count == 3 && a.spacing == 1 && a.step == 1;
  };
  return is_plain(p.h) && is_plain(p.w) && p.kernel_w == 3 &&
         p.kernel_tap == p.channels * p.columns && winograd_pays(p.channels, p.columns);
}

template <class T>
void correlate_by_winograd(const Correlation<T>& p) {
  Winograd<T> winograd(p);
  winograd.prepare();
  const double operations = 8.0 * static_cast<double>(p.n * p.h.outputs * p.w.outputs) *
                            static_cast<double>(p.channels * p.columns);
  parallel_ranges(winograd.rows(), 1, operations * (sizeof(T) / 4.0) / kOperationsPerUnit,
                  [&](index_t begin, index_t end) { winograd.run(begin, end); });
}

template bool winograd_pays<float>(const Correlation<float>&);
template bool winograd_pays<double>(const Correlation<double>&);
template void correlate_by_winograd<float>(const Correlation<float>&);
template void correlate_by_winograd<double>(const Correlation<double>&);

}  // namespace nnfast
