// Adam: bias-corrected moving averages of gradients and of their squares.
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
        epsilon_(positive_epsilon(spec)),
        amsgrad_(spec.integer_or("amsgrad", 0) != 0) {}

  std::vector<StateVector> state() const override {
    std::vector<StateVector> vectors = {{"m", Holds::gradients}, {"v", Holds::squares}};
    if (amsgrad_) vectors.push_back({"largest_v", Holds::squares});
    return vectors;
  }

  void update(const Stretch<T>& of, double learning_rate) const override {
    adam_update(of.values, of.state[0], of.state[1], amsgrad_ ? of.state[2] : nullptr, of.gradients,
                of.size, learning_rate, beta_1_, beta_2_, epsilon_, of.step);
  }

  // The correction of m is largest in the first step.
  double gain(double learning_rate) const override {
    return learning_rate / (1 - beta_1_) / epsilon_;
  }

 private:
  double beta_1_, beta_2_, epsilon_;
  bool amsgrad_;
};

const Registered<OptimizerKind> registered(optimizer_kind<Adam>("adam",
                                                                "beta_1 beta_2 epsilon amsgrad"));

}  // namespace
}  // namespace nnfast::plan
