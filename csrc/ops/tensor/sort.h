// Rows in order.
#pragma once

#include "base/types.h"

namespace nnfast {

// values and indices (rows, k) = the first k numbers of each row of x (rows, n) in ascending or
// descending order, and where in the row they stand. Equal numbers stay in their order (-0 equals
// 0); NaN comes last. n < 2^31.
template <class T>
void sort_rows(T* values, T* indices, const T* x, index_t rows, index_t n, index_t k,
               bool descending);
// dx (rows, n) = dy (rows, k) where the numbers came from, else 0. dy may be null, for zeros.
template <class T>
void sort_rows_backward(T* dx, const T* dy, const T* indices, index_t rows, index_t n, index_t k);

}  // namespace nnfast
