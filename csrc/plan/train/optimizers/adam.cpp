// Adam: bias-corrected moving averages of gradients and of their squares.
#include <cmath>

#include "ops/update.h"
#include "plan/train/update_rule.h"

namespace nnfast::plan {
namespace {

template <class T>
class Adam final : public UpdateRule<T> {
 public:
  explicit Adam(const NodeSpec& spec)
      : beta_1_(fraction(spec, "beta_1", 0.9)),
        beta_2_(fraction(spec, "beta_2", 0.999)),
        epsilon_(spec.number_or("epsilon", 1e-7)) {
    require(epsilon_ > 0 && std::isfinite(epsilon_), spec.op,
            ": expected a finite epsilon above 0, got ", epsilon_);
  }

  std::vector<StateVector> state() const override {
    return {{"m", Holds::gradients}, {"v", Holds::squares}};
  }

  void update(const Stretch<T>& of, double learning_rate) const override {
    adam_update(of.values, of.state[0], of.state[1], of.gradients, of.size, learning_rate, beta_1_,
                beta_2_, epsilon_, of.step);
  }

  // The correction of m is largest in the first step.
  double gain(double learning_rate) const override {
    return learning_rate / (1 - beta_1_) / epsilon_;
  }

 private:
  double beta_1_, beta_2_, epsilon_;
};

const Registered<OptimizerKind> registered(optimizer_kind<Adam>("adam", "beta_1 beta_2 epsilon"));

}  // namespace
}  // namespace nnfast::plan
