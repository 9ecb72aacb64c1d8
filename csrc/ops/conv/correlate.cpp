#include "ops/conv/correlate.h"

#include <algorithm>
#include <cstring>

#include "base/interrupt.h"
#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/activation.h"

namespace nnfast {
namespace {

// A padded band fits in the L2 cache together with a panel of the kernel.
constexpr index_t kBandElements = 64 * 1024;
// So do the panels that read it in turn.
constexpr index_t kKernelElements = 32 * 1024;
// A panel of the kernel that could be read in place is copied if this many pixels use the copy.
constexpr index_t kPixelsThatPayForPacking = 400;
// A core does about this many operations per nanosecond.
constexpr double kOperationsPerUnit = 80;

template <class T>
class Correlator {
 public:
  explicit Correlator(const Correlation<T>& p)
      : p_(p),
        table_(kernels<T>()),
        depth_(p.h.count * p.w.count * p.channels),
        in_place_(depth_ == 0 || (p.h.lowest() >= 0 && p.w.lowest() >= 0 &&
                                  p.h.lowest() + p.h.width(p.h.outputs) <= p.in_h &&
                                  p.w.lowest() + p.w.width(p.w.outputs) <= p.in_w)),
        merges_(p.w.spacing == 1 && (!in_place_ || p.channels == p.x_pixel)) {}

  // Output rows [begin, end) of all images, numbered consecutively. The outer loop is over bands,
  // the inner one over panels: a band is copied once, and its part of y stays in the L2 cache until
  // all its columns are computed.
  void run(index_t begin, index_t end) const {
    const index_t width = std::min<index_t>(table_.gemm_columns, p_.columns);
    const index_t panel_size = table_.padded(width) * depth_;
    const index_t fitting = kKernelElements / std::max<index_t>(panel_size, 1);
    const index_t panels = std::clamp<index_t>(fitting, 1, (p_.columns + width - 1) / width);
    const index_t band = in_place_ ? 0 : band_rows() * band_width() * p_.channels;
    T* scratch = scratch_of<T>(panels * panel_size + band);
    const index_t pixels = (end - begin) * p_.w.outputs;
    InterruptWatch watch;
    for (index_t left = 0; left < p_.columns; left += panels * width) {
      const index_t right = std::min(p_.columns, left + panels * width);
      const auto for_panels = [&](const auto& run_panel) {
        T* packed = scratch;
        for (index_t column = left; column < right; column += width, packed += panel_size) {
          run_panel(panel_of(column, std::min(width, right - column), pixels, packed), column,
                    packed);
        }
      };
      for_panels([&](const GemmPanel<T>& panel, index_t column, T* packed) {
        if (panel.b == packed) pack(column, panel.n, packed);
      });
      for (index_t row = begin; row < end;) {
        const index_t image = row / p_.h.outputs, first = row % p_.h.outputs;
        index_t rows = std::min(p_.h.outputs - first, end - row);
        if (!in_place_) rows = std::min(rows, rows_of_band());
        const Lines lines = lines_of(image, first, rows, scratch + panels * panel_size);
        T* y = p_.y + image * p_.y_image + first * p_.y_row;
        for_panels([&](const GemmPanel<T>& panel, index_t column, T*) {
          run_rows(panel, lines, y + column, rows);
        });
        row += rows;
        watch.did(2.0 * static_cast<double>(rows * p_.w.outputs * (right - left)) *
                  static_cast<double>(depth_) / kOperationsPerUnit);
      }
    }
  }

 private:
  // Rows of pixels: the first one, and the strides between pixels and between rows.
  struct Lines {
    const T* at;
    index_t pixel, line;
  };

  index_t band_width() const { return p_.w.width(p_.w.outputs); }
  index_t rows_of_band() const {
    const index_t row = band_width() * p_.channels;
    const index_t reads = p_.h.width(1);
    return std::max<index_t>(1, (kBandElements / row - reads) / p_.h.step + 1);
  }
  index_t band_rows() const { return p_.h.width(std::min(rows_of_band(), p_.h.outputs)); }

  const T* kernel_at(index_t tap_h, index_t tap_w) const {
    const index_t h = p_.h.kernel_first + tap_h * p_.h.kernel_step;
    const index_t w = p_.w.kernel_first + tap_w * p_.w.kernel_step;
    return p_.kernel + (h * p_.kernel_w + w) * p_.kernel_tap;
  }

  // Reads the kernel in place, or copies it to `packed` if enough pixels use the copy.
  GemmPanel<T> panel_of(index_t column, index_t columns, index_t pixels, const T* packed) const {
    GemmPanel<T> panel{};
    panel.a_k = 1;
    panel.outer = p_.h.count;
    panel.inner = merges_ ? 1 : p_.w.count;
    panel.k = merges_ ? p_.w.count * p_.channels : p_.channels;
    panel.bias = p_.bias ? p_.bias + column : nullptr;
    panel.start = p_.bias ? GemmStart::bias : GemmStart::zero;
    panel.scaled = from_column(p_.scaled, column);
    panel.relu = p_.activation.kind == Activation::relu;
    panel.n = columns;
    panel.m = p_.w.outputs;
    panel.c_row = p_.y_pixel;
    panel.b = kernel_at(0, 0) + column * p_.kernel_column;
    panel.b_k = p_.kernel_channel;
    if (!reads_kernel_in_place(panel, pixels)) {
      panel.b = packed;
      panel.b_k = table_.padded(panel.n);
    }
    return panel;
  }

  bool reads_kernel_in_place(const GemmPanel<T>& panel, index_t pixels) const {
    const bool in_order =
        p_.kernel_column == 1 && p_.kernel_tap == p_.channels * p_.kernel_channel &&
        p_.h.kernel_step == 1 && p_.w.kernel_step == 1 && p_.w.count == p_.kernel_w;
    const bool whole = panel.n % table_.lanes == 0 || table_.partial_loads_are_cheap;
    const bool aligned = reinterpret_cast<uintptr_t>(panel.b) % 64 == 0 &&
                         static_cast<size_t>(panel.b_k) * sizeof(T) % 64 == 0;
    const bool dense = panel.b_k == panel.n && aligned;
    return in_order && whole && (dense || pixels < kPixelsThatPayForPacking);
  }

  void pack(index_t column, index_t columns, T* to) const {
    const index_t width = table_.padded(columns);
    for (index_t h = 0; h < p_.h.count; ++h) {
      for (index_t w = 0; w < p_.w.count; ++w) {
        table_.pack_panel({to, width, kernel_at(h, w) + column * p_.kernel_column,
                           p_.kernel_channel, p_.kernel_column, p_.channels, columns});
        to += p_.channels * width;
      }
    }
  }

  // Location of the taps of output rows [first, first + rows) of an image: in x, or copied to
  // `band`.
  Lines lines_of(index_t image, index_t first, index_t rows, T* band) const {
    const T* x = p_.x + image * p_.in_h * p_.in_w * p_.x_pixel;
    if (in_place_) {
      const index_t line = p_.in_w * p_.x_pixel;
      return {x + (first * p_.h.step + p_.h.first) * line + p_.w.first * p_.x_pixel, p_.x_pixel,
              line};
    }
    copy_band(band,
              Band<T>{x, p_.in_h, p_.in_w, p_.x_pixel, p_.channels, first * p_.h.step + p_.h.first,
                      p_.h.width(rows), p_.w.first, band_width()});
    return {band, p_.channels, band_width() * p_.channels};
  }

  void run_rows(GemmPanel<T> panel, const Lines& x, T* y, index_t rows) const {
    panel.a_row = p_.w.step * x.pixel;
    panel.a_outer = p_.h.spacing * x.line;
    panel.a_inner = p_.w.spacing * x.pixel;
    for (index_t row = 0; row < rows; ++row) {
      panel.a = x.at + row * p_.h.step * x.line;
      panel.c = y + row * p_.y_row;
      table_.gemm_panel(panel);
      activate_rows(panel.c, panel.m, panel.c_row, panel.n, p_.activation);
    }
  }

  const Correlation<T>& p_;
  const Kernels<T>& table_;
  index_t depth_;
  bool in_place_;  // no tap lies outside the image
  bool merges_;    // the taps of a row are contiguous
};

}  // namespace

template <class T>
void copy_band(T* out, const Band<T>& b) {
  const index_t left = std::clamp<index_t>(-b.column, 0, b.columns);
  const index_t right = std::clamp<index_t>(b.in_w - b.column, left, b.columns);
  const bool whole = b.channels == b.x_pixel;
  const auto clear = [](T* to, index_t count) {
    if (count > 0) std::memset(to, 0, sizeof(T) * static_cast<size_t>(count));
  };
  for (index_t r = 0; r < b.rows; ++r, out += b.columns * b.channels) {
    const index_t row = b.row + r;
    if (row < 0 || row >= b.in_h || left == right) {
      clear(out, b.columns * b.channels);
      continue;
    }
    const T* from = b.x + (row * b.in_w + b.column + left) * b.x_pixel;
    T* to = out + left * b.channels;
    clear(out, left * b.channels);
    clear(out + right * b.channels, (b.columns - right) * b.channels);
    if (whole) {
      std::memcpy(to, from, sizeof(T) * static_cast<size_t>((right - left) * b.channels));
      continue;
    }
    for (index_t i = left; i < right; ++i, to += b.channels, from += b.x_pixel) {
      std::memcpy(to, from, sizeof(T) * static_cast<size_t>(b.channels));
    }
  }
}

template <class T>
void correlate(const Correlation<T>& p) {
  const index_t rows = p.n * p.h.outputs;
  if (rows == 0 || p.w.outputs == 0 || p.columns == 0) return;
  const Correlator<T> correlator(p);
  const double operations = 2.0 * static_cast<double>(rows * p.w.outputs) *
                            static_cast<double>(p.columns) *
                            static_cast<double>(p.h.count * p.w.count * p.channels);
  const double cost = operations * (sizeof(T) / 4.0) / kOperationsPerUnit;
  parallel_shares(rows, 1, cost, [&](index_t begin, index_t end) { correlator.run(begin, end); });
}

template void copy_band<float>(float*, const Band<float>&);
template void copy_band<double>(double*, const Band<double>&);
template void correlate<float>(const Correlation<float>&);
template void correlate<double>(const Correlation<double>&);

}  // namespace nnfast
