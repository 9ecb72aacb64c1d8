// Elements of a tensor that is broadcast to other sizes.
#pragma once

#include <algorithm>
#include <cstring>

#include "ops/tensor/dims.h"

namespace nnfast {

// Where the elements of a tensor of sizes `to` lie in one of sizes `from`, which broadcasts to it.
class BroadcastReader {
 public:
  BroadcastReader() {}
  BroadcastReader(const Dims& from, const Dims& to) {
    index_t step = 1;
    for (int i = to.rank; i-- > 0;) {
      const int own = i - (to.rank - from.rank);
      const index_t size = own >= 0 ? from.size[own] : 1;
      add_axis(to.size[i], size == 1 && to.size[i] != 1 ? 0 : step);
      step *= size;
    }
    if (rank_ > 0) return;
    size_[0] = step_[0] = 1;
    rank_ = 1;
  }

  // Whether they are the same elements.
  bool is_whole() const { return rank_ == 1 && (step_[0] == 1 || size_[0] == 1); }

  // The elements begin, ..., begin + n - 1 of the larger tensor.
  template <class T>
  void read(T* to, const T* from, index_t begin, index_t n) const {
    index_t place[kMaxAxes], at = 0, rest = begin;
    for (int i = 0; i < rank_; ++i) {  // from the innermost axis
      place[i] = rest % size_[i];
      rest /= size_[i];
      at += place[i] * step_[i];
    }
    while (n > 0) {
      const index_t run = std::min(n, size_[0] - place[0]);
      if (step_[0] == 0) {
        std::fill_n(to, run, from[at]);
      } else {
        std::memcpy(to, from + at, sizeof(T) * static_cast<size_t>(run));
      }
      to += run;
      n -= run;
      at -= place[0] * step_[0];
      place[0] = 0;
      for (int i = 1; i < rank_; ++i) {
        at += step_[i];
        if (++place[i] < size_[i]) break;
        at -= size_[i] * step_[i];
        place[i] = 0;
      }
    }
  }

 private:
  // Neighbours that remain neighbours become one axis.
  void add_axis(index_t size, index_t step) {
    if (size == 1) return;
    if (rank_ > 0 && step == (step_[rank_ - 1] == 0 ? 0 : step_[rank_ - 1] * size_[rank_ - 1])) {
      size_[rank_ - 1] *= size;
      return;
    }
    size_[rank_] = size;
    step_[rank_++] = step;
  }

  int rank_ = 0;                             // axes from the innermost
  index_t size_[kMaxAxes], step_[kMaxAxes];  // steps are 0 along axes that are broadcast
};

}  // namespace nnfast
