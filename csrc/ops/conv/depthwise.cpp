#include "ops/conv/depthwise.h"

#include <algorithm>
#include <cstring>

#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/activation.h"
#include "ops/reduce.h"

namespace nnfast {
namespace {

// Memory-bound: a core does about this many operations per nanosecond.
constexpr double kOperationsPerUnit = 20;

// The tap rows that lie inside an image.
struct TapRows {
  index_t begin, end;
};

TapRows seen_rows(index_t at, index_t spacing, index_t count, index_t height) {
  const index_t begin = at < 0 ? (-at + spacing - 1) / spacing : 0;
  const index_t end = at < height ? std::min(count, (height - 1 - at) / spacing + 1) : 0;
  return {begin, std::max(begin, end)};
}

template <class T>
DepthwiseRow<T> row_of(const Correlation<T>& p) {
  DepthwiseRow<T> row;
  row.axis = {p.w.count, p.w.first, p.w.spacing, p.w.step, p.in_w, p.w.outputs};
  row.y_pixel = p.y_pixel;
  row.x_row = p.h.spacing * p.in_w * p.x_pixel;
  row.kernel_row = p.h.kernel_step * p.kernel_w * p.kernel_tap;
  row.kernel_tap = p.w.kernel_step * p.kernel_tap;
  row.bias = p.bias;
  row.scaled = p.scaled;
  row.channels = p.channels;
  row.relu = p.activation.kind == Activation::relu;
  return row;
}

}  // namespace

template <class T>
void correlate_depthwise(const Correlation<T>& p) {
  const index_t rows = p.n * p.h.outputs;
  if (rows == 0 || p.w.outputs == 0) return;
  const index_t line = p.in_w * p.x_pixel;
  const double operations = 2.0 * static_cast<double>(rows * p.w.outputs) *
                            static_cast<double>(p.columns) *
                            static_cast<double>(std::max<index_t>(1, p.h.count * p.w.count));
  const double cost = operations * (sizeof(T) / 4.0) / kOperationsPerUnit;
  parallel_ranges(rows, 1, cost, [&](index_t begin, index_t end) {
    DepthwiseRow<T> row = row_of(p);
    for (index_t i = begin; i < end; ++i) {
      const index_t image = i / p.h.outputs, o = i % p.h.outputs;
      const index_t at = p.h.first + o * p.h.step;
      const TapRows taps = seen_rows(at, p.h.spacing, p.h.count, p.in_h);
      row.rows = taps.end - taps.begin;
      const index_t first = row.rows > 0 ? at + taps.begin * p.h.spacing : 0;
      row.x = p.x + (image * p.in_h + first) * line;
      const index_t tap = p.h.kernel_first + taps.begin * p.h.kernel_step;
      row.kernel = p.kernel + (tap * p.kernel_w + p.w.kernel_first) * p.kernel_tap;
      row.y = p.y + image * p.y_image + o * p.y_row;
      kernels<T>().depthwise_row(row);
      activate_rows(row.y, p.w.outputs, p.y_pixel, p.columns, p.activation);
    }
  });
}

template <class T>
void depthwise_kernel_gradient(T* d_kernel, T* d_bias, const T* x, const T* dy, const ConvShape& s,
                               index_t begin, index_t end, index_t first, index_t last) {
  const WindowAxis &h = s.window.h, &w = s.window.w;
  const index_t c = s.in_channels, line = w.in * c;
  const auto clear = [&](T* to) {
    std::memset(to + first, 0, sizeof(T) * static_cast<size_t>(last - first));
  };
  for (index_t tap = 0; tap < h.kernel * w.kernel; ++tap) clear(d_kernel + tap * c);
  if (d_bias) clear(d_bias);
  DepthwiseGradient<T> p;
  p.axis = {w.kernel, -w.before, w.dilation, w.stride, w.in, w.out};
  p.pixel = c;
  p.kernel_row = w.kernel * c;
  p.x_row = h.dilation * line;
  p.channels = last - first;
  for (index_t image = begin; image < end; ++image) {
    for (index_t o = 0; o < h.out; ++o) {
      const index_t at = o * h.stride - h.before;
      const TapRows taps = seen_rows(at, h.dilation, h.kernel, h.in);
      p.rows = taps.end - taps.begin;
      p.dy = dy + (image * h.out + o) * w.out * c + first;
      if (p.rows > 0) {
        p.d_kernel = d_kernel + taps.begin * p.kernel_row + first;
        p.x = x + image * s.in_size() + (at + taps.begin * h.dilation) * line + first;
        kernels<T>().depthwise_gradient(p);
      }
      if (d_bias) add_columns(d_bias + first, p.dy, c, w.out, p.channels);
    }
  }
}

template void correlate_depthwise<float>(const Correlation<float>&);
template void correlate_depthwise<double>(const Correlation<double>&);
template void depthwise_kernel_gradient<float>(float*, float*, const float*, const float*,
                                               const ConvShape&, index_t, index_t, index_t,
                                               index_t);
template void depthwise_kernel_gradient<double>(double*, double*, const double*, const double*,
                                                const ConvShape&, index_t, index_t, index_t,
                                                index_t);

}  // namespace nnfast
