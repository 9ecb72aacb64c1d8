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
    classes_.find_truth(answers.to_loss);
    means_of_rows(answers, values_.data(), [&](index_t i) { return of_position(answers, i); });
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

const Registered<MetricKind> registered(metric_kind<TopK>("top_k", "k", always));

}  // namespace
}  // namespace nnfast::plan
