// The input gradient of a convolution as one matrix product for each row of dy and a sum of
// overlapping windows. It wastes nothing on padding and fills whole vectors even with few channels.
#pragma once

#include "kernels/params.h"
#include "ops/conv/shape.h"

namespace nnfast {

// dx = f(transpose of the convolution applied to dy). For one group and no dilation. Each element
// is a sum over (tap row, tap column) of chains over the filters.
template <class T>
void conv_input_gradient_folded(T* dx, const T* dy, const T* kernel, index_t n, const ConvShape& s,
                                const ActivationParams& activation);

}  // namespace nnfast
