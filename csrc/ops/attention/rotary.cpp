#include "ops/attention/rotary.h"

#include "base/thread_pool.h"
#include "kernels/select.h"

namespace nnfast {

template <class T>
Rotary<T>::Rotary(index_t positions, index_t heads, index_t d, double base, bool interleaved)
    : positions_(positions),
      heads_(heads),
      d_(d),
      interleaved_(interleaved),
      frequencies_(static_cast<size_t>(d / 2)),
      cosine_(static_cast<size_t>(positions * (d / 2))),
      sine_(static_cast<size_t>(positions * (d / 2))) {
  const index_t half = d / 2;
  AlignedBuffer<double> bases(static_cast<size_t>(half)), exponents(static_cast<size_t>(half));
  for (index_t i = 0; i < half; ++i) {
    bases.data()[i] = base;
    exponents.data()[i] = -2 * static_cast<double>(i) / static_cast<double>(d);
  }
  kernels<double>().binary(frequencies_.data(), bases.data(), exponents.data(), half,
                           Binary::power);
  AlignedBuffer<double> scratch(static_cast<size_t>(2 * half));
  fill_table(cosine_.data(), sine_.data(), scratch.data(), 0);
}

// Angles are computed in float64, so that those of distant positions keep their digits. scratch: d
// numbers.
template <class T>
void Rotary<T>::fill_table(T* cosine, T* sine, double* scratch, double offset) const {
  const index_t half = d_ / 2;
  double *angles = scratch, *values = scratch + half;
  for (index_t t = 0; t < positions_; ++t) {
    const double position = offset + static_cast<double>(t);
    for (index_t i = 0; i < half; ++i) angles[i] = position * frequencies_.data()[i];
    kernels<double>().unary(values, angles, half, Unary::cos);
    for (index_t i = 0; i < half; ++i) cosine[t * half + i] = static_cast<T>(values[i]);
    kernels<double>().unary(values, angles, half, Unary::sin);
    for (index_t i = 0; i < half; ++i) sine[t * half + i] = static_cast<T>(values[i]);
  }
}

template <class T>
void Rotary<T>::rotate(T* y, const T* x, index_t rows, const T* offsets, bool inverse) const {
  constexpr double kCost = 0.4, kTableCost = 12;  // of a number, in nanoseconds
  const index_t row = positions_ * heads_ * d_, table = positions_ * (d_ / 2);
  Rotation<T> p{cosine_.data(), sine_.data(), positions_, heads_, d_, interleaved_, inverse};
  const double each = kCost * static_cast<double>(row);
  if (!offsets) {
    parallel_ranges(rows, 1, each * static_cast<double>(rows), [&](index_t begin, index_t end) {
      for (index_t n = begin; n < end; ++n) kernels<T>().rotate(y + n * row, x + n * row, p);
    });
    return;
  }
  const double cost = (each + kTableCost * static_cast<double>(table)) * static_cast<double>(rows);
  parallel_ranges(rows, 1, cost, [&](index_t begin, index_t end) {
    double* scratch = scratch_of<double>(d_ + 2 * table);
    T *cosine = reinterpret_cast<T*>(scratch + d_), *sine = cosine + table;
    Rotation<T> own = p;
    own.cosine = cosine;
    own.sine = sine;
    for (index_t n = begin; n < end; ++n) {
      // Rows of a batch often stand at the same position.
      if (n == begin || !(offsets[n] == offsets[n - 1]))
        fill_table(cosine, sine, scratch, static_cast<double>(offsets[n]));
      kernels<T>().rotate(y + n * row, x + n * row, own);
    }
  });
}

template class Rotary<float>;
template class Rotary<double>;

}  // namespace nnfast
