#include "plan/train/objective.h"

#include <algorithm>

#include "ops/reduce.h"

namespace nnfast::plan {

template <class T>
Objective<T>::Objective(const GraphLayout& layout, const Program<T>& program,
                        const PlanOptions& options, const LossCallbacks<T>& callbacks,
                        const Expressions<T>& expressions)
    : penalties_(program.penalties) {
  const bool single = layout.outputs().size() == 1;
  for (const HeadOptions& head : options.heads) {
    const GraphNode& node = layout.output(head.output);
    const std::string name = layout.output_name(head.output);
    const auto callback = callbacks.find(name);
    const auto expression = expressions.find(name);
    heads_.emplace_back(
        head, node, program.outputs[head.output], options.capacity,
        single ? "y" : text("y of ", name),
        callback == callbacks.end() ? nullptr : callback->second,
        expression == expressions.end() ? HeadExpressions<T>() : expression->second);
    state_size_ += heads_.back().metrics().state_size();
  }
  losses_ = heads_.size() == 1 ? 1 : 1 + heads_.size();
  last_.resize(losses_);
}

template <class T>
void Objective<T>::load(const OneOrMore<Targets<T>>& y, const Batch& batch) {
  size_t next = 0;
  for (Head<T>& head : heads_) {
    head.load(y, next, batch);
    next += head.target_count();
  }
}

template <class T>
double Objective<T>::loss(index_t rows, index_t rows_of_batch, bool with_gradient) {
  double total = 0;
  for (size_t i = 0; i < heads_.size(); ++i) {
    const double loss = heads_[i].loss(rows, rows_of_batch, with_gradient);
    total += heads_[i].weight() * loss;
    if (losses_ > 1) last_[1 + i] = loss;
  }
  for (const ProgramPenalty<T>& term : penalties_)
    total += penalty(term, rows, rows_of_batch, with_gradient);
  last_[0] = total;
  return total;
}

// The mean of the tensor over the batch and its elements; of one without the batch axis, each part of the batch has its
// share.
template <class T>
double Objective<T>::penalty(const ProgramPenalty<T>& term, index_t rows, index_t rows_of_batch,
                             bool with_gradient) const {
  const Tensor<T>& tensor = *term.tensor;
  const index_t n = tensor.elements(rows);
  const double share = static_cast<double>(tensor.batched ? 1 : rows);
  const double scale =
      share / (static_cast<double>(rows_of_batch) * static_cast<double>(tensor.size));
  if (with_gradient && term.gradient) std::fill_n(term.gradient, n, static_cast<T>(scale));
  return sum_all(tensor.value, n) * scale;
}

template <class T>
void Objective<T>::add_to(double* totals, index_t rows, index_t rows_of_batch) {
  for (const double loss : last_) *totals++ += loss * static_cast<double>(rows_of_batch);
  for (Head<T>& head : heads_) {
    head.update(totals, rows);
    totals += head.metrics().state_size();
  }
}

template <class T>
void Objective<T>::merge(double* totals, const double* other) const {
  for (size_t i = 0; i < losses_; ++i) *totals++ += *other++;
  for (const Head<T>& head : heads_) {
    head.metrics().merge(totals, other);
    totals += head.metrics().state_size();
    other += head.metrics().state_size();
  }
}

template <class T>
std::vector<size_t> Objective<T>::metric_sizes() const {
  std::vector<size_t> sizes;
  for (const Head<T>& head : heads_) head.metrics().add_sizes(sizes);
  return sizes;
}

template class Objective<float>;
template class Objective<double>;

}  // namespace nnfast::plan
