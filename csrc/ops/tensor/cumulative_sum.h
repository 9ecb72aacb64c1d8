// Sums of all numbers up to each place of an axis.
#pragma once

#include "ops/tensor/dims.h"

namespace nnfast {

struct CumulativeSum {
  int axis = 0;
  bool reverse = false;    // from the end of the axis
  bool exclusive = false;  // without the number at the place itself

  // y from x, both of the sizes `dims`; y may be x. One chain in float64 along the axis.
  template <class T>
  void forward(T* y, const T* x, const Dims& dims) const;
  // dx from dy, likewise.
  template <class T>
  void backward(T* dx, const T* dy, const Dims& dims) const {
    CumulativeSum{axis, !reverse, exclusive}.forward(dx, dy, dims);
  }
};

}  // namespace nnfast
