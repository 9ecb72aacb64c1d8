#include "ops/conv/pairs.h"

#include <algorithm>

#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/activation.h"

namespace nnfast {
namespace {

// Input of a pair: each element as a vector.
template <class T>
void spread(T* to, const T* x, const T* other, const ConvShape& s) {
  kernels<T>().spread_pairs(to, x, other, s.in_size());
}

}  // namespace

index_t rows_of_chain(const Window& window) {
  return std::clamp<index_t>(kChainPixels / window.w.out, 1, window.h.out);
}

index_t columns_of_chain(const Window& window) {
  const index_t parts = (window.w.out + 2 * kChainPixels - 1) / (2 * kChainPixels);
  return (window.w.out + parts - 1) / parts;
}

index_t images_of_chain(const Window& window) {
  return std::max<index_t>(1, kChainPixels / (window.h.out * window.w.out));
}

template <class T>
void conv_forward_pairs(T* y, const T* x, const T* kernel, const T* bias, index_t pairs,
                        const ConvShape& s, const ActivationParams& activation,
                        const ColumnScale<T>& scaled) {
  const Kernels<T>& table = kernels<T>();
  const Window& w = s.window;
  const index_t lanes = table.lanes, depth = s.kernel_rows(), out = s.out_channels;
  const index_t line = w.w.in * s.in_channels * lanes;
  T* doubled = scratch_of<T>((depth + 5 + s.window.w.out + s.in_size()) * lanes);
  T* start = doubled + depth * lanes;
  T* center = start + lanes;
  T* scale = center + lanes;
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
    table.join_pairs(center, scaled.center, scaled.center, 1, out);
    table.join_pairs(scale, scaled.scale, scaled.scale, 1, out);
    table.join_pairs(shift, scaled.shift, scaled.shift, 1, out);
    panel.scaled = {center, scale, shift};
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

// Image and gradient of one pair, and the sums of their products, in vectors.
template <class T>
class PairChains {
 public:
  explicit PairChains(const ConvShape& s)
      : s_(s), table_(kernels<T>()), lanes_(table_.lanes), depth_(s.kernel_rows()) {
    const index_t pixels = s.window.h.out * s.window.w.out;
    sums_ = scratch_of<T>((2 * (depth_ + 1) + 1 + pixels + 1 + s.in_size()) * lanes_);
    chain_ = sums_ + (depth_ + 1) * lanes_;  // of both: of the kernel, then of the bias
    ones_ = chain_ + (depth_ + 1) * lanes_;
    gradient_ = ones_ + lanes_;
    image_ = gradient_ + (pixels + 1) * lanes_;
    const T one = 1;
    table_.spread_pairs(ones_, &one, &one, 1);
  }

  // Adds image `i` of both to the sums. Small images share a chain, which is added once the last of
  // them is included.
  void run(const PairGradient<T>& d, const PairGradient<T>& other, index_t i) const {
    const Window& w = s_.window;
    const index_t together = images_of_chain(w), rows = rows_of_chain(w);
    const index_t columns = columns_of_chain(w), position = i % together;
    spread(image_, d.x + i * s_.in_size(), other.x + i * s_.in_size(), s_);
    table_.join_pairs(gradient_, d.dy + i * s_.out_size(), other.dy + i * s_.out_size(),
                      w.h.out * w.w.out, s_.out_channels);
    if (together > 1) {
      multiply(0, 0, chain_, position == 0 ? GemmStart::zero : GemmStart::output);
      if (position + 1 == together) add_chain(i == position);
      return;
    }
    GemmStart start = i == 0 ? GemmStart::zero : GemmStart::added;
    for (index_t row = 0; row < w.h.out; row += rows) {
      for (index_t column = 0; column < w.w.out; column += columns) {
        multiply(row, column, sums_, start);
        start = GemmStart::added;
      }
    }
  }

  void store(const PairGradient<T>& d, const PairGradient<T>& other) const {
    const index_t out = s_.out_channels;
    table_.part_pairs(d.kernel, other.kernel, sums_, depth_, out);
    if (d.bias) table_.part_pairs(d.bias, other.bias, sums_ + depth_ * lanes_, 1, out);
  }

 private:
  void add_chain(bool is_first) const {
    const index_t count = (depth_ + 1) * lanes_;
    if (is_first) {
      std::copy_n(chain_, count, sums_);
    } else {
      table_.add(sums_, sums_, chain_, count);
    }
  }

  // The products of the pixels of a chain starting at (row, column).
  void multiply(index_t row, index_t column, T* sums, GemmStart start) const {
    const Window& w = s_.window;
    const index_t line = w.w.in * s_.in_channels * lanes_;
    GemmPanel<T> panel{};
    panel.outer = 1;
    panel.b = gradient_ + (row * w.w.out + column) * lanes_;
    panel.b_k = panel.c_row = panel.n = panel.a_row = lanes_;
    panel.a_k = w.w.stride * s_.in_channels * lanes_;
    panel.inner = std::min(rows_of_chain(w), w.h.out - row);
    panel.a_inner = w.h.stride * line;
    panel.k = std::min(columns_of_chain(w), w.w.out - column);
    panel.m = w.w.kernel * s_.in_channels;
    panel.start = start;
    for (index_t tap = 0; tap < w.h.kernel; ++tap) {
      panel.a = image_ + row * panel.a_inner + column * panel.a_k + tap * line;
      panel.c = sums + tap * panel.m * lanes_;
      table_.gemm_spread(panel);
    }
    panel.a = ones_;
    panel.a_row = panel.a_k = panel.a_inner = 0;
    panel.k *= panel.inner;
    panel.inner = panel.m = 1;
    panel.c = sums + depth_ * lanes_;
    table_.gemm_spread(panel);
  }

  const ConvShape& s_;
  const Kernels<T>& table_;
  index_t lanes_, depth_;
  T *sums_, *chain_, *ones_, *gradient_, *image_;
};

template <class T>
void conv_kernel_gradient_pair(PairGradient<T> d, PairGradient<T> other, index_t images,
                               const ConvShape& s) {
  const PairChains<T> chains(s);
  for (index_t i = 0; i < images; ++i) chains.run(d, other, i);
  chains.store(d, other);
}

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
