// Accumulation of gradients over several batches, the mean of which makes one update.
#pragma once

#include <utility>
#include <vector>

#include "base/aligned.h"
#include "plan/op.h"

namespace nnfast::plan {

template <class T>
class Accumulation {
 public:
  // For the trained ones of the parameters, with gradients in the flat vector.
  Accumulation(index_t batches, const std::vector<std::unique_ptr<Parameter<T>>>& parameters,
               const AlignedBuffer<T>& gradients);

  // Whether this batch completes an update.
  bool completes(uint64_t iteration) const { return (iteration + 1) % batches_ == 0; }
  // The number of updates with this batch.
  uint64_t updates(uint64_t iteration) const { return (iteration + 1) / batches_; }

  // The gradients of a batch become the sum of those since the last update, or, for the batch that
  // completes one, their mean.
  void add(bool completes);
  // Once the step cannot fail any more: keeps that sum, or begins a new one.
  void keep(bool completes);

  T* numbers() { return sum_.data(); }  // flat, like the parameters

 private:
  uint64_t batches_;
  T* gradients_;
  std::vector<std::pair<index_t, index_t>> ranges_;  // begin and size of each that is trained
  AlignedBuffer<T> sum_;
};

}  // namespace nnfast::plan
