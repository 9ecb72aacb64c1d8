// Axes of a tensor, of which some are chosen: to be reduced, or to be repeated along.
#pragma once

#include "ops/tensor/dims.h"

namespace nnfast {

// Bit i stands for axis i.
using AxisSet = unsigned;

// Neighbors of one sort merged, axes of size 1 left out.
struct MergedAxes {
  struct Axis {
    index_t size;
    bool chosen;
  };

  MergedAxes() = default;
  MergedAxes(const Dims& dims, AxisSet chosen) {
    for (int i = 0; i < dims.rank; ++i) add(dims.size[i], (chosen >> i & 1) != 0);
  }

  void add(index_t size, bool chosen) {
    if (size == 1) return;
    if (count > 0 && axis[count - 1].chosen == chosen) {
      axis[count - 1].size *= size;
    } else {
      axis[count++] = {size, chosen};
    }
  }
  // With another size of axis i.
  MergedAxes with(int i, index_t size) const {
    MergedAxes out;
    for (int k = 0; k < count; ++k) out.add(k == i ? size : axis[k].size, axis[k].chosen);
    return out;
  }
  // The last chosen axis, or -1.
  int last_chosen() const {
    int i = count - 1;
    while (i >= 0 && !axis[i].chosen) --i;
    return i;
  }
  index_t product(int first, int end) const {
    index_t n = 1;
    for (int i = first; i < end; ++i) n *= axis[i].size;
    return n;
  }

  int count = 0;
  Axis axis[kMaxAxes] = {};
};

// Some axes of a tensor, and how far apart their places are in memory.
struct Places {
  int count = 0;
  index_t size[kMaxAxes] = {}, step[kMaxAxes] = {};

  void add(index_t axis_size, index_t axis_step) {
    size[count] = axis_size;
    step[count++] = axis_step;
  }
  index_t total() const {
    index_t n = 1;
    for (int k = 0; k < count; ++k) n *= size[k];
    return n;
  }
  // Of place i, with the axis added first running fastest.
  index_t offset(index_t i) const {
    index_t at = 0;
    for (int k = 0; k + 1 < count; ++k) {
      at += i % size[k] * step[k];
      i /= size[k];
    }
    return count > 0 ? at + i * step[count - 1] : 0;
  }
};

}  // namespace nnfast
