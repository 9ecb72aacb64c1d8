// Adagrad: gradients divided by the root of the sum of all their squares.
#include <cmath>

#include "base/thread_pool.h"
#include "kernels/select.h"
#include "plan/train/update_rule.h"

namespace nnfast::plan {
namespace {

constexpr double kCost = 0.4;           // nanoseconds per element, approximately
constexpr double kLargestStart = 1e20;  // moderate in float32

template <class T>
class Adagrad final : public UpdateRule<T> {
 public:
  explicit Adagrad(const NodeSpec& spec)
      : start_(spec.number_or("initial_accumulator_value", 0.1)), epsilon_(positive_epsilon(spec)) {
    require(start_ >= 0 && start_ < kLargestStart, spec.op,
            ": expected 0 <= initial_accumulator_value < 1e20, got ", start_);
  }

  std::vector<StateVector> state() const override { return {{"v", Holds::squares, start_}}; }

  void update(const Stretch<T>& of, double learning_rate) const override {
    const AdagradParams p = {learning_rate, epsilon_};
    const double cost = kCost * static_cast<double>(of.size);
    parallel_ranges(of.size, 64, cost, [&](index_t begin, index_t end) {
      kernels<T>().adagrad(of.values + begin, of.state[0] + begin, of.gradients + begin,
                           end - begin, p);
    });
  }

  double gain(double learning_rate) const override { return learning_rate / std::sqrt(epsilon_); }

 private:
  double start_, epsilon_;
};

const Registered<OptimizerKind> registered(
    optimizer_kind<Adagrad>("adagrad", "initial_accumulator_value epsilon"));

}  // namespace
}  // namespace nnfast::plan
