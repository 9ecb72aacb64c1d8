// Products of stacks of matrices, and their gradients.
#pragma once

#include "ops/tensor/dims.h"

namespace nnfast {

// y (..., M, N) = a (..., M, K) b (..., K, N) by the rules of numpy.matmul: the leading axes
// broadcast; an a of one axis is a row (1, K), a b of one axis a column (K, 1), and y lacks the axis
// of size 1. A transposed a is stored as (..., K, M), a transposed b as (..., N, K).
//
// Each element is a chain as gemm.h states. In a gradient, chains over more than kTiledDepth rows are
// cut, and where an operand is broadcast, its gradient is a sum of sums in the order of memory.
class Matmul {
 public:
  Matmul(const Dims& a, bool a_transposed, const Dims& b, bool b_transposed);

  template <class T>
  void forward(T* y, const T* a, const T* b) const;
  template <class T>
  void gradient_of_a(T* da, const T* dy, const T* b) const;
  template <class T>
  void gradient_of_b(T* db, const T* dy, const T* a) const;

  // Multiplications and additions of the forward pass.
  double flops() const;

 private:
  // A leading axis of y, and where it lies in each tensor: 0 where that is broadcast.
  struct Axis {
    index_t size, a_step, b_step, y_step;
  };

  index_t m_, n_, k_;
  index_t a_row_, a_k_, b_k_, b_n_;  // strides
  bool a_transposed_, b_transposed_;
  Axis axes_[kMaxAxes];  // from the last
  int count_ = 0;
};

}  // namespace nnfast
