// The sizes of a tensor's axes, the batch included where it has one.
#pragma once

#include "base/types.h"

namespace nnfast {

constexpr int kMaxAxes = 8;

struct Dims {
  int rank = 0;
  index_t size[kMaxAxes] = {};

  index_t elements() const { return product(0, rank); }
  // Of the axes first, ..., end - 1.
  index_t product(int first, int end) const {
    index_t n = 1;
    for (int i = first; i < end; ++i) n *= size[i];
    return n;
  }
  bool operator==(const Dims& other) const {
    if (rank != other.rank) return false;
    for (int i = 0; i < rank; ++i) {
      if (size[i] != other.size[i]) return false;
    }
    return true;
  }
};

}  // namespace nnfast
