// The correlation that computes both the forward pass of a convolution and its input gradient.
#pragma once

#include "kernels/params.h"

namespace nnfast {

// Taps along an axis: tap t reads the input at output position * `step` + `first` + t * `spacing`
// and uses the kernel index `kernel_first` + t * `kernel_step`.
struct AxisTaps {
  index_t count = 1, first = 0, spacing = 1, step = 1;
  index_t kernel_first = 0, kernel_step = 1;
  index_t outputs = 1;  // positions

  // The input positions read by all outputs: [lowest(), lowest() + width(outputs)).
  index_t lowest() const { return first; }
  index_t width(index_t positions) const {
    return (positions - 1) * step + (count - 1) * spacing + 1;
  }
};

// y (N, h.outputs, w.outputs, columns) = start + sum over taps and channels of x * kernel. Strides
// in elements. Pixels outside x count as 0.
template <class T>
struct Correlation {
  AxisTaps h, w;
  index_t n;
  const T* x;  // (N, in_h, in_w, x_pixel); the first `channels` of each pixel are read
  index_t in_h, in_w, x_pixel, channels;
  const T* kernel;  // element (kernel index, channel, column)
  index_t kernel_w, kernel_tap, kernel_channel, kernel_column;
  T* y;
  index_t y_image, y_row, y_pixel, columns;
  const T* bias = nullptr;  // (columns)
  ColumnScale<T> scaled = {};
  ActivationParams activation = {Activation::identity, 0};
};

// An implicit matrix product: pixels by taps and channels, times taps and channels by columns. An
// element is one chain of fma over (tap row, tap column, channel). Scratch per thread: a panel of
// the kernel, and a band of rows of a padded image.
template <class T>
void correlate(const Correlation<T>& p);

// Copies rows [row, row + rows) and columns [column, column + columns) of images (in_h, in_w,
// x_pixel) contiguously, `channels` of each pixel, with zeros outside the image.
template <class T>
struct Band {
  const T* x;
  index_t in_h, in_w, x_pixel, channels;
  index_t row, rows, column, columns;
};
template <class T>
void copy_band(T* out, const Band<T>& band);

}  // namespace nnfast
