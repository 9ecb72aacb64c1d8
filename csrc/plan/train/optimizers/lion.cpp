// Lion: the sign of a mean of gradients, in which the newest counts more than in the next one.
#include "base/thread_pool.h"
#include "kernels/select.h"
#include "plan/train/update_rule.h"

namespace nnfast::plan {
namespace {

constexpr double kCost = 0.4;  // nanoseconds per element, approximately

template <class T>
class Lion final : public UpdateRule<T> {
 public:
  explicit Lion(const NodeSpec& spec)
      : beta_1_(fraction(spec, "beta_1", 0.9)), beta_2_(fraction(spec, "beta_2", 0.99)) {}

  std::vector<StateVector> state() const override { return {{"m", Holds::gradients}}; }

  void update(const Stretch<T>& of, double learning_rate) const override {
    const LionParams p = {learning_rate, beta_1_, beta_2_};
    const double cost = kCost * static_cast<double>(of.size);
    parallel_ranges(of.size, 64, cost, [&](index_t begin, index_t end) {
      kernels<T>().lion(of.values + begin, of.state[0] + begin, of.gradients + begin, end - begin,
                        p);
    });
  }

  double gain(double learning_rate) const override { return learning_rate; }

 private:
  double beta_1_, beta_2_;
};

const Registered<OptimizerKind> registered(optimizer_kind<Lion>("lion", "beta_1 beta_2"));

}  // namespace
}  // namespace nnfast::plan
