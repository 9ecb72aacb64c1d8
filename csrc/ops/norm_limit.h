// Limits of the Euclidean norms of parts of a tensor.
#pragma once

#include "ops/tensor/reduce.h"

namespace nnfast {

// A norm becomes rate * clip(norm, least, most) + (1 - rate) * norm.
struct NormLimits {
  double least = 0, most = 0, rate = 1;
};

class NormLimit {
 public:
  // Norms are taken along the chosen axes, one for each place of the others.
  NormLimit(const Dims& shape, AxisSet axes)
      : sums_(Reduction::sum, shape, axes), axes_(shape, axes), size_(shape.elements()) {}

  // Elements of T that apply() needs.
  index_t scratch_size() const { return size_ + sums_.results() + sums_.scratch_size(); }
  // x *= new norm / (norm + 1e-7), the formula of Keras; x is finite, and stays finite.
  template <class T>
  void apply(T* x, const NormLimits& limits, T* scratch) const;

 private:
  Reduce sums_;
  MergedAxes axes_;
  index_t size_;
};

}  // namespace nnfast
