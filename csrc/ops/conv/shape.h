// The geometry of a convolution.
#pragma once

#include <string>

#include "ops/window.h"

namespace nnfast {

// For one image; y is (N, window.h.out, window.w.out, out_channels).
struct ConvShape {
  Window window;
  index_t in_channels = 1, out_channels = 1, groups = 1;

  index_t in_size() const { return window.h.in * window.w.in * in_channels; }
  index_t out_size() const { return window.h.out * window.w.out * out_channels; }
  index_t kernel_size() const {
    return window.h.kernel * window.w.kernel * (in_channels / groups) * out_channels;
  }
  // Rows of the kernel as a matrix (taps and channels, out_channels).
  index_t kernel_rows() const { return kernel_size() / out_channels; }
  // Operations of the forward pass of one image.
  double operations() const {
    return 2.0 * static_cast<double>(window.h.out * window.w.out) *
           static_cast<double>(kernel_size());
  }
};

// Throws a ValueError that names `where` if the padding is much larger than the image, for example
// because of an extreme dilation: padded rows are copied to scratch memory.
void require_bounded_padding(const std::string& where, const Window& window);

}  // namespace nnfast
