#include "plan/train/metrics.h"

#include "ops/reduce.h"

namespace nnfast::plan {
namespace {

// A name that is not that of a metric is that of a loss.
const MetricKind& kind_of(const NodeSpec& metric) {
  const MetricKind* kind = Registered<MetricKind>::find(metric.op);
  return kind ? *kind : *Registered<MetricKind>::find("loss");
}

template <class T>
std::unique_ptr<Metric<T>> make_metric(const NodeSpec& spec, const MetricSetting& setting) {
  const MetricKind& kind = kind_of(spec);
  if (kind.attributes) require_known(spec, kind.attributes);
  if constexpr (sizeof(T) == sizeof(float)) {
    return kind.make_float(spec, setting);
  } else {
    return kind.make_double(spec, setting);
  }
}

}  // namespace

bool needs_probabilities(const NodeSpec& metric, const NodeSpec& loss) {
  return !kind_of(metric).takes_logits(metric, loss);
}

template <class T>
void Metric<T>::merge(double* state, const double* other) const {
  for (size_t i = 0; i < state_size(); ++i) state[i] += other[i];
}

template <class T>
void Metric<T>::add_to_mean(double* state, T* values, const Answers<T>& answers) {
  const index_t rows = answers.to_loss.rows;
  if (answers.weights) weigh_rows(values, answers.weights, rows);
  state[0] += sum_all(values, rows);
  state[1] += answers.weights ? sum_all(answers.weights, rows) : static_cast<double>(rows);
}

template <class T>
Metrics<T>::Metrics(const std::vector<NodeSpec>& plain, const std::vector<NodeSpec>& weighted,
                    const MetricSetting& setting)
    : plain_(plain.size()) {
  for (const std::vector<NodeSpec>* specs : {&plain, &weighted}) {
    for (const NodeSpec& spec : *specs) {
      metrics_.push_back(make_metric<T>(spec, setting));
      state_size_ += metrics_.back()->state_size();
    }
  }
}

template <class T>
void Metrics<T>::add_sizes(std::vector<size_t>& sizes) const {
  for (const auto& metric : metrics_) sizes.push_back(metric->state_size());
}

template <class T>
void Metrics<T>::update(double* state, const Answers<T>& answers) {
  Answers<T> plain = answers;
  plain.weights = nullptr;
  for (size_t i = 0; i < metrics_.size(); ++i) {
    metrics_[i]->update(state, i < plain_ ? plain : answers);
    state += metrics_[i]->state_size();
  }
}

template <class T>
void Metrics<T>::merge(double* state, const double* other) const {
  for (const auto& metric : metrics_) {
    metric->merge(state, other);
    state += metric->state_size();
    other += metric->state_size();
  }
}

template class Metric<float>;
template class Metric<double>;
template class Metrics<float>;
template class Metrics<double>;

}  // namespace nnfast::plan
