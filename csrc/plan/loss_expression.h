// Losses that users write as expressions: a small network of the prediction and the targets.
#pragma once

#include "plan/plan.h"

namespace nnfast::plan {

// The graph's first input is the prediction, the others are the targets of these numbers. Its output is the loss of
// each row.
template <class T>
LossExpression<T> make_loss_expression(std::shared_ptr<Graph<T>> graph,
                                       const std::vector<size_t>& targets, index_t capacity);

}  // namespace nnfast::plan
