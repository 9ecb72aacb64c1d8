// Any loss as a metric, under the name of the loss.
#include "plan/train/loss.h"

#include "base/aligned.h"
#include "plan/train/metrics.h"

namespace nnfast::plan {
namespace {

// Together with the loss of the same name, it reads the same input.
bool is_the_loss(const NodeSpec& metric, const NodeSpec& loss) { return metric.op == loss.op; }

template <class T>
class LossMetric final : public Metric<T> {
 public:
  LossMetric(const NodeSpec& spec, const MetricSetting& in)
      : name_(spec.op),
        reads_prediction_(is_the_loss(spec, in.loss)),
        values_(static_cast<size_t>(in.capacity * in.positions)) {
    // If the loss reads logits, a cross-entropy metric does too, which is exact and accepts labels.
    const bool logits = wants_logits(spec) || (reads_prediction_ && in.loss_reads_logits);
    require(logits || spec.op != "cross_entropy",
            "cross_entropy: expected it as a metric only beside the loss of that name, got ",
            in.loss.op);
    loss_ = loss_options(spec, logits);
  }

  void update(double* state, const Answers<T>& answers) override {
    LossInputs<T> in = answers.to_loss;
    require(!in.labels || loss_.softmax, name_,
            ": expected y of the output's shape for this metric, got labels; use one-hot rows");
    if (!reads_prediction_) in.prediction = answers.output;
    if (answers.shares) {
      masked(state, in, answers);
      return;
    }
    loss_values<T>(values_.data(), nullptr, in, nullptr, 1, loss_);
    this->add_to_mean(state, values_.data(), answers);
  }

 private:
  void masked(double* state, const LossInputs<T>& in, const Answers<T>& answers) {
    const LossInputs<T> positions = positions_as_rows(in);
    loss_values<T>(values_.data(), nullptr, positions, nullptr, 1, loss_);
    const T* value = values_.data();
    const T* share = answers.shares;
    double total = 0;
    for (index_t r = 0; r < in.rows; ++r) {
      const double of_row = answers.weights ? static_cast<double>(answers.weights[r]) : 1;
      state[1] += of_row;
      for (index_t i = 0; i < in.positions; ++i, ++value, ++share) {
        const double weight = of_row * static_cast<double>(weight_of_position(loss_, *share));
        if (weight != 0) total += static_cast<double>(*value) * weight;
      }
    }
    state[0] += total;
  }

  std::string name_;
  bool reads_prediction_;
  LossOptions loss_;
  AlignedBuffer<T> values_;  // of rows, or of positions
};

const Registered<MetricKind> registered(metric_kind<LossMetric>("loss", nullptr, is_the_loss));

}  // namespace
}  // namespace nnfast::plan
