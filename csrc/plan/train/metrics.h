// Metrics: what is reported beside the loss. A metric's file in metrics/ gives its state, what a batch adds to it, how
// the states of two passes become one, and the result.
#pragma once

#include <memory>
#include <vector>

#include "base/registry.h"
#include "ops/loss.h"
#include "plan/graph/spec.h"

namespace nnfast::plan {

// The plan that a metric is made for.
struct MetricSetting {
  const NodeSpec& loss;
  bool loss_reads_logits;
  bool output_is_logits;  // of a network that is compiled without its last activation, or has none
  index_t capacity;       // rows of a batch at most
  index_t positions, classes;
};

// A batch of answers and what they should have been.
template <class T>
struct Answers {
  LossInputs<T> to_loss;  // with the prediction that the loss reads
  const T* output;        // of the network: of the same shape
  // What each position counts in its row, where there is a mask: (rows, positions), of sum 1 or 0; or null.
  const T* shares;
};

// A metric's state is some numbers, all 0 before the first row. By default it is one, a sum over rows, and the
// result its mean.
template <class T>
class Metric {
 public:
  virtual ~Metric() = default;

  virtual size_t state_size() const { return 1; }
  virtual void update(double* state, const Answers<T>& answers) = 0;
  virtual void merge(double* state, const double* other) const;
  virtual double result(const double* state, index_t rows) const;
};

struct MetricKind {
  const char* name;
  const char*
      attributes;  // as require_known() takes them; null: those of the loss of the metric's name
  // Whether it can do with the logits where the loss reads them, so that nobody needs the probabilities.
  bool (*takes_logits)(const NodeSpec& metric, const NodeSpec& loss);
  std::unique_ptr<Metric<float>> (*make_float)(const NodeSpec& metric, const MetricSetting&);
  std::unique_ptr<Metric<double>> (*make_double)(const NodeSpec& metric, const MetricSetting&);
};

// For a class template Of<T> that is made from its description and setting.
template <template <class> class Of>
MetricKind metric_kind(const char* name, const char* attributes,
                       bool (*takes_logits)(const NodeSpec& metric, const NodeSpec& loss)) {
  return {name, attributes, takes_logits,
          [](const NodeSpec& metric, const MetricSetting& in) -> std::unique_ptr<Metric<float>> {
            return std::make_unique<Of<float>>(metric, in);
          },
          [](const NodeSpec& metric, const MetricSetting& in) -> std::unique_ptr<Metric<double>> {
            return std::make_unique<Of<double>>(metric, in);
          }};
}

// Whether a metric beside a loss keeps the network's last activation from being left to the loss.
bool needs_probabilities(const NodeSpec& metric, const NodeSpec& loss);

// The metrics of a plan; their states stand one after the other.
template <class T>
class Metrics {
 public:
  Metrics() = default;
  Metrics(const std::vector<NodeSpec>& specs, const MetricSetting& setting);

  size_t count() const { return metrics_.size(); }
  size_t state_size() const { return state_size_; }
  void update(double* state, const Answers<T>& answers);
  void merge(double* state, const double* other) const;
  // results (count)
  void results(double* results, const double* state, index_t rows) const;

 private:
  std::vector<std::unique_ptr<Metric<T>>> metrics_;
  size_t state_size_ = 0;
};

}  // namespace nnfast::plan
