// Activation functions by name, and over whole tensors on all threads.
#pragma once

#include <string>
#include <vector>

#include "kernels/params.h"

namespace nnfast {

const std::vector<std::string>& activation_names();
// The activation function of that name; a NaN alpha selects its default. Errors begin with `where`.
ActivationParams parse_activation(const std::string& name, double alpha, const std::string& where);

// Softmax and log-softmax act on rows, the others element-wise.
bool works_on_rows(Activation kind);
// Whether the derivative reads the input x (otherwise it reads the output y).
bool derivative_reads_input(Activation kind);

// y (rows, n) = f(x). y may be x.
template <class T>
void activation_forward(T* y, const T* x, index_t rows, index_t n, const ActivationParams& p);
// dx (rows, n) = dy f'(x). dx may be dy; x is read only if derivative_reads_input().
template <class T>
void activation_backward(T* dx, const T* dy, const T* x, const T* y, index_t rows, index_t n,
                         const ActivationParams& p);

// The scaling of the columns from `column` on.
template <class T>
ColumnScale<T> from_column(const ColumnScale<T>& p, index_t column) {
  return p.scale ? ColumnScale<T>{p.center + column, p.scale + column, p.shift + column} : p;
}

// The part of an activation function left after a kernel that applies ReLU itself: y = f(y) for
// `rows` rows of `columns`, `row` apart, on the calling thread. Does nothing for the identity and
// ReLU.
template <class T>
void activate_rows(T* y, index_t rows, index_t row, index_t columns, const ActivationParams& p);

}  // namespace nnfast
