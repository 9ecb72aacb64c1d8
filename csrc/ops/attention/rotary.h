// Rotary positions (Su et al. 2021, arXiv:2104.09864) of whole tensors, on all threads: pair i of a
// head of d numbers at position t is turned by the angle t base^(-2 i / d).
#pragma once

#include "base/aligned.h"
#include "kernels/params.h"

namespace nnfast {

template <class T>
class Rotary {
 public:
  Rotary(index_t positions, index_t heads, index_t d, double base, bool interleaved);

  // y (rows, positions, heads, d) from x; row n starts at position offsets[n], or 0 if that is null.
  // The inverse turns back, as gradients are. y may be x.
  void rotate(T* y, const T* x, index_t rows, const T* offsets, bool inverse) const;

 private:
  void fill_table(T* cosine, T* sine, double* scratch, double offset) const;

  index_t positions_, heads_, d_;
  bool interleaved_;
  AlignedBuffer<double> frequencies_;  // (d / 2)
  AlignedBuffer<T> cosine_, sine_;     // (positions, d / 2), from position 0 on
};

}  // namespace nnfast
