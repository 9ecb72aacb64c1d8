// Places buffers of known lifetimes in one arena.
#pragma once

#include <cstddef>

#include "plan/graph/ids.h"

namespace nnfast::plan {

struct Buffer {
  size_t bytes = 0;
  int first = 0, last = 0;  // steps of the schedule in which it is alive, inclusive
  size_t offset = 0;        // the result
};

// Sets the offsets (multiples of 64) so that buffers alive at the same time do not overlap; returns
// the size of the arena. Largest first, each at the lowest offset that is free during its lifetime:
// greedy by size (Pisarchyk, Lee 2020, arXiv:2001.03288). O(n^2).
size_t place_buffers(ById<BufferId, Buffer>& buffers);

}  // namespace nnfast::plan
