// Nadam: Adam with Nesterov's look-ahead.
#include <cmath>

#include "base/thread_pool.h"
#include "kernels/select.h"
#include "plan/train/update_rule.h"

namespace nnfast::plan {
namespace {

constexpr double kCost = 0.6;  // nanoseconds per element, approximately

template <class T>
class Nadam final : public UpdateRule<T> {
 public:
  explicit Nadam(const NodeSpec& spec)
      : beta_1_(fraction(spec, "beta_1", 0.9)),
        beta_2_(fraction(spec, "beta_2", 0.999)),
        momentum_decay_(spec.number_or("momentum_decay", 1)),
        epsilon_(positive_epsilon(spec)) {
    require(momentum_decay_ >= 0 && std::isfinite(momentum_decay_), spec.op,
            ": expected a finite momentum_decay of 0 or more, got ", momentum_decay_);
  }

  std::vector<StateVector> state() const override {
    return {{"m", Holds::gradients}, {"v", Holds::squares}};
  }

  void update(const Stretch<T>& of, double learning_rate) const override {
    const double now = momentum(of.step), next = momentum(of.step + 1);
    const double product = product_of_momenta(of.step);
    const NadamParams p = {learning_rate * next / (1 - product * next),
                           learning_rate * (1 - now) / (1 - product),
                           1 / (1 - std::pow(beta_2_, static_cast<double>(of.step))),
                           beta_1_,
                           beta_2_,
                           epsilon_};
    const double cost = kCost * static_cast<double>(of.size);
    parallel_ranges(of.size, 64, cost, [&](index_t begin, index_t end) {
      kernels<T>().nadam(of.values + begin, of.state[0] + begin, of.state[1] + begin,
                         of.gradients + begin, end - begin, p);
    });
  }

  double gain(double learning_rate) const override {
    return 2 * learning_rate / (1 - beta_1_) / epsilon_;
  }

 private:
  double momentum(uint64_t step) const {
    return beta_1_ * (1 - 0.5 * std::pow(0.96, static_cast<double>(step) * momentum_decay_));
  }

  // Of the steps 1, ..., step. From where it is too small to change 1 - product on, it is constant.
  // Stretches in turn may be at different steps; the order of the factors, and so the bits, are
  // always the same.
  double product_of_momenta(uint64_t step) const {
    constexpr double kVanishes = 0x1p-60;
    if (step < known_step_) {
      known_step_ = 0;
      known_product_ = 1;
    }
    while (known_step_ < step && known_product_ > kVanishes)
      known_product_ *= momentum(++known_step_);
    return known_product_;
  }

  double beta_1_, beta_2_, momentum_decay_, epsilon_;
  mutable uint64_t known_step_ = 0;
  mutable double known_product_ = 1;
};

const Registered<OptimizerKind> registered(
    optimizer_kind<Nadam>("nadam", "beta_1 beta_2 momentum_decay epsilon"));

}  // namespace
}  // namespace nnfast::plan
