// The fraction of positions whose class is among the k with the largest outputs.
#include "plan/train/metrics/answers.h"

namespace nnfast::plan {
namespace {

// The mean over rows of the mean over positions. Of equal outputs, that of the smaller class counts
// as larger, so that k = 1 is the accuracy.
template <class T>
class TopK final : public Metric<T> {
 public:
  TopK(const NodeSpec& spec, const MetricSetting& in)
      : k_(spec.integer("k")),
        classes_(in.capacity * in.positions),
        values_(static_cast<size_t>(in.capacity)) {}

  void update(double* state, const Answers<T>& answers) override {
    const LossInputs<T>& in = answers.to_loss;
    classes_.find_truth(in);
    for (index_t r = 0; r < in.rows; ++r) {
      double sum = 0;
      for (index_t i = r * in.positions; i < (r + 1) * in.positions; ++i) {
        if (answers.shares && answers.shares[i] == 0) continue;
        const double value = of_position(answers, i);
        sum += answers.shares ? static_cast<double>(answers.shares[i]) * value : value;
      }
      values_.data()[r] =
          static_cast<T>(answers.shares ? sum : sum / static_cast<double>(in.positions));
    }
    this->add_to_mean(state, values_.data(), answers);
  }

 private:
  double of_position(const Answers<T>& answers, index_t i) const {
    if (has_nan(answers, i)) return std::nan("");
    const index_t n = answers.to_loss.n, truth = classes_.truth(i);
    const T* output = answers.output + i * n;
    index_t larger = 0;
    for (index_t j = 0; j < n; ++j)
      larger += output[j] > output[truth] || (output[j] == output[truth] && j < truth);
    return larger < k_ ? 1 : 0;
  }

  index_t k_;
  Classes<T> classes_;
  AlignedBuffer<T> values_;
};

const Registered<MetricKind> registered(
    metric_kind<TopK>("top_k", "k", [](const NodeSpec&, const NodeSpec&) { return true; }));

}  // namespace
}  // namespace nnfast::plan
