// PReLU: y = x where x > 0, else alpha * x.
#pragma once

#include "base/types.h"

namespace nnfast {

// y (rows, n) from x (rows, n) and alpha (n).
template <class T>
void prelu_forward(T* y, const T* x, const T* alpha, index_t rows, index_t n);

// dx (rows, n) and d_alpha (n), either of them null where it is not wanted. Sums over rows are chains over tiles of 256
// rows, added up in order, as in ops/reduce.h.
template <class T>
void prelu_backward(T* dx, T* d_alpha, const T* dy, const T* x, const T* alpha, index_t rows,
                    index_t n);

}  // namespace nnfast
