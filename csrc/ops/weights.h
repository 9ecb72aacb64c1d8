// What a step does to parameters besides the optimizer's update, on all threads.
#pragma once

#include "base/types.h"

namespace nnfast {

// The sum of l1 |p| + l2 p^2 over parameters (n), in tiles whose sums are added in float64; adds its
// gradient, l1 sign(p) + 2 l2 p, to gradients (n), unless that is null.
template <class T>
double regularize(T* gradients, const T* parameters, index_t n, double l1, double l2);

// parameters (n) -= amount * parameters
template <class T>
void decay(T* parameters, index_t n, double amount);

// average (n) = momentum average + (1 - momentum) parameters
template <class T>
void moving_average(T* average, const T* parameters, index_t n, double momentum);

}  // namespace nnfast
