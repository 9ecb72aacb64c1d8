// Adadelta: moves have the size of earlier moves, and gradients are divided by the root of a moving
// average of their squares.
#include <cmath>

#include "base/thread_pool.h"
#include "kernels/select.h"
#include "plan/train/update_rule.h"

namespace nnfast::plan {
namespace {

constexpr double kCost = 0.6;  // nanoseconds per element, approximately

template <class T>
class Adadelta final : public UpdateRule<T> {
 public:
  explicit Adadelta(const NodeSpec& spec)
      : rho_(fraction(spec, "rho", 0.95)), epsilon_(positive_epsilon(spec)) {}

  std::vector<StateVector> state() const override {
    return {{"v", Holds::squares}, {"u", Holds::squares, 0, true}};
  }

  void update(const Stretch<T>& of, double learning_rate) const override {
    const AdadeltaParams p = {learning_rate, rho_, epsilon_};
    const double cost = kCost * static_cast<double>(of.size);
    parallel_ranges(of.size, 64, cost, [&](index_t begin, index_t end) {
      kernels<T>().adadelta(of.values + begin, of.state[0] + begin, of.state[1] + begin,
                            of.gradients + begin, end - begin, p);
    });
  }

  // By the definition of v, |g| <= sqrt(v / (1 - rho)), and u is the square of a moderate number.
  double gain(double learning_rate) const override {
    return learning_rate * 2 / std::sqrt(1 - rho_) * (1 + std::sqrt(epsilon_));
  }

 private:
  double rho_, epsilon_;
};

const Registered<OptimizerKind> registered(optimizer_kind<Adadelta>("adadelta", "rho epsilon"));

}  // namespace
}  // namespace nnfast::plan
