// 3 x 3 correlations with 16 instead of 36 multiplications for 4 outputs.
#pragma once

#include "ops/conv/correlate.h"

namespace nnfast {

// For three adjacent taps along each axis and steps of 1. Each product is a chain of fma over the
// channels, between sums in a fixed order. The error was 0.3 to 0.5 of that of the direct algorithm
// (float32, 16 to 256 channels), whose chains are nine times as long. An infinity or NaN in x
// affects all 4 outputs of its tiles. Scratch: a few dozen tiles per thread, 16 (channels + columns)
// elements each, and 16 times channels times columns, for small kernels per thread.
template <class T>
void correlate_by_winograd(const Correlation<T>& p);

}  // namespace nnfast
