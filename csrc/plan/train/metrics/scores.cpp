// Histograms of scores, from which the areas under the ROC and the precision-recall curve follow.
#include "plan/train/metrics/answers.h"

namespace nnfast::plan {
namespace {

// Bins in ascending order of the score. Most of them divide [0, 1], by octaves of the distance from
// the nearer end, because the outputs of a trained network crowd there: 1e-5 and 1e-10 must not be
// the same. The others are for scores that are not probabilities. All operations are exact or
// rounded in one way only, so the bins are the same on every machine.
class Bins {
 public:
  explicit Bins(index_t count) : outside_(count / 16), inside_(count - 2 * (count / 16)) {}

  index_t of(double score) const {
    if (score < 0) return part(1 / (1 - score), outside_);
    if (score > 1) return outside_ + inside_ + part(1 - 1 / score, outside_);
    const bool is_low = score <= 0.5;
    const double half = squashed(octaves(is_low ? score : 1 - score)) / 2;
    return outside_ + part(is_low ? 0.5 - half : 0.5 + half, inside_);
  }
  index_t of_logit(double logit) const {
    const double half = squashed(std::abs(logit)) / 2;
    return outside_ + part(logit < 0 ? 0.5 - half : 0.5 + half, inside_);
  }

 private:
  // How often 1/2 was halved to reach x in [0, 1/2], linearly between the powers of 2.
  static double octaves(double x) {
    if (x == 0) return HUGE_VAL;
    int exponent;
    const double fraction = std::frexp(x, &exponent);
    return 1 - exponent - 2 * fraction;
  }
  // x >= 0 as a number in [0, 1].
  static double squashed(double x) {
    constexpr double kMiddle = 4;
    return std::isinf(x) ? 1 : x / (kMiddle + x);
  }
  // Of a place in [0, 1].
  static index_t part(double place, index_t n) {
    return std::min(static_cast<index_t>(place * static_cast<double>(n)), n - 1);
  }

  index_t outside_, inside_;
};

// State: the number of positions, NaN if an output is NaN; for each class, or yes-or-no answer, the
// number of its positions, and the weights of those in each bin, and likewise of the other positions.
template <class T>
class Scores final : public Metric<T> {
 public:
  Scores(const NodeSpec& spec, const MetricSetting& in)
      : apart_(spec.integer("apart") != 0),
        logits_(in.output_is_logits),
        n_(in.classes),
        count_(spec.integer("bins")),
        bins_(count_) {
    require(count_ >= 32, spec.op, ": expected 32 bins or more, got ", count_);
    const index_t positions = in.capacity * in.positions;
    if (apart_) return;
    classes_ = Classes<T>(positions);
    if (logits_) probabilities_ = AlignedBuffer<T>(static_cast<size_t>(positions * n_));
  }

  size_t state_size() const override {
    return 1 + static_cast<size_t>(n_) * (1 + 2 * static_cast<size_t>(count_));
  }

  void update(double* state, const Answers<T>& answers) override {
    const LossInputs<T>& in = answers.to_loss;
    const T* scores = answers.output;
    if (!apart_) classes_.find_truth(in);
    if (!apart_ && logits_) {
      kernels<T>().softmax_forward(probabilities_.data(), scores, in.rows * in.positions, n_,
                                   false);
      scores = probabilities_.data();
    }
    for_positions(answers, [&](index_t i, double weight) {
      if (has_nan(scores + i * n_, n_)) {
        state[0] += std::nan("");
        return;
      }
      state[0] += 1;
      double* own = state + 1;
      for (index_t j = 0; j < n_; ++j, own += 1 + 2 * count_) {
        const bool yes = apart_ ? is_yes(in, i, j) : classes_.truth(i) == j;
        const double score = static_cast<double>(scores[i * n_ + j]);
        const index_t bin = apart_ && logits_ ? bins_.of_logit(score) : bins_.of(score);
        if (yes) own[0] += 1;
        own[1 + (yes ? 0 : count_) + bin] += weight;
      }
    });
  }

 private:
  bool apart_, logits_;
  index_t n_, count_;
  Bins bins_;
  Classes<T> classes_;
  AlignedBuffer<T> probabilities_;  // if the output is logits of classes
};

const Registered<MetricKind> registered(metric_kind<Scores>("scores", "apart bins", never));

}  // namespace
}  // namespace nnfast::plan
