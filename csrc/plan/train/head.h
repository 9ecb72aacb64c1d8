// A head: an output of the network with its loss, its targets and its metrics.
#pragma once

#include <functional>

#include "plan/dataset.h"
#include "plan/program.h"
#include "plan/train/metrics.h"

namespace nnfast::plan {

// A user's NumPy loss: fills value (rows) and, unless null, d value / d prediction.
template <class T>
using LossCallback = std::function<void(const LossInputs<T>& inputs, T* value, T* d_prediction)>;

// What users write as expressions of the prediction and of target arrays.
template <class T>
struct HeadExpressions {
  RowExpression<T> loss;                  // or none
  std::vector<RowExpression<T>> metrics;  // by the numbers of the metrics "expression"
};

template <class T>
class Head {
 public:
  // label: how errors call its targets.
  Head(const HeadOptions& options, const GraphNode& node, const ProgramOutput<T>& output,
       index_t capacity, std::string label, LossCallback<T> callback,
       HeadExpressions<T> expressions);

  // How many targets load() takes.
  size_t target_count() const { return expressions_.loss ? parts_.size() : 1; }
  // Those of `all` from number `first` on.
  void load(const OneOrMore<Targets<T>>& all, size_t first, const Batch& batch);

  // sum of sample weight * value / rows_of_batch over the rows that were loaded, which may be a part of a batch.
  // with_gradient: leaves its gradient, times the head's weight, at the prediction.
  double loss(index_t rows, index_t rows_of_batch, bool with_gradient);

  // What the metrics make of the same rows.
  void update(double* state, index_t rows) { metrics_.update(state, answers(rows)); }
  const Metrics<T>& metrics() const { return metrics_; }
  double weight() const { return weight_; }

 private:
  Answers<T> answers(index_t rows) const;
  void load_part(const Targets<T>& y, const Batch& batch, size_t part);
  void load_for_metrics(Targets<T> y, const Batch& batch);
  void load_values(const Targets<T>& y, const Batch& batch);
  void load_integers(const Targets<T>& y, const Batch& batch);
  void load_weights(const T* weights, const Batch& batch);
  void require_label(int64_t label) const;
  [[noreturn]] void refuse_row(const std::string& what, index_t row) const;
  void scale_gradient(const T* weights, index_t rows, double scale);
  void share_positions(index_t rows);
  double masked_loss(index_t rows, double scale, T* gradient);

  const ProgramOutput<T>& output_;
  double weight_;
  std::string label_;
  LossOptions loss_;
  LossCallback<T> callback_;
  HeadExpressions<T> expressions_;
  index_t positions_, classes_;  // of the prediction: the axes before the last, and the last
  Metrics<T> metrics_;
  AlignedBuffer<int32_t> labels_;
  AlignedBuffer<T> targets_, values_, weights_;
  AlignedBuffer<T> shares_, position_weights_;  // of positions, where there is a mask
  struct Part {                                 // of the targets of an expression
    index_t size;
    AlignedBuffer<T> values;
  };
  std::vector<Part> parts_;
  std::vector<const T*> part_values_;
  bool has_labels_ = false, is_weighted_ = false;
};

}  // namespace nnfast::plan
