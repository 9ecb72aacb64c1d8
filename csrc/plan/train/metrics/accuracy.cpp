// The fraction of correct answers.
#include <algorithm>
#include <cmath>

#include "base/aligned.h"
#include "kernels/select.h"
#include "plan/train/metrics.h"

namespace nnfast::plan {
namespace {

template <class T>
class Accuracy final : public Metric<T> {
 public:
  Accuracy(const NodeSpec&, const MetricSetting& in)
      : threshold_(in.output_is_logits ? T(0) : T(0.5)),
        answers_apart_(in.classes == 1 || in.loss.op == "binary_cross_entropy") {
    if (answers_apart_) return;
    const size_t rows = static_cast<size_t>(in.capacity) * static_cast<size_t>(in.positions);
    best_ = AlignedBuffer<int32_t>(rows);
    best_target_ = AlignedBuffer<int32_t>(rows);
  }

  // NaN if an output is NaN, which is no answer.
  void update(double* state, const Answers<T>& answers) override {
    if (answers.shares) {
      state[0] += masked(answers);
      return;
    }
    const LossInputs<T>& in = answers.to_loss;
    const index_t n = in.positions * in.n;
    T maximum;
    kernels<T>().fold_rows(&maximum, answers.output, 1, in.rows * n, Reduction::max);
    if (std::isnan(maximum)) {
      state[0] += std::nan("");
    } else if (answers_apart_) {
      state[0] += static_cast<double>(right_numbers(answers)) / static_cast<double>(n);
    } else {
      state[0] += static_cast<double>(right_classes(answers)) / static_cast<double>(in.positions);
    }
  }

 private:
  // Of the positions that count; NaN where an output of one is NaN.
  double masked(const Answers<T>& answers) {
    const LossInputs<T>& in = answers.to_loss;
    if (!answers_apart_) find_classes(answers);
    double sum = 0;
    for (index_t i = 0; i < in.rows * in.positions; ++i) {
      const T* output = answers.output + i * in.n;
      if (answers.shares[i] == 0) continue;
      if (std::any_of(output, output + in.n, [](T v) { return std::isnan(v); }))
        return std::nan("");
      index_t right = 0;
      for (index_t j = 0; answers_apart_ && j < in.n; ++j) right += is_right(answers, i * in.n + j);
      if (!answers_apart_ && best_.data()[i] == truth_[i]) right = in.n;
      sum += static_cast<double>(answers.shares[i]) * static_cast<double>(right) /
             static_cast<double>(in.n);
    }
    return sum;
  }

  // Each number is a yes-or-no answer, with threshold probability 1/2 or logit 0.
  index_t right_numbers(const Answers<T>& answers) const {
    const LossInputs<T>& in = answers.to_loss;
    index_t right = 0;
    for (index_t i = 0; i < in.rows * in.positions * in.n; ++i) right += is_right(answers, i);
    return right;
  }
  bool is_right(const Answers<T>& answers, index_t i) const {
    const LossInputs<T>& in = answers.to_loss;
    const T target = in.labels ? static_cast<T>(in.labels[i]) : in.targets[i];
    return (answers.output[i] > threshold_) == (target > T(0.5));
  }

  // The largest output of each position, compared with its label or its largest target.
  index_t right_classes(const Answers<T>& answers) {
    const LossInputs<T>& in = answers.to_loss;
    find_classes(answers);
    index_t right = 0;
    for (index_t i = 0; i < in.rows * in.positions; ++i) right += best_.data()[i] == truth_[i];
    return right;
  }
  void find_classes(const Answers<T>& answers) {
    const LossInputs<T>& in = answers.to_loss;
    const index_t all = in.rows * in.positions;
    kernels<T>().argmax_rows(best_.data(), answers.output, all, in.n);
    truth_ = in.labels;
    if (truth_) return;
    kernels<T>().argmax_rows(best_target_.data(), in.targets, all, in.n);
    truth_ = best_target_.data();
  }

  T threshold_;
  bool answers_apart_;  // each output is a separate yes-or-no answer
  AlignedBuffer<int32_t> best_, best_target_;
  const int32_t* truth_ = nullptr;
};

const Registered<MetricKind> registered(
    metric_kind<Accuracy>("accuracy", "", [](const NodeSpec&, const NodeSpec&) { return true; }));

}  // namespace
}  // namespace nnfast::plan
