// Tensors that are cut, reversed, rolled or padded: a map of places for each axis.
#pragma once

#include <vector>

#include "ops/tensor/dims.h"

namespace nnfast {

// Successive places along an axis of y that lie at x, x + step, x + 2 step, ... along the same axis
// of x; or nowhere, if x is negative.
struct PlaceRun {
  index_t x, step, length;
};

// y[i, j, ...] = x[m(i), n(j), ...], or a constant where one of the maps leads nowhere.
class Remap {
 public:
  // For each axis the runs that make up its map; none: the axis is that of x, whatever its size.
  explicit Remap(const std::vector<std::vector<PlaceRun>>& axes);

  template <class T>
  void forward(T* y, const T* x, const Dims& x_dims, T constant) const;
  // dx = the sum of dy over all places of y that have the same value of x, in their order in memory.
  template <class T>
  void backward(T* dx, const T* dy, const Dims& x_dims) const;

  // y = x, repeated along the axes where x has size 1 or, on the left, none.
  template <class T>
  static void broadcast(T* y, const Dims& y_dims, const T* x, const Dims& x_dims);

 private:
  struct Run {
    index_t y, x, step, length;
  };
  struct Axis;
  class Layout;
  class OuterPlaces;
  template <class T>
  class Sum;

  template <class T>
  static void copy(T* y, const T* x, Layout* layout, T constant);
  template <class T>
  static void copy_line(T* y, const T* x, const Layout& layout, index_t begin, index_t end,
                        T constant);
  index_t y_size(int axis, const Dims& x_dims) const;

  std::vector<std::vector<Run>> axes_;
};

}  // namespace nnfast
