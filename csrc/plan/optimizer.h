// Optimisers over the flat parameter vector.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/aligned.h"
#include "plan/spec.h"

namespace nnfast::plan {

const std::vector<std::string>& optimizer_names();

// A stretch of the flat vector that learns.
struct Range {
  index_t begin, size;
};

template <class T>
class Optimizer {
 public:
  // "sgd" (momentum, nesterov) or "adam" (beta_1, beta_2, epsilon), for vectors of flat_size.
  Optimizer(const NodeSpec& spec, index_t flat_size);

  // One step, number `step` counted from 1, over the ranges.
  void update(T* parameters, const T* gradients, const std::vector<Range>& ranges,
              double learning_rate, uint64_t step);

  // The state vectors by name: "velocity", or "m" and "v".
  std::vector<std::pair<std::string, T*>> state() const;

 private:
  bool adam_;
  double momentum_ = 0;
  bool nesterov_ = false;
  double beta_1_ = 0, beta_2_ = 0, epsilon_ = 0;
  AlignedBuffer<T> first_, second_;
};

}  // namespace nnfast::plan
