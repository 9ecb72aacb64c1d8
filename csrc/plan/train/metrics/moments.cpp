// Sums of squares of targets around their mean, and of errors, from which R^2 follows.
#include <algorithm>

#include "plan/train/metrics/answers.h"

namespace nnfast::plan {
namespace {

// State: the weight of the positions that count; of each output the mean of the targets, the sum of
// their squared distances from it, and the sum of the squared errors.
//
// Sums of t^2 and t would cancel where the mean is large. West (1979), Updating mean and variance
// estimates, DOI 10.1145/359146.359153; merging as in Chan, Golub and LeVeque (1983), Algorithms for
// computing the sample variance, DOI 10.1080/00031305.1983.10483115.
template <class T>
class Moments final : public Metric<T> {
 public:
  Moments(const NodeSpec&, const MetricSetting& in) : n_(in.classes) {}

  size_t state_size() const override { return 1 + 3 * static_cast<size_t>(n_); }

  void update(double* state, const Answers<T>& answers) override {
    const LossInputs<T>& in = answers.to_loss;
    require(!in.labels, "r2: expected y of the output's shape for this metric, got labels");
    double *mean = state + 1, *spread = mean + n_, *error = spread + n_;
    for_positions(answers, [&](index_t i, double weight) {
      state[0] += weight;
      const double share = weight / state[0];
      const T *target = in.targets + i * n_, *output = answers.output + i * n_;
      for (index_t j = 0; j < n_; ++j) {
        const double t = static_cast<double>(target[j]);
        const double distance = t - mean[j], residual = t - static_cast<double>(output[j]);
        mean[j] += share * distance;
        spread[j] += weight * distance * (t - mean[j]);
        error[j] += weight * residual * residual;
      }
    });
  }

  void merge(double* state, const double* other) const override {
    if (other[0] == 0) return;
    const double sum = state[0] + other[0], share = other[0] / sum;
    for (index_t j = 1; j <= n_; ++j) {
      const double distance = other[j] - state[j];
      state[j] += share * distance;
      state[j + n_] += other[j + n_] + state[0] * share * distance * distance;
      state[j + 2 * n_] += other[j + 2 * n_];
    }
    state[0] = sum;
  }

 private:
  index_t n_;
};

const Registered<MetricKind> registered(metric_kind<Moments>("moments", "", never));

}  // namespace
}  // namespace nnfast::plan
