// Upsampling by integer factors, and its gradient, on all threads. Kernel: kernels/resample.inl.
#pragma once

#include <string>
#include <vector>

#include "base/types.h"

namespace nnfast {

// nearest repeats each pixel. bilinear interpolates between pixel centers: output o of an axis lies
// at (o + 1/2) / factor - 1/2, and the edge pixels extend beyond the border (Keras, TensorFlow 2).
enum class Interpolation : int { nearest, bilinear };
Interpolation parse_interpolation(const std::string& name, const std::string& where);

// Throws a ValueError that names `where` unless both are positive and the size of the output is
// below 2^30.
void require_upsampling(const std::string& where, int64_t in, int64_t factor);

// A sparse map along one axis, in the kernel's format (ResampleAxis in kernels/params.h).
template <class T>
struct ResampleTable {
  std::vector<T> weights;
  std::vector<index_t> first, count;
  index_t taps = 1, in = 1, out = 1;
};

// x (N, H, W, C) to y (N, H * factor_h, W * factor_w, C), or dy to dx. The tables are computed
// once.
template <class T>
class Upsampling {
 public:
  Upsampling(index_t h, index_t w, index_t factor_h, index_t factor_w, index_t channels,
             Interpolation interpolation);

  void forward(T* y, const T* x, index_t images) const { run(y, x, images, h_, w_); }
  void backward(T* dx, const T* dy, index_t images) const { run(dx, dy, images, dh_, dw_); }

 private:
  void run(T* y, const T* x, index_t images, const ResampleTable<T>& h,
           const ResampleTable<T>& w) const;

  index_t channels_;
  ResampleTable<T> h_, w_, dh_, dw_;
};

}  // namespace nnfast
