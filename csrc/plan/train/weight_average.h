// A moving average of the trained parameters.
#pragma once

#include "base/aligned.h"
#include "plan/train/optimizer.h"

namespace nnfast::plan {

template <class T>
class WeightAverage {
 public:
  // For the flat vector `values`. Attributes: momentum, overwrite_frequency (0: never).
  WeightAverage(const NodeSpec& spec, T* values, index_t flat_size);

  // After an update, the number of which is counted from 1: average = momentum average + (1 -
  // momentum) value. The first update of a parameter sets its average to the value.
  void follow(const Optimizer<T>& optimizer, uint64_t update);

  T* numbers() { return average_.data(); }  // flat, like the parameters; of trained ones alone

 private:
  T* values_;
  AlignedBuffer<T> average_;
  double momentum_;
  uint64_t overwrite_frequency_;
};

}  // namespace nnfast::plan
