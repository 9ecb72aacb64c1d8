// Gradient descent, optionally with momentum, also in Nesterov's form.
#include "ops/update.h"
#include "plan/train/update_rule.h"

namespace nnfast::plan {
namespace {

template <class T>
class Sgd final : public UpdateRule<T> {
 public:
  explicit Sgd(const NodeSpec& spec)
      : momentum_(fraction(spec, "momentum", 0)), nesterov_(spec.integer_or("nesterov", 0) != 0) {
    require(momentum_ > 0 || !nesterov_, spec.op,
            ": expected a momentum above 0 with nesterov, got 0");
  }

  std::vector<StateVector> state() const override {
    if (momentum_ == 0) return {};
    return {{"velocity", Holds::moves}};
  }

  void update(const Stretch<T>& of, double learning_rate) const override {
    T* velocity = momentum_ > 0 ? of.state[0] : nullptr;
    sgd_update(of.values, velocity, of.gradients, of.size, {learning_rate, momentum_, nesterov_});
  }

  double gain(double learning_rate) const override { return learning_rate; }

 private:
  double momentum_;
  bool nesterov_;
};

const Registered<OptimizerKind> registered(optimizer_kind<Sgd>("sgd", "momentum nesterov"));

}  // namespace
}  // namespace nnfast::plan
