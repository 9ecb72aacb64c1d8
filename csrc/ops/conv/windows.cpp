#include "ops/conv/windows.h"

#include <algorithm>
#include <cstring>

#include "ops/gemm/gemm.h"

namespace nnfast {
namespace {

// Row i is the window of output pixel i: its taps, and of each tap the channels.
template <class T>
class Windows final : public RowSource<T> {
 public:
  explicit Windows(const Correlation<T>& p)
      : p_(p), merges_(p.w.spacing == 1 && p.channels == p.x_pixel) {}

  void copy(T* out, index_t width, index_t row, index_t rows, index_t k,
            index_t steps) const override {
    for (index_t i = 0; i < rows; ++i, out += width) {
      const index_t line = (row + i) / p_.w.outputs;
      const index_t image = line / p_.h.outputs;
      copy_window(out, p_.x + image * p_.in_h * p_.in_w * p_.x_pixel,
                  line % p_.h.outputs * p_.h.step + p_.h.first,
                  (row + i) % p_.w.outputs * p_.w.step + p_.w.first, k, steps);
    }
  }

 private:
  // Steps [k, k + steps) of the window whose first tap is at (top, left).
  void copy_window(T* to, const T* x, index_t top, index_t left, index_t k, index_t steps) const {
    const bool whole = merges_ && left >= 0 && left + p_.w.count <= p_.in_w;
    const index_t run = whole ? p_.w.count * p_.channels : p_.channels;  // contiguous steps
    index_t number = k / run, begin = k % run;
    while (steps > 0) {
      const index_t count = std::min(run - begin, steps);
      const index_t h = top + (whole ? number : number / p_.w.count) * p_.h.spacing;
      const index_t w = left + (whole ? 0 : number % p_.w.count * p_.w.spacing);
      const size_t bytes = sizeof(T) * static_cast<size_t>(count);
      if (h >= 0 && h < p_.in_h && w >= 0 && w < p_.in_w) {
        std::memcpy(to, x + (h * p_.in_w + w) * p_.x_pixel + begin, bytes);
      } else {
        std::memset(to, 0, bytes);
      }
      to += count;
      steps -= count;
      begin = 0;
      ++number;
    }
  }

  const Correlation<T>& p_;
  bool merges_;  // the taps of a row are contiguous where all are in the image
};

}  // namespace

template <class T>
bool copying_windows_pays(const Correlation<T>& p) {
  const index_t depth = p.h.count * p.w.count * p.channels;
  // The kernel and the output have to be matrices.
  const bool whole = p.h.kernel_first == 0 && p.h.kernel_step == 1 && p.w.kernel_first == 0 &&
                     p.w.kernel_step == 1 && p.w.count == p.kernel_w;
  if (!whole || p.kernel_column != 1 || p.kernel_tap != p.channels * p.kernel_channel) return false;
  if (p.y_row != p.w.outputs * p.y_pixel || p.y_image != p.h.outputs * p.y_row) return false;
  // Otherwise copying takes as long as it saves.
  constexpr index_t kFewestColumns = 128, kLeastDepth = 256;
  return p.columns >= kFewestColumns && depth >= kLeastDepth;
}

template <class T>
void correlate_windows(const Correlation<T>& p) {
  const Windows<T> windows(p);
  Gemm<T> product;
  product.m = p.n * p.h.outputs * p.w.outputs;
  product.n = p.columns;
  product.k = p.h.count * p.w.count * p.channels;
  product.source = &windows;
  product.a = nullptr;
  product.a_row = product.a_k = 0;
  product.b = p.kernel;
  product.b_k = p.kernel_channel;
  product.b_n = 1;
  product.c = p.y;
  product.c_row = p.y_pixel;
  product.bias = p.bias;
  product.scaled = p.scaled;
  product.activation = p.activation;
  gemm(product);
}

template bool copying_windows_pays<float>(const Correlation<float>&);
template bool copying_windows_pays<double>(const Correlation<double>&);
template void correlate_windows<float>(const Correlation<float>&);
template void correlate_windows<double>(const Correlation<double>&);

}  // namespace nnfast
