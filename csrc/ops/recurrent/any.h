// Steps of recurrent cells with any activation functions, in plain loops: what
// kernels/recurrent.inl does for the usual ones. `before` (rows, gates, units) is what the gates
// are functions of: written by forward steps unless it is null, and read by backward steps if a
// derivative reads it.
#pragma once

#include "ops/recurrent/cell.h"

namespace nnfast {

template <class T>
void lstm_step_forward_any(const LstmStep<T>& p, T* before, const CellOptions& by);
template <class T>
void lstm_step_backward_any(const LstmStepGradient<T>& p, const T* before, const CellOptions& by);
template <class T>
void gru_step_forward_any(const GruStep<T>& p, T* before, const CellOptions& by);
template <class T>
void gru_step_backward_any(const GruStepGradient<T>& p, const T* before, const CellOptions& by);
template <class T>
void gru_reset_forward_any(T* reset, T* z, const T* h, index_t rows, index_t n, T* before,
                           const CellOptions& by);
template <class T>
void gru_reset_backward_any(T* d, T* z, const T* h, index_t rows, index_t n, const T* before,
                            const CellOptions& by);

}  // namespace nnfast
