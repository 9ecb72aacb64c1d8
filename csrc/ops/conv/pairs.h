// Convolutions with so few filters that one image would use less than half of each vector: two
// images at a time, on instruction sets whose vectors can hold both. The bits are those of one
// image at a time.
#pragma once

#include "kernels/params.h"
#include "ops/conv/shape.h"

namespace nnfast {

// The first 2 * pairs images of x and y, on the calling thread.
template <class T>
void conv_forward_pairs(T* y, const T* x, const T* kernel, const T* bias, index_t pairs,
                        const ConvShape& s, const ActivationParams& activation,
                        const ColumnScale<T>& scaled);

// Images, output gradients, and the destination of the sums over them; bias may be null.
template <class T>
struct PairGradient {
  T *kernel, *bias;
  const T *x, *dy;
};

// Sums over pixels are chains of about this many, which are added: whole rows of an image, several
// images, or parts of very long rows. A pass over the kernel's taps keeps the pixels in the
// lower-level caches; with fewer pixels, more rows of a band are copied twice: 16-32@32 with a
// stride of 2 took 3.9 ms with 128 pixels and 3.4 with 256.
constexpr index_t kChainPixels = 256;
index_t images_of_chain(const Window& window);
index_t rows_of_chain(const Window& window);
index_t columns_of_chain(const Window& window);

// The sums over `images` images, a whole number of chains, of each of two sequences.
template <class T>
void conv_kernel_gradient_pair(PairGradient<T> d, PairGradient<T> other, index_t images,
                               const ConvShape& s);

}  // namespace nnfast
