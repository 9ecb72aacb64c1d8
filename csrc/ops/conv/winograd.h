// 3 x 3 correlations with 16 multiplications for 4 outputs instead of 36.
#pragma once

#include "ops/conv/correlate.h"

namespace nnfast {

// For three neighbouring taps along each axis and steps of 1. Each product is a chain of fma over the channels; what is around it are sums of fixed order. The
// error was .3 to .5 of the direct way's (float32, 16 to 256 channels), whose chains are nine times as
// long. An infinity or NaN in x reaches all 4 outputs of its tiles. Scratch for each thread: a few
// dozen tiles, 16 (channels + columns) numbers each, and up to 32 times channels times columns.
template <class T>
void correlate_by_winograd(const Correlation<T>& p);

}  // namespace nnfast
