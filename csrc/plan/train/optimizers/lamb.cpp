// LAMB: the step of Adam, scaled to the norm of each parameter.
#include <algorithm>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/reduce.h"
#include "ops/update.h"
#include "plan/train/update_rule.h"

namespace nnfast::plan {
namespace {

constexpr double kCost = 0.2;  // nanoseconds per element, approximately

template <class T>
class Lamb final : public UpdateRule<T> {
 public:
  explicit Lamb(const NodeSpec& spec)
      : beta_1_(fraction(spec, "beta_1", 0.9)),
        beta_2_(fraction(spec, "beta_2", 0.999)),
        epsilon_(positive_epsilon(spec)) {}

  std::vector<StateVector> state() const override {
    return {{"m", Holds::gradients}, {"v", Holds::squares}};
  }

  bool by_parameter() const override { return true; }
  bool reads_values() const override { return true; }

  void prepare(const std::vector<const Parameter<T>*>& parameters) override {
    index_t largest = 0;
    for (const Parameter<T>* parameter : parameters) largest = std::max(largest, parameter->size);
    direction_ = AlignedBuffer<T>(static_cast<size_t>(largest));
  }

  void update(const Stretch<T>& of, double learning_rate) const override {
    T* const direction = direction_.data();
    std::fill_n(direction, of.size, T(0));
    adam_update<T>(direction, of.state[0], of.state[1], nullptr, of.gradients, of.size, 1, beta_1_,
                   beta_2_, epsilon_, of.step);
    const double wanted = norm_of(of.values, of.size), is = norm_of(direction, of.size);
    const double factor = learning_rate * (wanted > 0 && is > 0 ? wanted / is : 1);
    const double cost = kCost * static_cast<double>(of.size);
    parallel_ranges(of.size, 64, cost, [&](index_t begin, index_t end) {
      kernels<T>().add_scaled(of.values + begin, of.values + begin, direction + begin, end - begin,
                              factor);
    });
  }

  // A move is no longer than its parameter, times the rate, or it is one of Adam.
  double gain(double learning_rate) const override {
    constexpr double kLongest = 0x1p20;  // norm of 2^40 elements, in units of the largest
    return learning_rate * (kLongest + 1 / (1 - beta_1_) / epsilon_);
  }

 private:
  double beta_1_, beta_2_, epsilon_;
  AlignedBuffer<T> direction_;  // of a move
};

const Registered<OptimizerKind> registered(optimizer_kind<Lamb>("lamb", "beta_1 beta_2 epsilon"));

}  // namespace
}  // namespace nnfast::plan
