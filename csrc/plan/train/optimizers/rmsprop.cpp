// RMSprop: gradients divided by the root of a moving average of their squares, or of their
// variance.
#include <cmath>

#include "base/thread_pool.h"
#include "kernels/select.h"
#include "plan/train/update_rule.h"

namespace nnfast::plan {
namespace {

constexpr double kCost = 0.6;  // nanoseconds per element, approximately

template <class T>
class Rmsprop final : public UpdateRule<T> {
 public:
  explicit Rmsprop(const NodeSpec& spec)
      : rho_(fraction(spec, "rho", 0.9)),
        momentum_(fraction(spec, "momentum", 0)),
        epsilon_(positive_epsilon(spec)),
        centered_(spec.integer_or("centered", 0) != 0) {}

  std::vector<StateVector> state() const override {
    std::vector<StateVector> vectors = {{"v", Holds::squares}};
    if (centered_) vectors.push_back({"m", Holds::gradients});
    if (momentum_ > 0) vectors.push_back({"velocity", Holds::moves});
    return vectors;
  }

  void update(const Stretch<T>& of, double learning_rate) const override {
    const RmspropParams p = {learning_rate, rho_, momentum_, epsilon_};
    T* const v = of.state[0];
    T* const m = centered_ ? of.state[1] : nullptr;
    T* const velocity = momentum_ > 0 ? of.state[centered_ ? 2 : 1] : nullptr;
    const double cost = kCost * static_cast<double>(of.size);
    parallel_ranges(of.size, 64, cost, [&](index_t begin, index_t end) {
      kernels<T>().rmsprop(of.values + begin, v + begin, m ? m + begin : nullptr,
                           velocity ? velocity + begin : nullptr, of.gradients + begin, end - begin,
                           p);
    });
  }

  double gain(double learning_rate) const override { return learning_rate / std::sqrt(epsilon_); }

 private:
  double rho_, momentum_, epsilon_;
  bool centered_;
};

const Registered<OptimizerKind> registered(
    optimizer_kind<Rmsprop>("rmsprop", "rho momentum epsilon centered"));

}  // namespace
}  // namespace nnfast::plan
