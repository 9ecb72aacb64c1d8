#include "ops/tensor/broadcast.h"

#include <algorithm>

#include "base/thread_pool.h"
#include "ops/tensor/reduce.h"

namespace nnfast {
namespace {

constexpr double kCost = 0.1;        // of writing an element
constexpr index_t kPiece = 1 << 14;  // elements of a line written at once

// The axes of `large` along which `small` is repeated.
AxisSet repeated_axes(const Dims& large, const Dims& small) {
  AxisSet axes = 0;
  for (int i = 0; i < large.rank; ++i) {
    const int k = i - (large.rank - small.rank);
    if (k < 0 || (small.size[k] == 1 && large.size[i] != 1)) axes |= AxisSet(1) << i;
  }
  return axes;
}

}  // namespace

template <class T>
void repeat_along(T* y, const T* x, const MergedAxes& axes) {
  // Lines along the last axis of y, in pieces.
  const int last = axes.count - 1;
  const index_t line = last < 0 ? 1 : axes.axis[last].size;
  const bool fills = last >= 0 && axes.axis[last].chosen;
  Places lines;
  index_t step = fills ? 1 : line;
  for (int k = last - 1; k >= 0; --k) {
    lines.add(axes.axis[k].size, axes.axis[k].chosen ? 0 : step);
    if (!axes.axis[k].chosen) step *= axes.axis[k].size;
  }
  const index_t count = lines.total(), pieces = (line + kPiece - 1) / kPiece;
  const double cost = kCost * static_cast<double>(count * (line + 32));
  parallel_ranges(count * pieces, 1, cost, [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      const index_t at = i / pieces, first = i % pieces * kPiece;
      const index_t n = std::min(kPiece, line - first);
      const T* from = x + lines.offset(at);
      T* to = y + at * line + first;
      if (fills) {
        std::fill(to, to + n, *from);
      } else {
        std::copy(from + first, from + first + n, to);
      }
    }
  });
}

template <class T>
void broadcast_to(T* y, const Dims& to, const T* x, const Dims& from) {
  repeat_along(y, x, MergedAxes(to, repeated_axes(to, from)));
}

template <class T>
void sum_to(T* out, const Dims& to, const T* x, const Dims& from, T* scratch) {
  Reduce(Reduction::sum, from, repeated_axes(from, to)).forward(out, x, scratch);
}

index_t sum_to_scratch(const Dims& to, const Dims& from) {
  return Reduce(Reduction::sum, from, repeated_axes(from, to)).scratch_size();
}

#define NNF_INSTANTIATE(T)                                               \
  template void repeat_along<T>(T*, const T*, const MergedAxes&);        \
  template void broadcast_to<T>(T*, const Dims&, const T*, const Dims&); \
  template void sum_to<T>(T*, const Dims&, const T*, const Dims&, T*);
NNF_INSTANTIATE(float)
NNF_INSTANTIATE(double)
#undef NNF_INSTANTIATE

}  // namespace nnfast
