// Convolution in which every channel has its own filter: groups = channels = filters.
#pragma once

#include "ops/conv/correlate.h"
#include "ops/conv/shape.h"

namespace nnfast {

// y = f(start + sum over taps of x * kernel, scaled), per channel: p.columns = p.channels =
// p.x_pixel. Each element is one chain of fma over (tap row, tap column), starting from the bias.
template <class T>
void correlate_depthwise(const Correlation<T>& p);

// Kernel gradients are divided into blocks of this many channels.
constexpr index_t kDepthwiseBlock = 64;

// Channels [first, last) of d_kernel (KH, KW, C), and of d_bias (C) unless null, = the sums over
// images [begin, end): those of rows of outputs, added in order.
template <class T>
void depthwise_kernel_gradient(T* d_kernel, T* d_bias, const T* x, const T* dy, const ConvShape& s,
                               index_t begin, index_t end, index_t first, index_t last);

}  // namespace nnfast
