// Losses and metrics that users write as expressions: small networks of the prediction and the targets.
#pragma once

#include "plan/plan.h"

namespace nnfast::plan {

// The graph's first input is the prediction, the others are the targets of these numbers. Its output is the value of
// each row.
template <class T>
RowExpression<T> make_row_expression(std::shared_ptr<Graph<T>> graph,
                                     const std::vector<size_t>& targets, index_t capacity);

}  // namespace nnfast::plan
