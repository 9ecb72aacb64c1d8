#include "ops/tensor/arg_reduce.h"

#include <limits>

#include "base/check.h"
#include "ops/tensor/walk.h"

namespace nnfast {
namespace {

// The place of value among the numbers of a walk whose lines are runs.
template <class T>
index_t place_in_runs(const T* x, T value, const Walk& walk) {
  for (index_t i = 0;; ++i) {
    const index_t place = find(x + walk.reduced.offset(i), walk.run, value);
    if (place < walk.run) return i * walk.run + place;
  }
}

// y (width) = the places of the values among the lines of a walk over strips.
template <class T>
void places_in_strips(T* y, const T* x, const T* values, const Walk& walk, index_t width) {
  for (index_t i = walk.reduced.total() - 1; i >= 0; --i) {  // so that the first one remains
    const T* line = x + walk.reduced.offset(i);
    const T place = static_cast<T>(i);
    for (index_t k = 0; k < width; ++k) {
      const bool here = (line[k] == values[k]) | (line[k] != line[k]);
      y[k] = here ? place : y[k];
    }
  }
}

}  // namespace

ArgReduce::ArgReduce(bool largest, const Dims& x, AxisSet axes)
    : largest_(largest),
      extreme_(largest ? Reduction::max : Reduction::min, x, axes),
      axes_(x, axes) {}

template <class T>
void ArgReduce::forward(T* y, const T* x, T* scratch) const {
  if (extreme_.results() == 0) return;
  const char* name = largest_ ? "argmax" : "argmin";
  require(extreme_.count() > 0, name,
          ": expected at least one number to compare, got an axis of size 0");
  constexpr index_t limit = index_t(1) << std::numeric_limits<T>::digits;
  require(extreme_.count() <= limit, name, ": expected at most ", limit,
          " numbers to compare, whose places are exact in ", sizeof(T) == 4 ? "float32" : "float64",
          ", got ", extreme_.count());
  T* values = scratch;
  extreme_.forward(values, x, scratch + extreme_.results());
  const Walk walk(axes_);
  const double cost = 0.2 * static_cast<double>(axes_.product(0, axes_.count));
  walk.for_each_strip(cost, [&](index_t at, index_t result, index_t width) {
    if (walk.run == 1) {
      places_in_strips(y + result, x + at, values + result, walk, width);
    } else {
      y[result] = static_cast<T>(place_in_runs(x + at, values[result], walk));
    }
  });
}

template void ArgReduce::forward<float>(float*, const float*, float*) const;
template void ArgReduce::forward<double>(double*, const double*, double*) const;

}  // namespace nnfast
