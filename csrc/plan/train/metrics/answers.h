// What the metrics of classifiers read from a batch: which positions count, and their classes.
#pragma once

#include <algorithm>
#include <cmath>

#include "base/aligned.h"
#include "kernels/select.h"
#include "plan/train/metrics.h"

namespace nnfast::plan {

// Calls use(position, weight of its row) for the positions that count, in order.
template <class T, class Use>
void for_positions(const Answers<T>& answers, const Use& use) {
  const index_t positions = answers.to_loss.positions;
  for (index_t r = 0; r < answers.to_loss.rows; ++r) {
    const double weight = answers.weights ? static_cast<double>(answers.weights[r]) : 1;
    if (weight == 0) continue;
    for (index_t i = r * positions; i < (r + 1) * positions; ++i) {
      if (!answers.shares || answers.shares[i] != 0) use(i, weight);
    }
  }
}

// values (rows) = the mean of of_position(i) over the positions of a row that count.
template <class T, class OfPosition>
void means_of_rows(const Answers<T>& answers, T* values, const OfPosition& of_position) {
  const index_t positions = answers.to_loss.positions;
  for (index_t r = 0; r < answers.to_loss.rows; ++r) {
    double sum = 0;
    for (index_t i = r * positions; i < (r + 1) * positions; ++i) {
      if (answers.shares && answers.shares[i] == 0) continue;
      const double value = of_position(i);
      sum += answers.shares ? static_cast<double>(answers.shares[i]) * value : value;
    }
    values[r] = static_cast<T>(answers.shares ? sum : sum / static_cast<double>(positions));
  }
}

// Whether an output of a position (n) is NaN, which is no answer.
template <class T>
bool has_nan(const T* output, index_t n) {
  return std::any_of(output, output + n, [](T v) { return std::isnan(v); });
}
template <class T>
bool has_nan(const Answers<T>& answers, index_t position) {
  return has_nan(answers.output + position * answers.to_loss.n, answers.to_loss.n);
}

// Whether the target of an independent yes-or-no output is "yes".
template <class T>
bool is_yes(const LossInputs<T>& in, index_t position, index_t output) {
  if (!in.labels) return in.targets[position * in.n + output] > T(0.5);
  return in.n == 1 ? in.labels[position] > 0 : in.labels[position] == output;
}

// The class of each position: the first of the largest outputs, and its label or the first of the
// largest targets.
template <class T>
class Classes {
 public:
  Classes() = default;
  explicit Classes(index_t positions)
      : best_(static_cast<size_t>(positions)), best_target_(static_cast<size_t>(positions)) {}

  void find(const Answers<T>& answers) {
    const LossInputs<T>& in = answers.to_loss;
    kernels<T>().argmax_rows(best_.data(), answers.output, in.rows * in.positions, in.n);
    find_truth(in);
  }
  void find_truth(const LossInputs<T>& in) {
    truth_ = in.labels;
    if (truth_) return;
    kernels<T>().argmax_rows(best_target_.data(), in.targets, in.rows * in.positions, in.n);
    truth_ = best_target_.data();
  }

  index_t predicted(index_t position) const { return best_.data()[position]; }
  index_t truth(index_t position) const { return truth_[position]; }

 private:
  AlignedBuffer<int32_t> best_, best_target_;
  const int32_t* truth_ = nullptr;
};

// How a metric of yes-or-no answers or of classes reads the outputs.
template <class T>
struct Reading {
  Reading(const NodeSpec& metric, const MetricSetting& in)
      : apart(metric.integer_or("apart", 0) != 0),
        threshold(static_cast<T>(in.output_is_logits ? metric.number_or("logit_threshold", 0)
                                                     : metric.number_or("threshold", 0.5))) {}

  bool apart;  // outputs are independent yes-or-no answers; otherwise the largest is the class
  T threshold;
};
#define NNF_READING_ATTRIBUTES "apart threshold logit_threshold"

// The largest logit is the largest probability, and the logit of a sigmoid has a threshold too; but
// logits of a softmax have none.
inline bool can_read_logits(const NodeSpec& metric, const NodeSpec& loss) {
  return metric.integer_or("apart", 0) == 0 || loss.op != "cross_entropy";
}

}  // namespace nnfast::plan
