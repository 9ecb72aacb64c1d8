#include "ops/conv/fold.h"

#include <algorithm>

#include "base/aligned.h"
#include "base/interrupt.h"
#include "base/thread_pool.h"
#include "kernels/select.h"

namespace nnfast {
namespace {

constexpr double kOperationsPerUnit = 60;

// One image after the other, in the thread's scratch memory: the packed kernel, as many rows of
// windows as the kernel is high, reused in turn, and pointers to them.
template <class T>
class Folder {
 public:
  Folder(const T* kernel, const ConvShape& s) : s_(s), table_(kernels<T>()) {
    const index_t size = s.kernel_rows(), depth = s.out_channels, height = s.window.h.kernel;
    const index_t packed = table_.padded(size) * depth;
    row_ = s.window.w.out * size;
    const size_t elements = static_cast<size_t>(packed + height * row_);
    char* scratch = static_cast<char*>(
        thread_scratch(align_up(sizeof(T) * elements) + sizeof(T*) * static_cast<size_t>(height)));
    packed_ = reinterpret_cast<T*>(scratch);
    windows_ = packed_ + packed;
    covering_ = reinterpret_cast<T**>(scratch + align_up(sizeof(T) * elements));
    T* to = packed_;
    for (index_t column = 0; column < size; column += table_.gemm_columns) {
      const index_t n = std::min<index_t>(table_.gemm_columns, size - column);
      const index_t width = table_.padded(n);
      table_.pack_panel({to, width, kernel + column * depth, 1, depth, depth, n});
      to += width * depth;
    }
  }

  void run(T* dx, const T* dy) const {
    const WindowAxis &h = s_.window.h, &w = s_.window.w;
    const index_t line = w.in * s_.in_channels, taps = w.kernel * s_.in_channels;
    FoldRow<T> fold;
    fold.x = covering_;
    fold.x_row = s_.kernel_rows();
    fold.width = w.in;
    fold.channels = s_.in_channels;
    fold.outputs = w.out;
    fold.taps = w.kernel;
    fold.stride = w.stride;
    fold.before = w.before;
    index_t made = 0;
    for (index_t i = 0; i < h.in; ++i) {
      const index_t last = (i + h.before) / h.stride;
      for (; made <= std::min(last, h.out - 1); ++made) {
        multiply(windows_ + made % h.kernel * row_, dy + made * w.out * s_.out_channels);
      }
      fold.rows = 0;
      index_t window = last;
      for (index_t tap = (i + h.before) % h.stride; tap < h.kernel && window >= 0;
           tap += h.stride, --window) {
        if (window < h.out)
          covering_[fold.rows++] = windows_ + window % h.kernel * row_ + tap * taps;
      }
      fold.y = dx + i * line;
      table_.fold_row(fold);
    }
  }

 private:
  // windows (OW, KH KW C) = dy (OW, O) kernel^T
  void multiply(T* windows, const T* dy) const {
    const index_t size = s_.kernel_rows();
    GemmPanel<T> panel{};
    panel.a = dy;
    panel.a_row = s_.out_channels;
    panel.a_k = 1;
    panel.outer = panel.inner = 1;
    panel.b = packed_;
    panel.c_row = size;
    panel.m = s_.window.w.out;
    panel.k = s_.out_channels;
    panel.start = GemmStart::zero;
    for (index_t column = 0; column < size; column += panel.n) {
      panel.n = std::min<index_t>(table_.gemm_columns, size - column);
      panel.b_k = table_.padded(panel.n);
      panel.c = windows + column;
      table_.gemm_panel(panel);
      panel.b += panel.b_k * panel.k;
    }
  }

  const ConvShape& s_;
  const Kernels<T>& table_;
  index_t row_;  // elements of a row of windows
  T *packed_, *windows_;
  T** covering_;  // the rows of windows that cover a row of dx
};

}  // namespace

template <class T>
void conv_input_gradient_folded(T* dx, const T* dy, const T* kernel, index_t n, const ConvShape& s,
                                const ActivationParams& activation) {
  const double cost =
      static_cast<double>(n) * s.operations() * (sizeof(T) / 4.0) / kOperationsPerUnit;
  parallel_shares(n, 1, cost, [&](index_t begin, index_t end) {
    const Folder<T> folder(kernel, s);
    InterruptWatch watch;
    for (index_t image = begin; image < end; ++image) {
      T* to = dx + image * s.in_size();
      folder.run(to, dy + image * s.out_size());
      if (activation.kind != Activation::identity)
        kernels<T>().activation_forward(to, to, s.in_size(), activation);
      watch.did(s.operations() / kOperationsPerUnit);
    }
  });
}

template void conv_input_gradient_folded<float>(float*, const float*, const float*, index_t,
                                                const ConvShape&, const ActivationParams&);
template void conv_input_gradient_folded<double>(double*, const double*, const double*, index_t,
                                                 const ConvShape&, const ActivationParams&);

}  // namespace nnfast
