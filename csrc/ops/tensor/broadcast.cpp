#include "ops/tensor/broadcast.h"

#include <algorithm>

#include "base/thread_pool.h"
#include "ops/tensor/reduce.h"
#include "ops/tensor/remap.h"

namespace nnfast {
namespace {

constexpr double kCost = 0.1;        // of writing an element
constexpr index_t kPiece = 1 << 14;  // elements of a line written at once
constexpr index_t kShort = 64;       // elements that are not worth a copy of their own

// The axes of `large` along which `small` is repeated.
AxisSet repeated_axes(const Dims& large, const Dims& small) {
  AxisSet axes = 0;
  for (int i = 0; i < large.rank; ++i) {
    const int k = i - (large.rank - small.rank);
    if (k < 0 || (small.size[k] == 1 && large.size[i] != 1)) axes |= AxisSet(1) << i;
  }
  return axes;
}

// y (n) = x (period) again and again, n >= period; copies of what is there already grow.
template <class T>
void repeat(T* y, index_t n, const T* x, index_t period) {
  std::copy(x, x + period, y);
  for (index_t done = period; done < n; done *= 2)
    std::copy(y, y + std::min(done, n - done), y + done);
}

}  // namespace

template <class T>
void repeat_along(T* y, const T* x, const MergedAxes& axes) {
  // Lines of y, in pieces: along its last axis, or along the last two if the last one is short.
  int last = axes.count - 1;
  index_t line = last < 0 ? 1 : axes.axis[last].size;
  const index_t period = last >= 0 && axes.axis[last].chosen ? 1 : line;
  if (period > 1 && period < kShort && last > 0) line *= axes.axis[--last].size;
  Places lines;
  index_t step = period;
  for (int k = last - 1; k >= 0; --k) {
    lines.add(axes.axis[k].size, axes.axis[k].chosen ? 0 : step);
    if (!axes.axis[k].chosen) step *= axes.axis[k].size;
  }
  const index_t piece = period < line ? kPiece / period * period : kPiece;
  const index_t count = lines.total(), pieces = (line + piece - 1) / piece;
  const double cost = kCost * static_cast<double>(count * (line + 32));
  parallel_ranges(count * pieces, 1, cost, [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      // A division takes longer than a short line.
      const index_t at = pieces == 1 ? i : i / pieces, first = (i - at * pieces) * piece;
      const index_t n = std::min(piece, line - first);
      const T* from = x + lines.offset(at);
      T* to = y + at * line + first;
      if (period == line) {
        std::copy(from + first, from + first + n, to);
      } else if (period == 1) {
        std::fill(to, to + n, *from);
      } else {
        repeat(to, n, from, period);
      }
    }
  });
}

template <class T>
void broadcast_to(T* y, const Dims& to, const T* x, const Dims& from) {
  Remap::broadcast(y, to, x, from);
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
