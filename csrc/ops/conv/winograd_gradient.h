// The kernel gradient of 3 x 3 convolutions by Winograd's tiles: 16 multiplications for what 4 outputs
// give to 9 taps, instead of 36.
#pragma once

#include "ops/conv/shape.h"

namespace nnfast {

// A gradient is shared by blocks of so many channels.
constexpr index_t kWinogradBlock = 16;

// Channels [first, last) of d_kernel (3, 3, C, O) = the sums over images [begin, end): for each element
// of a tile a chain of fma over images, rows and columns of tiles, then sums of fixed order. With the first
// channels, d_bias (O) too, unless null. Scratch for each thread: 16 (channels times O), and a few dozen
// tiles.
template <class T>
void winograd_kernel_gradient(T* d_kernel, T* d_bias, const T* x, const T* dy, const ConvShape& s,
                              index_t begin, index_t end, index_t first, index_t last);

}  // namespace nnfast
