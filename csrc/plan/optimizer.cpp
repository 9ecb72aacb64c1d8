#include "plan/optimizer.h"

#include <cmath>
#include <cstring>

#include "ops/reduce.h"
#include "ops/update.h"

namespace nnfast::plan {

const std::vector<std::string>& optimizer_names() {
  static const std::vector<std::string> names = {"sgd", "adam"};
  return names;
}

template <class T>
Optimizer<T>::Optimizer(const NodeSpec& spec,
                        const std::vector<std::unique_ptr<Parameter<T>>>& parameters, T* values,
                        const T* gradients, index_t flat_size)
    : parameters_(parameters),
      values_(values),
      gradients_(gradients),
      flat_size_(flat_size),
      adam_(spec.op == "adam") {
  const size_t size = static_cast<size_t>(flat_size);
  set_steps(std::vector<uint64_t>(parameters.size(), 0));
  const auto within = [&](const char* key, double value) {
    require(value >= 0 && value < 1, spec.op, ": expected 0 <= ", key, " < 1, got ", value);
    return value;
  };
  if (adam_) {
    require_known(spec, "beta_1 beta_2 epsilon");
    beta_1_ = within("beta_1", spec.number_or("beta_1", 0.9));
    beta_2_ = within("beta_2", spec.number_or("beta_2", 0.999));
    epsilon_ = spec.number_or("epsilon", 1e-7);
    require(epsilon_ > 0 && std::isfinite(epsilon_), spec.op,
            ": expected a finite epsilon above 0, got ", epsilon_);
    first_ = AlignedBuffer<T>(size);
    second_ = AlignedBuffer<T>(size);
    return;
  }
  require(spec.op == "sgd", "optimizer: expected sgd or adam, got '", spec.op, "'");
  require_known(spec, "momentum nesterov");
  momentum_ = within("momentum", spec.number_or("momentum", 0));
  nesterov_ = spec.integer_or("nesterov", 0) != 0;
  require(momentum_ > 0 || !nesterov_, spec.op,
          ": expected a momentum above 0 with nesterov, got 0");
  if (momentum_ > 0) first_ = AlignedBuffer<T>(size);
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

// Neighbours of as many steps become one range, with the padding between them, which stays 0.
template <class T>
void Optimizer<T>::set_steps(std::vector<uint64_t> steps) {
  steps_ = std::move(steps);
  ranges_.clear();
  bool continues = false;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter<T>& parameter = *parameters_[i];
    if (!parameter.gradient) {
      continues = false;
      continue;
    }
    const index_t begin = parameter.value - values_;
    if (continues && ranges_.back().steps == steps_[i]) {
      ranges_.back().size = begin + parameter.size - ranges_.back().begin;
    } else {
      ranges_.push_back({begin, parameter.size, steps_[i]});
    }
    continues = true;
  }
}

template <class T>
void Optimizer<T>::apply(double learning_rate) {
  for (const Range& range : ranges_) {
    T* p = values_ + range.begin;
    const T* g = gradients_ + range.begin;
    T* first = first_.data() ? first_.data() + range.begin : nullptr;
    if (adam_) {
      adam_update(p, first, second_.data() + range.begin, g, range.size, learning_rate, beta_1_,
                  beta_2_, epsilon_, range.steps + 1);
    } else {
      sgd_update(p, first, g, range.size, {learning_rate, momentum_, nesterov_});
    }
  }
}

// Whether moderate gradients leave any finite parameter and the state finite. An addend below half a unit of
// the largest number takes no finite number to infinity. A velocity grows by rate * gradient in a step, so
// that it stays small enough for all of a plan's 2^32 steps. Adam's m is a mean of gradients, v one of
// squares, neither beyond the largest, and it moves by rate / (1 - beta_1) * m / epsilon at most.
template <class T>
bool Optimizer<T>::cannot_overflow(double learning_rate) const {
  constexpr double half_unit = sizeof(T) == 4 ? 0x1p103 : 0x1p970, slack = 4;
  if (!state_is_moderate_) return false;
  if (!adam_) return learning_rate * 0x1p32 * slack * kModerate<T> < half_unit;
  return learning_rate / (1 - beta_1_) * slack * kModerate<T> < half_unit * epsilon_;
}

template <class T>
typename Optimizer<T>::Overflow Optimizer<T>::update(double learning_rate, bool moderate) {
  if (!state_is_moderate_) {  // a new plan, or after numbers that were not moderate
    state_is_moderate_ =
        (!first_.data() || (adam_ ? all_moderate(first_.data(), flat_size_)
                                  : all_moderate_squares(first_.data(), flat_size_))) &&
        (!second_.data() || all_moderate_squares(second_.data(), flat_size_));
  }
  if (moderate && cannot_overflow(learning_rate)) {
    apply(learning_rate);
  } else {
    const Overflow found = apply_carefully(learning_rate);
    if (found.parameter) return found;
  }
  for (Range& range : ranges_) ++range.steps;
  return {};
}

// On the way back from an overflow everything is as it was. This takes three passes over memory and more of
// it: it is for numbers that training which goes well does not have.
template <class T>
typename Optimizer<T>::Overflow Optimizer<T>::apply_carefully(double learning_rate) {
  const size_t size = static_cast<size_t>(flat_size_), bytes = size * sizeof(T);
  std::vector<std::pair<T*, AlignedBuffer<T>>> kept;
  for (T* vector : {values_, first_.data(), second_.data()}) {
    if (!vector) continue;
    kept.emplace_back(vector, AlignedBuffer<T>(size));
    std::memcpy(kept.back().second.data(), vector, bytes);
  }
  apply(learning_rate);
  const Overflow found = find_overflow();
  if (found.parameter) {
    for (const auto& [vector, copy] : kept) std::memcpy(vector, copy.data(), bytes);
  }
  state_is_moderate_ = false;
  return found;
}

template <class T>
typename Optimizer<T>::Overflow Optimizer<T>::find_overflow() const {
  auto vectors = state();
  vectors.insert(vectors.begin(), {"value", values_});
  for (const auto& [what, vector] : vectors) {
    for (const auto& parameter : parameters_) {
      const T* part = vector + (parameter->value - values_);
      if (parameter->gradient && !all_finite(part, parameter->size)) return {parameter.get(), what};
    }
  }
  return {};
}

template <class T>
std::vector<std::pair<const char*, T*>> Optimizer<T>::state() const {
  if (adam_) return {{"m", first_.data()}, {"v", second_.data()}};
  if (momentum_ > 0) return {{"velocity", first_.data()}};
  return {};
}

template class Optimizer<float>;
template class Optimizer<double>;

}  // namespace nnfast::plan
