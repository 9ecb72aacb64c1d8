// Zero padding and cropping of images. These are only copies, so there are no kernels.
#pragma once

#include "base/types.h"

namespace nnfast {

struct Margins {
  index_t top = 0, bottom = 0, left = 0, right = 0;
};

// y (N, top + H + bottom, left + W + right, C): x (N, H, W, C) padded with zeros.
template <class T>
void pad_images(T* y, const T* x, index_t images, index_t h, index_t w, index_t channels,
                const Margins& margins);

// x (N, H, W, C): y (N, top + H + bottom, left + W + right, C) cropped.
template <class T>
void crop_images(T* x, const T* y, index_t images, index_t h, index_t w, index_t channels,
                 const Margins& margins);

}  // namespace nnfast
