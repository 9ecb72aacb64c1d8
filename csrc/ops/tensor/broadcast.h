// Repeating a tensor along axes, and the sum that is the gradient of that.
#pragma once

#include "ops/tensor/axes.h"

namespace nnfast {

// y (to) = x (from), repeated along the axes where x has size 1 or, on the left, none.
template <class T>
void broadcast_to(T* y, const Dims& to, const T* x, const Dims& from);

// Its gradient: out (to) = the sum of x (from) over the axes where `to` has size 1 or, on the left,
// none. scratch: sum_to_scratch() elements.
template <class T>
void sum_to(T* out, const Dims& to, const T* x, const Dims& from, T* scratch);
index_t sum_to_scratch(const Dims& to, const Dims& from);

// y = x, repeated along the chosen ones of y's axes.
template <class T>
void repeat_along(T* y, const T* x, const MergedAxes& axes);

}  // namespace nnfast
