// The fraction of correct answers.
#include "plan/train/metrics/answers.h"

namespace nnfast::plan {
namespace {

template <class T>
class Accuracy final : public Metric<T> {
 public:
  Accuracy(const NodeSpec& spec, const MetricSetting& in)
      : reading_(spec, in), all_or_nothing_(spec.integer_or("exact", 0) != 0) {
    if (!reading_.apart) classes_ = Classes<T>(in.capacity * in.positions);
  }

  // NaN if an output is NaN, which is no answer.
  void update(double* state, const Answers<T>& answers) override {
    const LossInputs<T>& in = answers.to_loss;
    if (!reading_.apart) classes_.find(answers);
    if (answers.shares || answers.weights) {
      by_row(state, answers);
      return;
    }
    state[1] += static_cast<double>(in.rows);
    T maximum;
    kernels<T>().fold_rows(&maximum, answers.output, 1, in.rows * in.positions * in.n,
                           Reduction::max);
    if (std::isnan(maximum)) {
      state[0] += std::nan("");
      return;
    }
    index_t right = 0;
    for (index_t i = 0; i < in.rows * in.positions; ++i) right += right_of(answers, i);
    state[0] += static_cast<double>(right) / static_cast<double>(in.positions * in.n);
  }

 private:
  // How many of the n answers of a position are right; all or none of a class.
  index_t right_of(const Answers<T>& answers, index_t i) const {
    const LossInputs<T>& in = answers.to_loss;
    if (!reading_.apart) return classes_.predicted(i) == classes_.truth(i) ? in.n : 0;
    index_t right = 0;
    for (index_t j = 0; j < in.n; ++j)
      right += (answers.output[i * in.n + j] > reading_.threshold) == is_yes(in, i, j);
    return all_or_nothing_ && right < in.n ? 0 : right;
  }

  void by_row(double* state, const Answers<T>& answers) const {
    const LossInputs<T>& in = answers.to_loss;
    double total = 0;
    for (index_t r = 0; r < in.rows; ++r) {
      const double weight = answers.weights ? static_cast<double>(answers.weights[r]) : 1;
      if (weight == 0) continue;
      total += weight * of_row(answers, r);
      state[1] += weight;
    }
    state[0] += total;
  }
  // The share of right answers among the positions that count; NaN where an output of one is NaN.
  double of_row(const Answers<T>& answers, index_t r) const {
    const LossInputs<T>& in = answers.to_loss;
    double sum = 0;
    for (index_t i = r * in.positions; i < (r + 1) * in.positions; ++i) {
      if (answers.shares && answers.shares[i] == 0) continue;
      if (has_nan(answers, i)) return std::nan("");
      const double share = answers.shares ? static_cast<double>(answers.shares[i]) : 1;
      sum += share * static_cast<double>(right_of(answers, i)) / static_cast<double>(in.n);
    }
    return answers.shares ? sum : sum / static_cast<double>(in.positions);
  }

  Reading<T> reading_;
  bool all_or_nothing_;  // a position is right if all its answers are
  Classes<T> classes_;
};

const Registered<MetricKind> registered(metric_kind<Accuracy>("accuracy",
                                                              NNF_READING_ATTRIBUTES " exact",
                                                              can_read_logits));

}  // namespace
}  // namespace nnfast::plan
