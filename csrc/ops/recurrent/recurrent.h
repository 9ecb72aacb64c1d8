// Recurrent layers: a cell over all time steps of sequences (N, T, D), forward and backward.
//
// Inside, values are ordered by time step, (T, N, ...), in the order of processing. x W of all
// steps is one matrix product, and so is each of the gradients of x, W and U. Only h U and dz U^T
// are left to the steps. Rows are independent of each other: each thread takes some of them through
// all steps.
#pragma once

#include "ops/recurrent/cell.h"

namespace nnfast {

struct RecurrentOptions {
  CellOptions cell;
  index_t steps, inputs, units;
  bool backwards;  // from the last step to the first
  bool in_order;   // y[t] belongs to x[t], also backwards; else y has the order of processing
  bool sequences;  // y contains the outputs of all steps, not only that of the last
  bool drops;      // dropout of the state that products read, in training
};

// kernel (D, G U), recurrent (U, G U), bias (G U), or (2, G U) for a GRU that resets after the
// product.
template <class T>
struct RecurrentPass {
  index_t rows;
  const T* x;                          // (N, T, D)
  const T* mask;                       // (N, T), 0 where the step before is repeated; or null
  const T *first_h, *first_c;          // states (N, U); or null: zeros
  const T *kernel, *recurrent, *bias;  // no bias: null
  const DropoutParams* dropout;        // or null
  T* y;                                // (N, T, U) or (N, U)
  T *last_h, *last_c;                  // states (N, U); or null
  T* kept;                             // for the backward pass; or null
  T* scratch;
};

template <class T>
struct RecurrentGradient {
  index_t rows;
  const T *x, *mask;
  const T *kernel, *recurrent;
  bool dropped;                        // in the forward pass
  const T *dy, *d_last_h, *d_last_c;   // null: zeros
  T *dx, *d_first_h, *d_first_c;       // null: not wanted
  T *d_kernel, *d_recurrent, *d_bias;  // likewise
  T *kept, *scratch;
};

template <class T>
class Recurrence {
 public:
  explicit Recurrence(const RecurrentOptions& options);

  // Elements of memory for so many rows; fewer rows need no more.
  index_t kept_size(index_t rows) const;
  index_t scratch_size(index_t rows) const;
  index_t backward_scratch_size(index_t rows) const;

  void forward(const RecurrentPass<T>& p);
  // Destroys what forward() kept. Returns whether d_kernel and d_recurrent are moderate
  // (ops/reduce.h).
  bool backward(const RecurrentGradient<T>& p);

 private:
  RecurrentOptions options_;
  std::unique_ptr<Cell<T>> cell_;
};

}  // namespace nnfast
