#include "plan/optimizer.h"

#include <cmath>

#include "ops/update.h"

namespace nnfast::plan {

const std::vector<std::string>& optimizer_names() {
  static const std::vector<std::string> names = {"sgd", "adam"};
  return names;
}

template <class T>
Optimizer<T>::Optimizer(const NodeSpec& spec, index_t flat_size) : adam_(spec.op == "adam") {
  const size_t size = static_cast<size_t>(flat_size);
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
void Optimizer<T>::update(T* parameters, const T* gradients, const std::vector<Range>& ranges,
                          double learning_rate, uint64_t step) {
  for (const Range& range : ranges) {
    T* p = parameters + range.begin;
    const T* g = gradients + range.begin;
    T* first = first_.data() ? first_.data() + range.begin : nullptr;
    if (adam_) {
      adam_update(p, first, second_.data() + range.begin, g, range.size, learning_rate, beta_1_,
                  beta_2_, epsilon_, step);
    } else {
      sgd_update(p, first, g, range.size, {learning_rate, momentum_, nesterov_});
    }
  }
}

template <class T>
std::vector<std::pair<std::string, T*>> Optimizer<T>::state() const {
  if (adam_) return {{"m", first_.data()}, {"v", second_.data()}};
  if (momentum_ > 0) return {{"velocity", first_.data()}};
  return {};
}

template class Optimizer<float>;
template class Optimizer<double>;

}  // namespace nnfast::plan
