#include "plan/train/metrics.h"

#include "base/aligned.h"
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

// The mean of the values of an expression.
template <class T>
class ExpressionMetric final : public Metric<T> {
 public:
  ExpressionMetric(RowExpression<T> expression, index_t capacity)
      : expression_(std::move(expression)), values_(static_cast<size_t>(capacity)) {}

  void update(double* state, const Answers<T>& answers) override {
    expression_(answers.output, answers.arrays, answers.to_loss.rows, values_.data(), nullptr);
    this->add_to_mean(state, values_.data(), answers);
  }

 private:
  RowExpression<T> expression_;
  AlignedBuffer<T> values_;
};

bool is_expression(const NodeSpec& metric) { return metric.op == "expression"; }

template <class T>
std::unique_ptr<Metric<T>> make_expression_metric(const NodeSpec& spec,
                                                  const std::vector<RowExpression<T>>& expressions,
                                                  index_t capacity) {
  require_known(spec, "number");
  const int64_t number = spec.integer("number");
  require(number >= 0 && static_cast<size_t>(number) < expressions.size(),
          "metrics: expected a graph for the expression ", number);
  return std::make_unique<ExpressionMetric<T>>(expressions[static_cast<size_t>(number)], capacity);
}

}  // namespace

bool needs_probabilities(const NodeSpec& metric, const NodeSpec& loss) {
  return is_expression(metric) || !kind_of(metric).takes_logits(metric, loss);
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
                    const MetricSetting& setting, const std::vector<RowExpression<T>>& expressions)
    : plain_(plain.size()) {
  for (const std::vector<NodeSpec>* specs : {&plain, &weighted}) {
    for (const NodeSpec& spec : *specs) {
      metrics_.push_back(is_expression(spec)
                             ? make_expression_metric(spec, expressions, setting.capacity)
                             : make_metric<T>(spec, setting));
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
