// An optimiser at work on a plan's flat parameter vector: what all update rules have in common.
#pragma once

#include <utility>

#include "base/aligned.h"
#include "plan/op.h"
#include "plan/train/update_rule.h"

namespace nnfast::plan {

template <class T>
class Optimizer {
 public:
  // For a network's parameters, which lie from `values` on in flat_size elements, their gradients likewise from
  // `gradients` on.
  Optimizer(const NodeSpec& spec, const std::vector<std::unique_ptr<Parameter<T>>>& parameters,
            T* values, const T* gradients, index_t flat_size);

  // What an update would not leave finite: of a parameter, its "value" or a state vector.
  struct Overflow {
    const Parameter<T>* parameter = nullptr;  // null: nothing
    const char* what = "";
    bool whatever_the_rate = false;  // the gradients alone are too large for it
  };

  // One step of each parameter that learns, or none where it overflows: then all is as before. Gradients are
  // finite; `moderate`: and as all_moderate() has them.
  Overflow update(double learning_rate, bool moderate);

  struct State {
    StateVector what;
    AlignedBuffer<T> numbers;  // flat, like the parameters
  };
  const std::vector<State>& state() const { return state_; }

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
  bool state_is_moderate() const;
  bool cannot_overflow(double learning_rate) const;

  const std::vector<std::unique_ptr<Parameter<T>>>& parameters_;
  T* values_;
  const T* gradients_;
  index_t flat_size_;
  std::unique_ptr<UpdateRule<T>> rule_;
  std::vector<State> state_;
  double steps_that_add_up_ = 1;  // of moves, in a state vector of them
  std::vector<uint64_t> steps_;   // by parameter; of those that learn, their ranges have it
  std::vector<Range> ranges_;
  bool state_is_known_moderate_ = false;
};

}  // namespace nnfast::plan
