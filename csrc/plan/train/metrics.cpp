#include "plan/train/metrics.h"

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
double Metric<T>::result(const double* state, index_t rows) const {
  return state[0] / static_cast<double>(rows);
}

template <class T>
Metrics<T>::Metrics(const std::vector<NodeSpec>& specs, const MetricSetting& setting) {
  for (const NodeSpec& spec : specs) {
    metrics_.push_back(make_metric<T>(spec, setting));
    state_size_ += metrics_.back()->state_size();
  }
}

template <class T>
void Metrics<T>::update(double* state, const Answers<T>& answers) {
  for (const auto& metric : metrics_) {
    metric->update(state, answers);
    state += metric->state_size();
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

template <class T>
void Metrics<T>::results(double* results, const double* state, index_t rows) const {
  for (const auto& metric : metrics_) {
    *results++ = metric->result(state, rows);
    state += metric->state_size();
  }
}

template class Metric<float>;
template class Metric<double>;
template class Metrics<float>;
template class Metrics<double>;

}  // namespace nnfast::plan
