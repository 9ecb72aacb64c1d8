// Means over rows of figures of targets and outputs that are not losses.
#include <algorithm>
#include <cmath>

#include "base/aligned.h"
#include "plan/train/metrics/answers.h"

namespace nnfast::plan {
namespace {

struct CosineSimilarity {
  explicit CosineSimilarity(const NodeSpec&) {}

  // 0 if all numbers of a side are 0.
  template <class T>
  double operator()(const T* target, const T* output, index_t n) const {
    double both = 0, targets = 0, outputs = 0;
    for (index_t j = 0; j < n; ++j) {
      const double t = static_cast<double>(target[j]), y = static_cast<double>(output[j]);
      both += t * y;
      targets += t * t;
      outputs += y * y;
    }
    const double product = std::sqrt(targets) * std::sqrt(outputs);
    return product == 0 ? 0 : both / product;
  }
};

struct PercentageError {
  explicit PercentageError(const NodeSpec&) {}

  template <class T>
  double operator()(const T* target, const T* output, index_t n) const {
    constexpr double kSmallest = 1e-7;  // as in Keras
    double sum = 0;
    for (index_t j = 0; j < n; ++j) {
      const double t = static_cast<double>(target[j]);
      sum += std::abs(t - static_cast<double>(output[j])) / std::max(std::abs(t), kSmallest);
    }
    return 100 * sum / static_cast<double>(n);
  }
};

// The mean of Figure over the positions of a row that count, and over rows.
template <class T, class Figure>
class RowMean : public Metric<T> {
 public:
  RowMean(const NodeSpec& spec, const MetricSetting& in)
      : figure_(spec), name_(spec.op), values_(static_cast<size_t>(in.capacity)) {}

  void update(double* state, const Answers<T>& answers) override {
    const LossInputs<T>& in = answers.to_loss;
    require(!in.labels, name_,
            ": expected y of the output's shape for this metric, got labels; use one-hot rows");
    means_of_rows(answers, values_.data(), [&](index_t i) {
      return figure_(in.targets + i * in.n, answers.output + i * in.n, in.n);
    });
    this->add_to_mean(state, values_.data(), answers);
  }

 private:
  Figure figure_;
  std::string name_;
  AlignedBuffer<T> values_;
};

template <class T>
using Cosine = RowMean<T, CosineSimilarity>;
template <class T>
using Percentage = RowMean<T, PercentageError>;

const Registered<MetricKind> cosine(metric_kind<Cosine>("cosine_similarity", "", never));
const Registered<MetricKind> percentage(metric_kind<Percentage>("mape", "", never));

}  // namespace
}  // namespace nnfast::plan
