// Sums, means, maxima, minima and products over any axes of a tensor. Long reductions are cut into
// tiles by shape alone, whose results are reduced in turn: sums stay accurate, all threads share
// the work even of a single result, and its bits do not depend on them.
#pragma once

#include "kernels/params.h"
#include "ops/tensor/axes.h"
#include "ops/tensor/broadcast.h"

namespace nnfast {

// y = x reduced over a set of its axes. In y they are left out or of size 1: its memory is the
// same.
class Reduce {
 public:
  // A mean divides by ddof ("delta degrees of freedom") less than the count.
  Reduce(Reduction function, const Dims& x, AxisSet axes, index_t ddof = 0);

  // Elements of T that forward() needs besides y.
  index_t scratch_size() const;
  // A maximum or minimum of no numbers is an error, a mean of none is NaN.
  template <class T>
  void forward(T* y, const T* x, T* scratch) const;
  // dx from dy, which is destroyed. x and y are read only if reads_values(). Of equal maxima (or
  // minima) the first one gets the gradient; of NaN likewise.
  template <class T>
  void backward(T* dx, T* dy, const T* x, const T* y) const;
  bool reads_values() const { return function_ != Reduction::sum && function_ != Reduction::mean; }

  index_t count() const { return count_; }      // of numbers of x for one of y
  index_t results() const { return results_; }  // the elements of y

 private:
  Reduction function_;
  MergedAxes axes_;
  index_t count_ = 1, results_ = 1, ddof_;
};

}  // namespace nnfast
