// Selection of the algorithm for each pass of a convolution.
//
// It depends on the shape of one image. Algorithms round differently, and the bits must depend
// neither on the instruction set nor on the number of threads or images. The instruction set may
// decide only between algorithms with the same bits.
#pragma once

#include "ops/conv/shape.h"

namespace nnfast {

enum class ConvAlgorithm {
  matmul,     // each pixel separately: one matrix product over all of them (gemm/)
  direct,     // a product whose rows are windows (correlate.h, windows.h, kernel_gradient.cpp)
  pairs,      // direct, with the same bits, for two images in the halves of vectors (pairs.h)
  depthwise,  // one filter per channel: vectors of channels (depthwise.h)
  winograd,   // 3 x 3 windows in tiles of 2 x 2 outputs (winograd.h, winograd_gradient.h)
  fold,       // a product whose columns are windows, summed where they overlap (fold.h)
};

template <class T>
ConvAlgorithm choose_forward(const ConvShape& s);
// With a bias: the forward pass of a transposed convolution that has one.
ConvAlgorithm choose_input_gradient(const ConvShape& s, bool with_bias);
template <class T>
ConvAlgorithm choose_kernel_gradient(const ConvShape& s);

const char* algorithm_name(ConvAlgorithm algorithm);

}  // namespace nnfast
