#include "ops/conv_pairs.h"

#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/activation.h"

namespace nnfast {
namespace {

// A pair's input: each number as a vector.
template <class T>
void spread(T* to, const T* x, const T* other, const ConvShape& s) {
  kernels<T>().spread_pairs(to, x, other, s.in_size());
}

}  // namespace

template <class T>
bool fits_pairs(const ConvShape& s) {
  // Spread images stay in the second-level cache.
  constexpr index_t kSpreadBytes = 256 * 1024;
  const index_t lanes = kernels<T>().lanes;
  const Window& w = s.window;
  return 2 * s.out_channels <= lanes && s.groups == 1 && !w.is_padded() && w.h.dilation == 1 &&
         w.w.dilation == 1 && w.h.kernel * w.w.kernel > 1 &&
         s.in_size() * lanes * static_cast<index_t>(sizeof(T)) <= kSpreadBytes;
}

template <class T>
void conv_forward_pairs(T* y, const T* x, const T* kernel, const T* bias, index_t pairs,
                        const ConvShape& s, const ActivationParams& activation,
                        const ColumnScale<T>& scaled) {
  const Kernels<T>& table = kernels<T>();
  const Window& w = s.window;
  const index_t lanes = table.lanes, depth = s.kernel_rows(), out = s.out_channels;
  const index_t line = w.w.in * s.in_channels * lanes;
  T* doubled = scratch_of<T>((depth + 4 + s.window.w.out + s.in_size()) * lanes);
  T* start = doubled + depth * lanes;
  T* scale = start + lanes;
  T* shift = scale + lanes;
  T* row = shift + lanes;
  T* image = row + (w.w.out + 1) * lanes;
  table.join_pairs(doubled, kernel, kernel, depth, out);
  if (bias) table.join_pairs(start, bias, bias, 1, out);
  GemmPanel<T> panel{};
  panel.a_row = w.w.stride * s.in_channels * lanes;
  panel.a_k = lanes;
  panel.outer = w.h.kernel;
  panel.a_outer = line;
  panel.inner = 1;
  panel.k = w.w.kernel * s.in_channels;
  panel.b = doubled;
  panel.b_k = panel.c_row = panel.n = lanes;
  panel.c = row;
  panel.m = w.w.out;
  panel.bias = start;
  panel.start = bias ? GemmStart::bias : GemmStart::zero;
  if (scaled.scale) {
    table.join_pairs(scale, scaled.scale, scaled.scale, 1, out);
    table.join_pairs(shift, scaled.shift, scaled.shift, 1, out);
    panel.scaled = {scale, shift};
  }
  panel.relu = activation.kind == Activation::relu;
  for (index_t pair = 0; pair < pairs; ++pair) {
    spread(image, x, x + s.in_size(), s);
    for (index_t i = 0; i < w.h.out; ++i) {
      panel.a = image + i * w.h.stride * line;
      table.gemm_spread(panel);
      T* to = y + i * w.w.out * out;
      table.part_pairs(to, to + s.out_size(), row, w.w.out, out);
    }
    activate_rows(y, 2, s.out_size(), s.out_size(), activation);
    x += 2 * s.in_size();
    y += 2 * s.out_size();
  }
}

template <class T>
void conv_kernel_gradient_pair(PairGradient<T> d, PairGradient<T> other, index_t images,
                               const ConvShape& s) {
  const Kernels<T>& table = kernels<T>();
  const Window& w = s.window;
  const index_t lanes = table.lanes, depth = s.kernel_rows(), out = s.out_channels;
  const index_t line = w.w.in * s.in_channels * lanes, pixels = w.h.out * w.w.out;
  T* sums = scratch_of<T>((depth + 2 + pixels + 1 + s.in_size()) * lanes);
  T* bias = sums + depth * lanes;
  T* ones = bias + lanes;
  T* gradient = ones + lanes;
  T* image = gradient + (pixels + 1) * lanes;
  const T one = 1;
  table.spread_pairs(ones, &one, &one, 1);
  GemmPanel<T> panel{};
  panel.outer = 1;
  panel.b = gradient;
  panel.b_k = panel.c_row = panel.n = lanes;
  panel.start = GemmStart::zero;
  for (index_t i = 0; i < images; ++i) {
    spread(image, d.x + i * s.in_size(), other.x + i * s.in_size(), s);
    table.join_pairs(gradient, d.dy + i * s.out_size(), other.dy + i * s.out_size(), pixels, out);
    panel.a_row = lanes;
    panel.a_k = w.w.stride * s.in_channels * lanes;
    panel.inner = w.h.out;
    panel.a_inner = w.h.stride * line;
    panel.k = w.w.out;
    panel.m = w.w.kernel * s.in_channels;
    for (index_t tap = 0; tap < w.h.kernel; ++tap) {
      panel.a = image + tap * line;
      panel.c = sums + tap * panel.m * lanes;
      table.gemm_spread(panel);
    }
    panel.a = ones;
    panel.a_row = panel.a_k = panel.a_inner = 0;
    panel.inner = panel.m = 1;
    panel.k = pixels;
    panel.c = bias;
    table.gemm_spread(panel);
    panel.start = GemmStart::output;
  }
  table.part_pairs(d.kernel, other.kernel, sums, depth, out);
  if (d.bias) table.part_pairs(d.bias, other.bias, bias, 1, out);
}

template bool fits_pairs<float>(const ConvShape&);
template bool fits_pairs<double>(const ConvShape&);
template void conv_forward_pairs<float>(float*, const float*, const float*, const float*, index_t,
                                        const ConvShape&, const ActivationParams&,
                                        const ColumnScale<float>&);
template void conv_forward_pairs<double>(double*, const double*, const double*, const double*,
                                         index_t, const ConvShape&, const ActivationParams&,
                                         const ColumnScale<double>&);
template void conv_kernel_gradient_pair<float>(PairGradient<float>, PairGradient<float>, index_t,
                                               const ConvShape&);
template void conv_kernel_gradient_pair<double>(PairGradient<double>, PairGradient<double>, index_t,
                                                const ConvShape&);

}  // namespace nnfast
