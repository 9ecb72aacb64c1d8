// Reductions on all threads, cut by shapes alone and combined in one order.
#pragma once

#include "kernels/params.h"

namespace nnfast {

// The sum of x (n), in tiles of 4096 whose sums are added up in float64.
template <class T>
double sum_all(const T* x, index_t n);
// out (n) = sum over rows of x (rows, n): each one chain over the rows, starting at 0.
template <class T>
void sum_columns(T* out, const T* x, index_t rows, index_t n);
// Whether none of x (n) is infinite or NaN.
template <class T>
bool all_finite(const T* x, index_t n);

// Numbers far from where sums, squares and an optimiser's update overflow: below 2^41 (float) or 2^401
// (double), and their squares. A check costs what one for infinity and NaN costs: products with a constant
// that overflows with half of that are added up. So it may also say no where numbers almost as large add up.
template <class T>
constexpr double kModerate = sizeof(T) == 4 ? 0x1p41 : 0x1p401;

template <class T>
bool all_moderate(const T* x, index_t n);
// Likewise for squares of moderate numbers.
template <class T>
bool all_moderate_squares(const T* x, index_t n);

}  // namespace nnfast
