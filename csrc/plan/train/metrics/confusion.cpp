// The confusion matrix of classes.
#include "plan/train/metrics/answers.h"

namespace nnfast::plan {
namespace {

// State (K, K): weights of the positions of the class of the row that the network takes for that of
// the column. The first number is NaN if an output is NaN.
template <class T>
class Confusion final : public Metric<T> {
 public:
  Confusion(const NodeSpec&, const MetricSetting& in)
      : k_(in.classes), classes_(in.capacity * in.positions) {}

  size_t state_size() const override { return static_cast<size_t>(k_ * k_); }

  void update(double* state, const Answers<T>& answers) override {
    classes_.find(answers);
    for_positions(answers, [&](index_t i, double weight) {
      state[classes_.truth(i) * k_ + classes_.predicted(i)] += weight;
      if (has_nan(answers, i)) state[0] = std::nan("");
    });
  }

 private:
  index_t k_;
  Classes<T> classes_;
};

const Registered<MetricKind> registered(metric_kind<Confusion>("confusion", "", always));

}  // namespace
}  // namespace nnfast::plan
