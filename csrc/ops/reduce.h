// Reductions on all threads, split by shape alone and combined in a fixed order.
#pragma once

#include "kernels/params.h"

namespace nnfast {

// The sum of x (n), in tiles of 4096 whose sums are added in float64.
template <class T>
double sum_all(const T* x, index_t n);
// The sum of x_i^2 over x (n), in the same way; x is moderate.
template <class T>
double sum_of_squares(const T* x, index_t n);
// sum + (kTiny x_i)^2 added up in order: so scaled, the squares of all finite numbers fit.
constexpr double kTiny = 0x1p-540;
template <class T>
double add_tiny_squares(double sum, const T* x, index_t n);
// The Euclidean norm of x (n), also where squares overflow.
template <class T>
double norm_of(const T* x, index_t n);
// The sum of a_i b_i over n elements, in float64.
template <class T>
double dot(const T* a, const T* b, index_t n);
// out (n) = sum over rows of x (rows, n): chains over tiles of 256 rows, added up in order.
template <class T>
void sum_columns(T* out, const T* x, index_t rows, index_t n);
// out (n) += likewise, on the calling thread; `row` is the stride between rows.
template <class T>
void add_columns(T* out, const T* x, index_t row, index_t rows, index_t n);
// Whether x (n) contains no infinity or NaN.
template <class T>
bool all_finite(const T* x, index_t n);

// "Moderate" numbers are far from overflow of sums, squares and an optimizer's update: below 2^41
// (float) or 2^401 (double), and so are their squares. The check costs as much as one for infinity
// and NaN: it sums products with a constant that overflow for numbers half as large, so it may also
// fail if numbers almost as large accumulate.
template <class T>
constexpr double kModerate = sizeof(T) == 4 ? 0x1p41 : 0x1p401;

template <class T>
bool all_moderate(const T* x, index_t n);
// Likewise for squares of moderate numbers.
template <class T>
bool all_moderate_squares(const T* x, index_t n);

}  // namespace nnfast
