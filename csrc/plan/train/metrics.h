// Metrics, reported along with the loss. The file of a metric in metrics/ defines its state, the
// contribution of a batch, and how to merge the states of two passes. Python computes the result
// from the state.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/registry.h"
#include "ops/loss.h"
#include "plan/graph/spec.h"

namespace nnfast::plan {

// A value per row and, unless null, its gradient by the prediction (rows, ...), computed by an
// expression that users write, from the prediction and arrays of targets.
template <class T>
using RowExpression = std::function<void(const T* prediction, const T* const* targets, index_t rows,
                                         T* value, T* d_prediction)>;

// The plan for which a metric is made.
struct MetricSetting {
  const NodeSpec& loss;
  bool loss_reads_logits;
  bool output_is_logits;  // of a network compiled without its last activation, or without one
  index_t capacity;       // maximum number of rows of a batch
  index_t positions, classes;
};

// A batch of outputs and targets.
template <class T>
struct Answers {
  LossInputs<T> to_loss;  // with the prediction that the loss reads
  const T* output;        // of the network, with the same shape
  // What each position counts in its row, where there is a mask: (rows, positions), of sum 1 or 0; or null.
  const T* shares;
  const T* weights;        // (rows), or null: all 1; rows of weight 0 are ignored
  const T* const* arrays;  // of targets as numbers, for expressions
};

// The state of a metric is a list of numbers, 0 before the first row. By default it is that of a
// weighted mean over rows: the sum of weight * value, and the sum of the weights.
template <class T>
class Metric {
 public:
  virtual ~Metric() = default;

  virtual size_t state_size() const { return 2; }
  virtual void update(double* state, const Answers<T>& answers) = 0;
  // By default adds all numbers.
  virtual void merge(double* state, const double* other) const;

 protected:
  // To the state of a mean. Changes values (rows of answers).
  static void add_to_mean(double* state, T* values, const Answers<T>& answers);
};

struct MetricKind {
  const char* name;
  const char*
      attributes;  // as require_known() takes them; null: those of the loss of the metric's name
  // Whether it can use logits if the loss reads them, so that the probabilities need not be
  // computed.
  bool (*takes_logits)(const NodeSpec& metric, const NodeSpec& loss);
  std::unique_ptr<Metric<float>> (*make_float)(const NodeSpec& metric, const MetricSetting&);
  std::unique_ptr<Metric<double>> (*make_double)(const NodeSpec& metric, const MetricSetting&);
};

// Answers to takes_logits.
inline bool always(const NodeSpec&, const NodeSpec&) { return true; }
inline bool never(const NodeSpec&, const NodeSpec&) { return false; }

// For a class template Of<T> that is constructed from its description and setting.
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

// Whether a metric requires the last activation of the network, which would otherwise be left to
// the loss.
bool needs_probabilities(const NodeSpec& metric, const NodeSpec& loss);

// The metrics of a head; their states are stored one after the other, first those without weights.
template <class T>
class Metrics {
 public:
  Metrics() = default;
  // expressions: of the metrics "expression", which have their numbers.
  Metrics(const std::vector<NodeSpec>& plain, const std::vector<NodeSpec>& weighted,
          const MetricSetting& setting, const std::vector<RowExpression<T>>& expressions = {});

  size_t count() const { return metrics_.size(); }
  size_t state_size() const { return state_size_; }
  // The size of the state of each metric, appended to `sizes`.
  void add_sizes(std::vector<size_t>& sizes) const;
  void update(double* state, const Answers<T>& answers);
  void merge(double* state, const double* other) const;

 private:
  std::vector<std::unique_ptr<Metric<T>>> metrics_;
  size_t plain_ = 0;  // how many have no weights
  size_t state_size_ = 0;
};

}  // namespace nnfast::plan
