// What the passes of a recurrent layer share: memory, the order of steps, ranges of rows.
#pragma once

#include <algorithm>

#include "base/aligned.h"
#include "base/interrupt.h"
#include "base/thread_pool.h"
#include "ops/recurrent/recurrent.h"

namespace nnfast {

// Hands out pieces of memory; without memory it only measures.
template <class T>
class Room {
 public:
  explicit Room(T* memory) : memory_(memory) {}
  T* take(index_t elements) {
    constexpr index_t line = kAlignment / sizeof(T);
    T* piece = memory_ ? memory_ + used_ : nullptr;
    used_ += (elements + line - 1) / line * line;
    return piece;
  }
  Steps<T> take(index_t slots, index_t rows, index_t width) {
    return {take(slots * rows * width), rows * width, width, slots};
  }
  index_t used() const { return used_; }

 private:
  T* memory_;
  index_t used_ = 0;
};

// The values of all steps, or of those of a block, of which only the last state is needed.
template <class T>
CellValues<T> place_values(Room<T>& room, const RecurrentOptions& o, bool reads_before,
                           index_t rows, index_t steps, bool all) {
  const index_t width = o.cell.gates() * o.units;
  CellValues<T> v{};
  v.units = o.units;
  v.z = room.take(steps, rows, width);
  if (o.cell.kind == CellKind::gru) v.reset = room.take(steps, rows, o.units);
  const index_t states = all ? steps + 1 : 2;
  v.h = room.take(states, rows, o.units);
  if (o.cell.has_memory()) v.c = room.take(states, rows, o.units);
  v.read = v.h;
  if (all && reads_before) v.before = room.take(steps, rows, width);
  if (o.drops) {
    v.read = room.take(steps, rows, o.units);
    v.dropout = room.take(rows * o.units);
  }
  return v;
}

// Steps [begin, end) of x into `steps` (T, N, D), with zeros where they are masked: NaN in padding
// must not reach a product.
template <class T>
void input_steps(T* steps, const T* x, const T* mask, index_t rows, const RecurrentOptions& o,
                 index_t begin, index_t end);
// dx (N, T, D) from the gradients of all steps.
template <class T>
void output_steps(T* dx, const T* steps, index_t rows, const RecurrentOptions& o);
// Whether x as it is has that order.
inline bool is_ordered(index_t rows, const RecurrentOptions& o) {
  return rows == 1 ? !o.backwards : o.steps == 1;
}

// The place in x of a step, and in y.
inline index_t place_in_x(index_t t, const RecurrentOptions& o) {
  return o.backwards ? o.steps - 1 - t : t;
}
inline index_t place_in_y(index_t t, const RecurrentOptions& o) {
  return o.in_order ? place_in_x(t, o) : t;
}

// In units of about a nanosecond.
double cost_of_steps(index_t rows, index_t steps, const RecurrentOptions& o);

// Calls body(first, rows, watch) for blocks of rows, on all threads.
template <class Body>
void for_blocks_of_rows(index_t rows, double cost, const Body& body) {
  // The values of a step stay in the L2 cache, and U is read from it once for all rows of the
  // block.
  constexpr index_t kRows = 64;
  parallel_shares(rows, 1, cost, [&](index_t begin, index_t end) {
    const index_t blocks = (end - begin + kRows - 1) / kRows;
    InterruptWatch watch;
    for (index_t block = 0; block < blocks; ++block) {
      const index_t count = (end - begin) / (blocks - block);
      body(begin, count, watch);
      begin += count;
    }
  });
}

}  // namespace nnfast
