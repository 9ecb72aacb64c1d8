// Optimisers over the flat parameter vector.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/aligned.h"
#include "plan/op.h"

namespace nnfast::plan {

const std::vector<std::string>& optimizer_names();

template <class T>
class Optimizer {
 public:
  // "sgd" (momentum, nesterov) or "adam" (beta_1, beta_2, epsilon), for a network's parameters, which lie
  // from `values` on in flat_size elements, their gradients likewise from `gradients` on.
  Optimizer(const NodeSpec& spec, const std::vector<std::unique_ptr<Parameter<T>>>& parameters,
            T* values, const T* gradients, index_t flat_size);

  // What an update would not leave finite: of a parameter, its "value" or a state vector.
  struct Overflow {
    const Parameter<T>* parameter = nullptr;  // null: nothing
    const char* what = "";
  };

  // One step of each parameter that learns, or none where it overflows: then all is as before. Gradients are
  // finite; `moderate`: and as all_moderate() has them.
  Overflow update(double learning_rate, bool moderate);

  // The state vectors by name: "velocity", or "m" and "v".
  std::vector<std::pair<const char*, T*>> state() const;

  // Number of steps that each parameter has made. Adam corrects its means by it, so that it counts apart for
  // parameters that were frozen for some time.
  std::vector<uint64_t> steps() const;
  void set_steps(std::vector<uint64_t> steps);

 private:
  // A stretch of the flat vector that learns, of parameters with as many steps.
  struct Range {
    index_t begin, size;
    uint64_t steps;
  };

  void apply(double learning_rate);
  Overflow apply_carefully(double learning_rate);
  Overflow find_overflow() const;
  bool cannot_overflow(double learning_rate) const;
  void make_ranges();

  const std::vector<std::unique_ptr<Parameter<T>>>& parameters_;
  T* values_;
  const T* gradients_;
  index_t flat_size_;
  bool adam_;
  double momentum_ = 0;
  bool nesterov_ = false;
  double beta_1_ = 0, beta_2_ = 0, epsilon_ = 0;
  AlignedBuffer<T> first_, second_;
  std::vector<uint64_t> steps_;  // by parameter; of those that learn, their ranges have it
  std::vector<Range> ranges_;
  bool state_is_moderate_ = false;  // as far as is known
};

}  // namespace nnfast::plan
