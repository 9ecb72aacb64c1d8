#include "ops/recurrent/recurrent.h"

#include <cstring>

#include "kernels/select.h"
#include "ops/gemm/gemm.h"
#include "ops/recurrent/steps.h"

namespace nnfast {
namespace {

// Elements of z that a block of steps computes at a time in prediction, where they are not kept.
constexpr index_t kNumbersOfBlock = 256 * 1024;
// With fewer rows and steps, copying U into panels costs more than it saves.
constexpr index_t kPositionsThatPayForPanels = 32;

// Of a layer's steps, so many pass at a time: at least one of all rows.
index_t positions_of_block(index_t rows, const RecurrentOptions& o) {
  const index_t width = o.cell.gates() * o.units;
  return std::min(rows * o.steps, std::max(kNumbersOfBlock / width, rows));
}

template <class T>
class ForwardPass {
 public:
  ForwardPass(const RecurrentOptions& options, Cell<T>& cell, const RecurrentPass<T>& p)
      : o_(options), cell_(cell), p_(p), rows_(p.rows), width_(o_.cell.gates() * o_.units) {}

  void run() {
    Room<T> scratch(p_.scratch), kept(p_.kept);
    T* panels = scratch.take(cell_.panels_size(o_.units));
    T* bias = scratch.take(width_);
    const index_t block = p_.kept ? o_.steps : positions_of_block(rows_, o_) / rows_;
    Room<T>& room = p_.kept ? kept : scratch;
    v_ = place_values(room, o_, cell_.reads_before(), rows_, block, p_.kept != nullptr);
    T* steps = room.take(block * rows_ * o_.inputs);
    const bool in_place = rows_ == 1 || rows_ * o_.steps < kPositionsThatPayForPanels;
    cell_.prepare_forward(panels, p_.recurrent, o_.units, in_place);
    start();
    const T* first = bias_of_inputs(bias);
    for (index_t t = 0; t < o_.steps; t += block) {
      const index_t end = std::min(o_.steps, t + block);
      multiply_inputs(inputs(steps, t, end), first, end - t);
      for_blocks_of_rows(rows_, cost_of_steps(rows_, end - t, o_),
                         [&](index_t row, index_t rows, InterruptWatch& watch) {
                           run_rows(row, rows, t, end, watch);
                         });
    }
    finish();
  }

 private:
  size_t bytes_of_states() const { return sizeof(T) * static_cast<size_t>(rows_ * o_.units); }

  void start() {
    const auto set = [this](const Steps<T>& states, const T* first) {
      if (!states) return;
      if (first) {
        std::memcpy(states.at(0, 0), first, bytes_of_states());
      } else {
        std::memset(states.at(0, 0), 0, bytes_of_states());
      }
    };
    set(v_.h, p_.first_h);
    set(v_.c, p_.first_c);
    if (p_.dropout) {
      const index_t n = rows_ * o_.units;
      std::fill_n(v_.dropout, n, T(1));
      kernels<T>().dropout(v_.dropout, v_.dropout, 0, n, *p_.dropout);
    } else {
      v_.dropout = nullptr;
      v_.read = v_.h;
    }
  }

  // The backward pass reads the copy.
  const T* inputs(T* steps, index_t begin, index_t end) const {
    if (!p_.kept && !p_.mask && is_ordered(rows_, o_)) return p_.x + begin * rows_ * o_.inputs;
    input_steps(steps, p_.x, p_.mask, rows_, o_, begin, end);
    return steps;
  }

  // z starts from it. The biases of inputs and states of a gate are added once for all steps,
  // unless its reset comes between them.
  const T* bias_of_inputs(T* memory) {
    if (!p_.bias || o_.cell.kind != CellKind::gru || !o_.cell.reset_after) return p_.bias;
    v_.bias = p_.bias + width_ + 2 * o_.units;
    std::copy_n(p_.bias, width_, memory);
    kernels<T>().add(memory, p_.bias, p_.bias + width_, 2 * o_.units);
    return memory;
  }

  void multiply_inputs(const T* x, const T* bias, index_t steps) const {
    Gemm<T> p;
    p.m = steps * rows_;
    p.n = width_;
    p.k = o_.inputs;
    p.a = x;
    p.a_row = o_.inputs;
    p.a_k = 1;
    p.b = p_.kernel;
    p.b_k = width_;
    p.b_n = 1;
    p.c = v_.z.data;
    p.c_row = width_;
    p.bias = bias;
    gemm(p);
  }

  void run_rows(index_t first, index_t rows, index_t begin, index_t end,
                InterruptWatch& watch) const {
    for (index_t t = begin; t < end; ++t) {
      OutputRows<T> y;
      if (o_.sequences) {
        y.row = o_.steps * o_.units;
        y.data = p_.y + first * y.row + place_in_y(t, o_) * o_.units;
      }
      cell_.step(v_, t, first, rows, y);
      if (p_.mask) repeat_masked(first, rows, t, y);
      watch.did(cost_of_steps(rows, 1, o_));
    }
  }

  void repeat_masked(index_t first, index_t rows, index_t t, const OutputRows<T>& y) const {
    const index_t n = o_.units;
    for (index_t r = 0; r < rows; ++r) {
      if (p_.mask[(first + r) * o_.steps + place_in_x(t, o_)] != T(0)) continue;
      const T* h = v_.h.at(t, first + r);
      std::copy_n(h, n, v_.h.at(t + 1, first + r));
      if (v_.c) std::copy_n(v_.c.at(t, first + r), n, v_.c.at(t + 1, first + r));
      if (y.data) std::copy_n(h, n, y.data + r * y.row);
    }
  }

  void finish() const {
    const T* h = v_.h.at(o_.steps, 0);
    if (!o_.sequences) std::memcpy(p_.y, h, bytes_of_states());
    if (p_.last_h) std::memcpy(p_.last_h, h, bytes_of_states());
    if (p_.last_c) std::memcpy(p_.last_c, v_.c.at(o_.steps, 0), bytes_of_states());
  }

  const RecurrentOptions& o_;
  Cell<T>& cell_;
  const RecurrentPass<T>& p_;
  const index_t rows_, width_;
  CellValues<T> v_;
};

}  // namespace

template <class T>
Recurrence<T>::Recurrence(const RecurrentOptions& options)
    : options_(options), cell_(Cell<T>::make(options.cell)) {}

template <class T>
index_t Recurrence<T>::kept_size(index_t rows) const {
  Room<T> room(nullptr);
  place_values(room, options_, cell_->reads_before(), rows, options_.steps, true);
  room.take(rows * options_.steps * options_.inputs);
  return room.used();
}

template <class T>
index_t Recurrence<T>::scratch_size(index_t rows) const {
  Room<T> room(nullptr);
  room.take(cell_->panels_size(options_.units));
  room.take(options_.cell.gates() * options_.units);
  // A block has at most so many positions, whatever the number of its rows.
  const index_t positions = positions_of_block(rows, options_);
  place_values(room, options_, false, 1, positions, false);
  place_values(room, options_, false, rows, 1, false);
  room.take(positions * options_.inputs);
  return room.used();
}

template <class T>
void Recurrence<T>::forward(const RecurrentPass<T>& p) {
  ForwardPass<T>(options_, *cell_, p).run();
}

template class Recurrence<float>;
template class Recurrence<double>;

}  // namespace nnfast
