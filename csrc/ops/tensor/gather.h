// Elements of a tensor at places that another one holds, as whole numbers stored in T.
#pragma once

#include "ops/tensor/dims.h"

namespace nnfast {

// A tensor as (outer, n, inner): the axis along which elements are taken, those before and behind it.
struct AxisView {
  index_t outer, n, inner;
};
AxisView view_along(const Dims& dims, int axis);

// places (count) = indices, which are whole numbers from `least` to n - 1; negative ones count from
// the end. Returns where the first other one stands, or -1. n < 2^31.
template <class T>
index_t find_places(int32_t* places, const T* indices, index_t count, index_t least, index_t n);

// y (outer, count, inner) = x (outer, n, inner) at places (count) along the middle axis.
template <class T>
void take(T* y, const T* x, const int32_t* places, index_t count, AxisView s);
// dx = sums of dy over the places that are the same, in their order.
template <class T>
void take_backward(T* dx, const T* dy, const int32_t* places, index_t count, AxisView s);

// Likewise, with own places for each element: places (outer, count, inner).
template <class T>
void take_along(T* y, const T* x, const int32_t* places, index_t count, AxisView s);
template <class T>
void take_along_backward(T* dx, const T* dy, const int32_t* places, index_t count, AxisView s);

// y (count, classes) = 1 at each row's place, else 0.
template <class T>
void one_hot(T* y, const int32_t* places, index_t count, index_t classes);

}  // namespace nnfast
