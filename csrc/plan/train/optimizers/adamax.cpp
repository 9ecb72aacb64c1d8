// Adamax: Adam with a decaying maximum of absolute gradients instead of a mean of squares.
#include <cmath>

#include "base/thread_pool.h"
#include "kernels/select.h"
#include "plan/train/update_rule.h"

namespace nnfast::plan {
namespace {

constexpr double kCost = 0.6;  // nanoseconds per element, approximately

template <class T>
class Adamax final : public UpdateRule<T> {
 public:
  explicit Adamax(const NodeSpec& spec)
      : beta_1_(fraction(spec, "beta_1", 0.9)),
        beta_2_(fraction(spec, "beta_2", 0.999)),
        epsilon_(positive_epsilon(spec)) {}

  std::vector<StateVector> state() const override {
    return {{"m", Holds::gradients}, {"u", Holds::sizes}};
  }

  void update(const Stretch<T>& of, double learning_rate) const override {
    const double rate = learning_rate / (1 - std::pow(beta_1_, static_cast<double>(of.step)));
    const AdamaxParams p = {rate, beta_1_, beta_2_, epsilon_};
    const double cost = kCost * static_cast<double>(of.size);
    parallel_ranges(of.size, 64, cost, [&](index_t begin, index_t end) {
      kernels<T>().adamax(of.values + begin, of.state[0] + begin, of.state[1] + begin,
                          of.gradients + begin, end - begin, p);
    });
  }

  double gain(double learning_rate) const override {
    return learning_rate / (1 - beta_1_) / epsilon_;
  }

 private:
  double beta_1_, beta_2_, epsilon_;
};

const Registered<OptimizerKind> registered(optimizer_kind<Adamax>("adamax",
                                                                  "beta_1 beta_2 epsilon"));

}  // namespace
}  // namespace nnfast::plan
