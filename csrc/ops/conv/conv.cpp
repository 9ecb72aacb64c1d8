#include "ops/conv/conv.h"

#include <algorithm>

#include "base/thread_pool.h"
#include "ops/activation.h"
#include "ops/conv/choose.h"
#include "ops/conv/correlate.h"
#include "ops/conv/depthwise.h"
#include "ops/conv/fold.h"
#include "ops/conv/pairs.h"
#include "ops/conv/windows.h"
#include "ops/conv/winograd.h"
#include "ops/gemm/gemm.h"

namespace nnfast {
namespace {

AxisTaps forward_taps(const WindowAxis& a) {
  AxisTaps taps;
  taps.count = a.kernel;
  taps.first = -a.before;
  taps.spacing = a.dilation;
  taps.step = a.stride;
  taps.outputs = a.out;
  return taps;
}

index_t greatest_common_divisor(index_t a, index_t b) {
  while (b != 0) {
    const index_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

// Contributions to the inputs phase, phase + stride, ...: from output (i + before - t dilation) /
// stride for taps t where that is an integer. Such taps are `stride / g` apart, and their outputs
// dilation / g.
AxisTaps backward_taps(const WindowAxis& a, index_t phase) {
  const index_t g = greatest_common_divisor(a.stride, a.dilation);
  AxisTaps taps;
  taps.outputs = phase < a.in ? (a.in - phase + a.stride - 1) / a.stride : 0;
  taps.spacing = a.dilation / g;
  taps.kernel_step = -(a.stride / g);
  index_t first = 0;
  while (first < a.kernel && (phase + a.before - first * a.dilation) % a.stride != 0) ++first;
  taps.count = first < a.kernel ? (a.kernel - 1 - first) / (a.stride / g) + 1 : 0;
  if (taps.count == 0) return taps;
  taps.kernel_first = first + (taps.count - 1) * (a.stride / g);
  taps.first = (phase + a.before - taps.kernel_first * a.dilation) / a.stride;
  return taps;
}

template <class T>
Gemm<T> product(T* c, const T* a, const T* b, const T* bias, index_t m, index_t n, index_t k,
                const ActivationParams& activation) {
  Gemm<T> p;
  p.m = m;
  p.n = n;
  p.k = k;
  p.a = a;
  p.a_row = k;
  p.a_k = 1;
  p.b = b;
  p.b_k = n;
  p.b_n = 1;
  p.c = c;
  p.c_row = n;
  p.bias = bias;
  p.activation = activation;
  return p;
}

// `p` describes the first group; the pointers of the others are computed from it.
template <class T>
void correlate_by(ConvAlgorithm algorithm, Correlation<T> p, const ConvShape& s) {
  if (algorithm == ConvAlgorithm::depthwise) {
    p.channels = p.columns = s.in_channels;
    correlate_depthwise(p);
    return;
  }
  // If a stride leaves no taps, there is nothing to transform.
  if (algorithm == ConvAlgorithm::winograd && p.h.count > 0 && p.w.count > 0) {
    correlate_by_winograd(p);
    return;
  }
  for (index_t g = 0; g < s.groups; ++g) {
    copying_windows_pays(p) ? correlate_windows(p) : correlate(p);
    p.x += p.channels;
    p.kernel += s.out_channels / s.groups;
    p.y += p.columns;
    if (p.bias) p.bias += p.columns;
    p.scaled = from_column(p.scaled, p.columns);
  }
}

index_t pixels(const ConvShape& s) { return s.window.h.out * s.window.w.out; }

}  // namespace

template <class T>
void conv_forward(T* y, const T* x, const T* kernel, const T* bias, index_t n, const ConvShape& s,
                  const ActivationParams& activation, const ColumnScale<T>& scaled) {
  const ConvAlgorithm algorithm = choose_forward<T>(s);
  if (algorithm == ConvAlgorithm::matmul) {
    Gemm<T> p =
        product(y, x, kernel, bias, n * pixels(s), s.out_channels, s.in_channels, activation);
    p.scaled = scaled;
    gemm(p);
    return;
  }
  if (n > 1 && algorithm == ConvAlgorithm::pairs) {
    const index_t pairs = n / 2;
    constexpr double kOperationsPerUnit = 60;
    parallel_ranges(pairs, 1, static_cast<double>(n) * s.operations() / kOperationsPerUnit,
                    [&](index_t begin, index_t end) {
                      conv_forward_pairs(y + 2 * begin * s.out_size(), x + 2 * begin * s.in_size(),
                                         kernel, bias, end - begin, s, activation, scaled);
                    });
    if (n % 2 == 0) return;
    y += 2 * pairs * s.out_size();
    x += 2 * pairs * s.in_size();
    n = 1;
  }
  const index_t in = s.in_channels / s.groups, out = s.out_channels / s.groups;
  Correlation<T> p;
  p.h = forward_taps(s.window.h);
  p.w = forward_taps(s.window.w);
  p.n = n;
  p.in_h = s.window.h.in;
  p.in_w = s.window.w.in;
  p.x_pixel = s.in_channels;
  p.channels = in;
  p.kernel_w = s.window.w.kernel;
  p.kernel_tap = in * s.out_channels;
  p.kernel_channel = s.out_channels;
  p.kernel_column = 1;
  p.y_image = s.out_size();
  p.y_row = s.window.w.out * s.out_channels;
  p.y_pixel = s.out_channels;
  p.columns = out;
  p.x = x;
  p.kernel = kernel;
  p.y = y;
  p.bias = bias;
  p.scaled = scaled;
  p.activation = activation;
  correlate_by(algorithm, p, s);
}

template <class T>
void conv_input_gradient(T* dx, const T* dy, const T* kernel, const T* bias, index_t n,
                         const ConvShape& s, const ActivationParams& activation) {
  const ConvAlgorithm algorithm = choose_input_gradient(s, bias != nullptr);
  if (algorithm == ConvAlgorithm::matmul) {
    Gemm<T> p =
        product(dx, dy, kernel, bias, n * pixels(s), s.in_channels, s.out_channels, activation);
    p.b_k = 1;
    p.b_n = s.out_channels;
    gemm(p);
    return;
  }
  if (algorithm == ConvAlgorithm::fold) {
    conv_input_gradient_folded(dx, dy, kernel, n, s, activation);
    return;
  }
  const index_t in = s.in_channels / s.groups, out = s.out_channels / s.groups;
  Correlation<T> p;
  p.n = n;
  p.in_h = s.window.h.out;
  p.in_w = s.window.w.out;
  p.x_pixel = s.out_channels;
  p.channels = out;
  p.kernel_w = s.window.w.kernel;
  p.kernel_tap = in * s.out_channels;
  p.kernel_channel = 1;
  p.kernel_column = s.out_channels;
  p.y_image = s.in_size();
  p.y_row = s.window.h.stride * s.window.w.in * s.in_channels;
  p.y_pixel = s.window.w.stride * s.in_channels;
  p.columns = in;
  p.x = dy;
  p.kernel = kernel;
  p.bias = bias;
  p.activation = activation;
  for (index_t phase_h = 0; phase_h < s.window.h.stride; ++phase_h) {
    for (index_t phase_w = 0; phase_w < s.window.w.stride; ++phase_w) {
      p.h = backward_taps(s.window.h, phase_h);
      p.w = backward_taps(s.window.w, phase_w);
      p.y = dx + (phase_h * s.window.w.in + phase_w) * s.in_channels;
      correlate_by(algorithm, p, s);
    }
  }
}

template void conv_forward<float>(float*, const float*, const float*, const float*, index_t,
                                  const ConvShape&, const ActivationParams&,
                                  const ColumnScale<float>&);
template void conv_forward<double>(double*, const double*, const double*, const double*, index_t,
                                   const ConvShape&, const ActivationParams&,
                                   const ColumnScale<double>&);
template void conv_input_gradient<float>(float*, const float*, const float*, const float*, index_t,
                                         const ConvShape&, const ActivationParams&);
template void conv_input_gradient<double>(double*, const double*, const double*, const double*,
                                          index_t, const ConvShape&, const ActivationParams&);

}  // namespace nnfast
