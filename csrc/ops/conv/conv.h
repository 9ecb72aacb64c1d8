// Convolution over images (N, H, W, C) with kernels (KH, KW, C / groups, O), and its gradients.
#pragma once

#include <string>

#include "base/aligned.h"
#include "kernels/params.h"
#include "ops/window.h"

namespace nnfast {

// The geometry for one image; y is (N, window.h.out, window.w.out, out_channels).
struct ConvShape {
  Window window;
  index_t in_channels = 1, out_channels = 1, groups = 1;

  index_t in_size() const { return window.h.in * window.w.in * in_channels; }
  index_t out_size() const { return window.h.out * window.w.out * out_channels; }
  index_t kernel_size() const {
    return window.h.kernel * window.w.kernel * (in_channels / groups) * out_channels;
  }
  // Of the kernel as a matrix (taps and channels, out_channels).
  index_t kernel_rows() const { return kernel_size() / out_channels; }
  // Of a forward pass of one image.
  double operations() const;
};

// Throws a ValueError that names `place` where the padding is much larger than the image, as of a
// dilated window beyond all measure: padded rows go through scratch memory.
void require_bounded_padding(const std::string& place, const Window& window);

// y = f(x * kernel + bias), its channels scaled before f. Each element is one chain of fma over (tap
// row, tap column, channel), from the bias.
template <class T>
void conv_forward(T* y, const T* x, const T* kernel, const T* bias, index_t n, const ConvShape& s,
                  const ActivationParams& activation, const ColumnScale<T>& scaled = {});

// dx = f(dy spread back through the kernel + bias): the gradient at the input, and with bias and
// activation the forward pass of a transposed convolution.
template <class T>
void conv_input_gradient(T* dx, const T* dy, const T* kernel, const T* bias, index_t n,
                         const ConvShape& s, const ActivationParams& activation);

// Partial sums of kernel gradients: the batch is cut into slabs by its shape alone, so that the bits
// do not depend on the threads that share them.
template <class T>
class ConvKernelGradient {
 public:
  // d_kernel = sum over the batch; d_bias too, unless null. Whether d_kernel is moderate: ops/reduce.h.
  // Allocates with the first call and where the batch grows.
  bool operator()(T* d_kernel, T* d_bias, const T* x, const T* dy, index_t n, const ConvShape& s);

 private:
  AlignedBuffer<T> partial_;
};

}  // namespace nnfast
