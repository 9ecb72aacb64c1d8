// The objective of training: the weighted sum of the losses of all heads. Also computes the
// metrics.
#pragma once

#include "plan/train/head.h"

namespace nnfast::plan {

// By the name of the output; an output without an entry has a loss of the core.
template <class T>
using LossCallbacks = std::map<std::string, LossCallback<T>>;

template <class T>
using Expressions = std::map<std::string, HeadExpressions<T>>;

template <class T>
class Objective {
 public:
  Objective(const GraphLayout& layout, const Program<T>& program, const PlanOptions& options,
            const LossCallbacks<T>& callbacks, const Expressions<T>& expressions);

  void load(const OneOrMore<Targets<T>>& y, const Batch& batch);
  // For the loaded rows, which may be part of a batch of `rows_of_batch`: the sum over heads of
  // weight * loss, and the penalties.
  double loss(index_t rows, index_t rows_of_batch, bool with_gradient);

  // Totals: the sum of the losses over rows; with several heads, the sums of each; the state of the
  // metrics.
  size_t totals_size() const { return losses_ + state_size_; }
  // Adds the rows of the last loss().
  void add_to(double* totals, index_t rows, index_t rows_of_batch);
  void merge(double* totals, const double* other) const;
  // The sizes of the states of the metrics, which follow the losses in the totals.
  std::vector<size_t> metric_sizes() const;

 private:
  double penalty(const ProgramPenalty<T>& term, index_t rows, index_t rows_of_batch,
                 bool with_gradient) const;

  const std::vector<ProgramPenalty<T>>& penalties_;
  std::vector<Head<T>> heads_;
  std::vector<double> last_;  // losses in the order of the totals, which begin with the sum
  size_t losses_ = 0, state_size_ = 0;
};

}  // namespace nnfast::plan
