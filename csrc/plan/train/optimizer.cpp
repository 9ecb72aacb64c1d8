#include "plan/train/optimizer.h"

#include <algorithm>
#include <cstring>

#include "ops/reduce.h"
#include "ops/weights.h"

namespace nnfast::plan {

template <class T>
Optimizer<T>::Optimizer(const NodeSpec& spec,
                        const std::vector<std::unique_ptr<Parameter<T>>>& parameters, T* values,
                        const T* gradients, index_t flat_size, const UpdateOptions& options)
    : parameters_(parameters),
      values_(values),
      gradients_(gradients),
      flat_size_(flat_size),
      rule_(make_update_rule<T>(spec)) {
  constexpr double kMaxSteps = 0x1p32;  // of a plan
  for (const StateVector& what : rule_->state()) {
    state_.push_back({what, AlignedBuffer<T>(static_cast<size_t>(flat_size))});
    if (what.initial != 0)
      std::fill_n(state_.back().numbers.data(), flat_size, static_cast<T>(what.initial));
    if (what.holds == Holds::moves) steps_that_add_up_ = kMaxSteps;
    grows_ = grows_ || what.grows;
  }
  require(state_.size() <= kMaxStateVectors || rule_->searches(), spec.op, ": expected at most ",
          kMaxStateVectors, " state vectors, got ", state_.size());
  std::vector<const Parameter<T>*> all;
  for (const auto& parameter : parameters) {
    all.push_back(parameter.get());
    rates_.push_back(value_or(options.learning_rates, parameter->name, 1));
    largest_rate_ = std::max(largest_rate_, rates_.back());
    const double decay = value_or(options.weight_decays, parameter->name, 0) * rates_.back();
    if (parameter->gradient && decay > 0) add_decay(*parameter, decay);
  }
  rule_->prepare(all);
  set_steps(std::vector<uint64_t>(parameters.size(), 0));
}

// Adjacent parameters with the same decay become one range.
template <class T>
void Optimizer<T>::add_decay(const Parameter<T>& parameter, double amount) {
  constexpr index_t gap = static_cast<index_t>(kAlignment / sizeof(T));
  const index_t begin = parameter.value - values_, end = begin + parameter.size;
  largest_decay_ = std::max(largest_decay_, amount);
  if (!decays_.empty() && decays_.back().amount == amount &&
      begin - (decays_.back().begin + decays_.back().size) < gap) {
    decays_.back().size = end - decays_.back().begin;
  } else {
    decays_.push_back({begin, parameter.size, amount});
  }
}

template <class T>
std::vector<uint64_t> Optimizer<T>::steps() const {
  std::vector<uint64_t> steps = steps_;
  size_t range = 0;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (!parameters_[i]->gradient) continue;
    const index_t begin = parameters_[i]->value - values_;
    while (range + 1 < ranges_.size() && begin >= ranges_[range + 1].begin) ++range;
    steps[i] = ranges_[range].steps;
  }
  return steps;
}

// Adjacent parameters with the same number of steps become one range, including the padding between
// them, which stays as it is, unless the rule looks at single parameters.
template <class T>
void Optimizer<T>::set_steps(std::vector<uint64_t> steps) {
  steps_ = std::move(steps);
  ranges_.clear();
  first_.clear();
  const bool merge = !rule_->by_parameter();
  bool continues = false;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter<T>& parameter = *parameters_[i];
    if (!parameter.gradient) {
      continues = false;
      continue;
    }
    const index_t begin = parameter.value - values_;
    if (merge && continues && ranges_.back().steps == steps_[i] &&
        ranges_.back().rate == rates_[i]) {
      ranges_.back().size = begin + parameter.size - ranges_.back().begin;
    } else {
      ranges_.push_back({begin, parameter.size, steps_[i], rates_[i]});
      first_.push_back(&parameter);
    }
    continues = true;
  }
}

template <class T>
void Optimizer<T>::apply(double learning_rate) {
  for (const Decay& each : decays_)
    decay(values_ + each.begin, each.size, learning_rate * each.amount);
  size_t number = 0;
  for (const TrainedRange& range : ranges_) {
    T* state[kMaxStateVectors];
    for (size_t i = 0; i < state_.size(); ++i) state[i] = state_[i].numbers.data() + range.begin;
    rule_->update({values_ + range.begin, gradients_ + range.begin, state, range.size,
                   range.steps + 1, first_[number++]},
                  learning_rate * range.rate);
  }
}

template <class T>
bool Optimizer<T>::state_is_moderate() const {
  return std::all_of(state_.begin(), state_.end(), [this](const State<T>& state) {
    const T* numbers = state.numbers.data();
    const bool of_squares =
        state.what.holds != Holds::gradients && state.what.holds != Holds::sizes;
    return of_squares ? all_moderate_squares(numbers, flat_size_)
                      : all_moderate(numbers, flat_size_);
  });
}

// Whether moderate gradients leave all finite parameters and the state finite. Adding less than
// half a unit of the largest number keeps finite numbers finite. Means of gradients and of squares
// never exceed the largest of them, and a sum of as many squares as a plan has steps is finite. A
// vector of moves grows in each step, so a move must be small enough for all steps of a plan. Decay
// makes numbers smaller, unless it is more than twice of them.
template <class T>
bool Optimizer<T>::cannot_overflow(double learning_rate) const {
  constexpr double half_unit = sizeof(T) == 4 ? 0x1p103 : 0x1p970, slack = 4;
  return state_is_known_moderate_ && learning_rate * largest_decay_ <= 2 &&
         (!rule_->reads_values() || all_moderate<T>(values_, flat_size_)) &&
         rule_->gain(learning_rate * largest_rate_) * steps_that_add_up_ * slack * kModerate<T> <
             half_unit;
}

template <class T>
typename Optimizer<T>::Overflow Optimizer<T>::update(double learning_rate, bool moderate) {
  if (rule_->searches()) rule_->update({}, learning_rate);  // which raises an error
  // Unknown for a new plan, after numbers that were not moderate, and where numbers grow.
  if (!state_is_known_moderate_) state_is_known_moderate_ = state_is_moderate();
  if (moderate && cannot_overflow(learning_rate)) {
    apply(learning_rate);
    state_is_known_moderate_ = !grows_;
  } else {
    const Overflow found = apply_carefully(learning_rate);
    if (found.parameter) return found;
  }
  for (TrainedRange& range : ranges_) ++range.steps;
  return {};
}

template <class T>
void Optimizer<T>::search(double learning_rate, double loss,
                          const std::function<double()>& evaluate) {
  rule_->search({values_, gradients_, flat_size_, ranges_, state_.data(), evaluate}, loss,
                learning_rate);
  for (TrainedRange& range : ranges_) ++range.steps;
}

// Restores everything after an overflow. This takes three passes over memory and a copy, but only
// for numbers that do not occur in normal training.
template <class T>
typename Optimizer<T>::Overflow Optimizer<T>::apply_carefully(double learning_rate) {
  const size_t size = static_cast<size_t>(flat_size_), bytes = size * sizeof(T);
  std::vector<std::pair<T*, AlignedBuffer<T>>> kept;
  const auto keep = [&](T* vector) {
    kept.emplace_back(vector, AlignedBuffer<T>(size));
    std::memcpy(kept.back().second.data(), vector, bytes);
  };
  keep(values_);
  for (const State<T>& state : state_) keep(state.numbers.data());
  apply(learning_rate);
  const Overflow found = find_overflow();
  if (found.parameter) {
    for (const auto& [vector, copy] : kept) std::memcpy(vector, copy.data(), bytes);
  }
  state_is_known_moderate_ = false;
  return found;
}

template <class T>
typename Optimizer<T>::Overflow Optimizer<T>::find_overflow() const {
  const auto overflows = [this](const Parameter<T>& parameter, const T* vector) {
    const T* part = vector + (parameter.value - values_);
    return parameter.gradient && !all_finite(part, parameter.size);
  };
  const auto in_state = [&](bool of_moves) -> Overflow {
    for (const State<T>& state : state_) {
      if ((state.what.holds == Holds::moves) != of_moves) continue;
      for (const auto& parameter : parameters_) {
        if (overflows(*parameter, state.numbers.data()))
          return {parameter.get(), state.what.name, !of_moves};
      }
    }
    return {};
  };
  // Means of gradients first: if they overflow, everything else may.
  if (const Overflow found = in_state(false); found.parameter) return found;
  for (const auto& parameter : parameters_) {
    if (overflows(*parameter, values_)) return {parameter.get(), "value", false};
  }
  return in_state(true);
}

template class Optimizer<float>;
template class Optimizer<double>;

}  // namespace nnfast::plan
