// Counts of answers, from which precision, recall and their relatives follow.
#include "plan/train/metrics/answers.h"

namespace nnfast::plan {
namespace {

// State, in weights of positions that count: all of them, NaN if an output is NaN; of each class, or
// of each yes-or-no answer, the right "yes", all "yes" of the network, and all "yes" of the targets.
template <class T>
class Counts final : public Metric<T> {
 public:
  Counts(const NodeSpec& spec, const MetricSetting& in) : reading_(spec, in), n_(in.classes) {
    if (!reading_.apart) classes_ = Classes<T>(in.capacity * in.positions);
  }

  size_t state_size() const override { return 1 + 3 * static_cast<size_t>(n_); }

  void update(double* state, const Answers<T>& answers) override {
    double* hits = state + 1;
    double* predicted = hits + n_;
    double* truth = predicted + n_;
    if (!reading_.apart) classes_.find(answers);
    for_positions(answers, [&](index_t i, double weight) {
      state[0] += has_nan(answers, i) ? std::nan("") : weight;
      if (reading_.apart) {
        for (index_t j = 0; j < n_; ++j) {
          const bool yes = answers.output[i * n_ + j] > reading_.threshold;
          const bool is = is_yes(answers.to_loss, i, j);
          if (yes) predicted[j] += weight;
          if (is) truth[j] += weight;
          if (yes && is) hits[j] += weight;
        }
      } else {
        const index_t best = classes_.predicted(i), right = classes_.truth(i);
        predicted[best] += weight;
        truth[right] += weight;
        if (best == right) hits[best] += weight;
      }
    });
  }

 private:
  Reading<T> reading_;
  index_t n_;
  Classes<T> classes_;
};

const Registered<MetricKind> registered(metric_kind<Counts>("counts", NNF_READING_ATTRIBUTES,
                                                            can_read_logits));

}  // namespace
}  // namespace nnfast::plan
