// An optimizer applied to a plan's flat parameter vector: everything that update rules have in
// common.
#pragma once

#include <utility>

#include "plan/op.h"
#include "plan/train/update_options.h"
#include "plan/train/update_rule.h"

namespace nnfast::plan {

template <class T>
class Optimizer {
 public:
  // For the parameters of a network, flat_size elements starting at `values`, with gradients
  // starting at `gradients`.
  Optimizer(const NodeSpec& spec, const std::vector<std::unique_ptr<Parameter<T>>>& parameters,
            T* values, const T* gradients, index_t flat_size, const UpdateOptions& options);

  // A value that an update would make non-finite: the "value" of a parameter, or a state vector.
  struct Overflow {
    const Parameter<T>* parameter = nullptr;  // null: nothing
    const char* what = "";
    bool whatever_the_rate = false;  // the gradients are too large for any learning rate
  };

  // One step of each trained parameter, or none if it overflows, which leaves everything unchanged.
  // Gradients are finite and, with `moderate`, moderate in the sense of all_moderate().
  Overflow update(double learning_rate, bool moderate);

  // Whether a step is a call of search() instead of update().
  bool searches() const { return rule_->searches(); }
  // One step from the given loss and the gradients; see Search.
  void search(double learning_rate, double loss, const std::function<double()>& evaluate);

  const std::vector<State<T>>& state() const { return state_; }

  // Number of steps of each parameter. Adam uses it for its bias correction, so it is counted
  // separately for parameters that were frozen for some time.
  std::vector<uint64_t> steps() const;
  void set_steps(std::vector<uint64_t> steps);
  const std::vector<TrainedRange>& ranges() const { return ranges_; }

 private:
  // A range with decoupled decay: values -= learning rate * amount * values, before the update.
  struct Decay {
    index_t begin, size;
    double amount;
  };

  void add_decay(const Parameter<T>& parameter, double amount);
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
  std::vector<State<T>> state_;
  double steps_that_add_up_ = 1;  // number of moves whose sum a state vector must hold
  std::vector<uint64_t> steps_;   // by parameter; for trained ones, their ranges have it
  std::vector<double> rates_;     // factors of the learning rate, by parameter
  std::vector<TrainedRange> ranges_;
  std::vector<const Parameter<T>*> first_;  // the first parameter of each range
  std::vector<Decay> decays_;
  double largest_rate_ = 1, largest_decay_ = 0;
  bool grows_ = false;  // whether a state vector does
  bool state_is_known_moderate_ = false;
};

}  // namespace nnfast::plan
