// Convolution over images (N, H, W, C) with kernels (KH, KW, C / groups, O), and its gradients.
#pragma once

#include "base/aligned.h"
#include "kernels/params.h"
#include "ops/conv/shape.h"

namespace nnfast {

// y = f(x * kernel + bias), with channels scaled before f. Each element is one chain of fma over
// (tap row, tap column, channel), starting from the bias.
template <class T>
void conv_forward(T* y, const T* x, const T* kernel, const T* bias, index_t n, const ConvShape& s,
                  const ActivationParams& activation, const ColumnScale<T>& scaled = {});

// dx = f(transpose of the convolution applied to dy + bias): the input gradient, and with bias and
// activation the forward pass of a transposed convolution.
template <class T>
void conv_input_gradient(T* dx, const T* dy, const T* kernel, const T* bias, index_t n,
                         const ConvShape& s, const ActivationParams& activation);

// Partial sums of kernel gradients: the batch is divided into slabs by its shape alone, so that the
// bits do not depend on the number of threads.
template <class T>
class ConvKernelGradient {
 public:
  // d_kernel = sum over the batch; also d_bias, unless null. Returns whether d_kernel is moderate:
  // ops/reduce.h. Allocates memory in the first call and when the batch grows.
  bool operator()(T* d_kernel, T* d_bias, const T* x, const T* dy, index_t n, const ConvShape& s);

 private:
  AlignedBuffer<T> partial_;
};

}  // namespace nnfast
