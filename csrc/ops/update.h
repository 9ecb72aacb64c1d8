// Optimizer updates on all threads.
#pragma once

#include "kernels/params.h"

namespace nnfast {

// velocity may be null if the momentum is 0.
template <class T>
void sgd_update(T* parameters, T* velocity, const T* gradients, index_t n, const SgdParams& p);

// `step` is the number of the step, from 1; largest: the maximum of all v, or null.
template <class T>
void adam_update(T* parameters, T* m, T* v, T* largest, const T* gradients, index_t n,
                 double learning_rate, double beta_1, double beta_2, double epsilon, uint64_t step);

}  // namespace nnfast
