// Where the largest or the smallest numbers of a tensor are.
#pragma once

#include "ops/tensor/reduce.h"

namespace nnfast {

// y = the place of the first maximum (or minimum) of x along a set of its axes, counted in the
// order of memory; of the first NaN, where there is one.
class ArgReduce {
 public:
  ArgReduce(bool largest, const Dims& x, AxisSet axes);

  // Elements of T that forward() needs besides y.
  index_t scratch_size() const { return extreme_.results() + extreme_.scratch_size(); }
  // Of no numbers, or of more than T can count, it is an error.
  template <class T>
  void forward(T* y, const T* x, T* scratch) const;

 private:
  bool largest_;
  Reduce extreme_;
  MergedAxes axes_;
};

}  // namespace nnfast
