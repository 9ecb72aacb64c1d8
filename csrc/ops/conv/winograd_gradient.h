// The kernel gradient of 3 x 3 convolutions by Winograd tiles: 16 instead of 36 multiplications for
// the contributions of 4 outputs to 9 taps.
#pragma once

#include "ops/conv/shape.h"

namespace nnfast {

// A gradient is divided into blocks of this many channels.
constexpr index_t kWinogradBlock = 16;

// Channels [first, last) of d_kernel (3, 3, C, O) = the sums over images [begin, end): for each
// element of a tile a chain of fma over images, rows and columns of tiles, then sums in a fixed
// order. With the first channels also d_bias (O), unless null. Scratch per thread: 16 (channels
// times O), and a few dozen tiles.
template <class T>
void winograd_kernel_gradient(T* d_kernel, T* d_bias, const T* x, const T* dy, const ConvShape& s,
                              index_t begin, index_t end, index_t first, index_t last);

}  // namespace nnfast
