// Walks over the numbers of a tensor x of which each element of a reduction y consists.
#pragma once

#include <algorithm>

#include "base/thread_pool.h"
#include "ops/tensor/axes.h"

namespace nnfast {

// What a search or a product walks over: lines of x, for each of the results, in order. Where the
// last axis is kept, a line is a strip of it, with a result for each place; else it is all of that
// axis, with one result.
struct Walk {
  Places kept, reduced;        // axes of x but the last one
  index_t run = 1, inner = 1;  // places of the last axis, if it is reduced, and if it is not
  index_t strips = 1;          // of `inner`
  static constexpr index_t kStrip = 512;

  explicit Walk(const MergedAxes& axes) {
    const int last = axes.count - 1;
    if (last >= 0) (axes.axis[last].chosen ? run : inner) = axes.axis[last].size;
    index_t step = run * inner;
    for (int k = last - 1; k >= 0; step *= axes.axis[k--].size)
      (axes.axis[k].chosen ? reduced : kept).add(axes.axis[k].size, step);
    strips = (inner + kStrip - 1) / kStrip;
  }

  // Calls body(offset in x, offset in y, width) for each strip of results, on all threads.
  template <class Body>
  void for_each_strip(double cost, const Body& body) const {
    parallel_ranges(kept.total() * strips, 1, cost, [&](index_t begin, index_t end) {
      for (index_t i = begin; i < end; ++i) {
        const index_t at = strips == 1 ? i : i / strips, first = (i - at * strips) * kStrip;
        body(kept.offset(at) + first, at * inner + first, std::min(kStrip, inner - first));
      }
    });
  }
};

// The first place of value, or of a NaN, in x (n); n if there is none.
template <class T>
index_t find(const T* x, index_t n, T value) {
  constexpr index_t stretch = 64;  // without a branch for each number
  for (index_t i = 0; i < n; i += stretch) {
    const index_t end = std::min(i + stretch, n);
    int found = 0;
    for (index_t k = i; k < end; ++k) found |= static_cast<int>(x[k] == value) | (x[k] != x[k]);
    if (found == 0) continue;
    while (x[i] != value && x[i] == x[i]) ++i;
    return i;
  }
  return n;
}

}  // namespace nnfast
