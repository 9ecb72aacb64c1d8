// The axes of a tensor in another order.
#pragma once

#include <vector>

#include "base/types.h"

namespace nnfast {

// y (rows, ...): axis i of a row of y is axis order[i] of a row of x, whose axes have the sizes `shape`.
template <class T>
class Permutation {
 public:
  Permutation(const std::vector<int64_t>& shape, const std::vector<size_t>& order);
  void operator()(T* y, const T* x, index_t rows) const;

 private:
  // An axis of y, where it lies in y and in x.
  struct Axis {
    index_t size, y_step, x_step;
  };
  void run(T* y, const T* x, index_t piece) const;

  bool keeps_last() const { return last_.x_step == 1; }

  Axis last_{1, 1, 1};       // of y
  Axis inner_{1, 0, 0};      // x's last; where y has that for its last as well, y's last but one
  std::vector<Axis> outer_;  // all others
  index_t size_ = 1, pieces_ = 1,
          parts_ = 1;  // elements of a row, pieces of work, those of one place of `outer_`
};

}  // namespace nnfast
