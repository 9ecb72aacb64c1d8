// The backward pass of recurrent layers.
#include <cstring>

#include "kernels/select.h"
#include "ops/gemm/gemm.h"
#include "ops/recurrent/steps.h"
#include "ops/reduce.h"

namespace nnfast {
namespace {

template <class T>
struct BackwardMemory {
  T* panels;
  StateGradients<T> d;
  StateGradients<T> saved;  // of masked rows
  T* dx;
};

template <class T>
BackwardMemory<T> place(Room<T>& room, const RecurrentOptions& o, index_t panels, index_t rows) {
  const index_t states = rows * o.units;
  BackwardMemory<T> m;
  m.panels = room.take(panels);
  m.d = {room.take(states), room.take(states), room.take(states)};
  m.saved = {room.take(states), room.take(states), nullptr};
  m.dx = room.take(rows * o.steps * o.inputs);
  return m;
}

template <class T>
class BackwardPass {
 public:
  BackwardPass(const RecurrentOptions& options, Cell<T>& cell, const RecurrentGradient<T>& p)
      : o_(options), cell_(cell), p_(p), rows_(p.rows), width_(o_.cell.gates() * o_.units) {}

  bool run() {
    Room<T> scratch(p_.scratch), kept(p_.kept);
    m_ = place(scratch, o_, cell_.panels_size(o_.units), rows_);
    v_ = place_values(kept, o_, cell_.reads_before(), rows_, o_.steps, true);
    const T* x = kept.take(rows_ * o_.steps * o_.inputs);
    if (!p_.dropped) {
      v_.dropout = nullptr;
      v_.read = v_.h;
    }
    cell_.prepare_backward(m_.panels, p_.recurrent, o_.units);
    start();
    for_blocks_of_rows(rows_, cost_of_steps(rows_, o_.steps, o_),
                       [this](index_t first, index_t rows, InterruptWatch& watch) {
                         run_rows(first, rows, watch);
                       });
    if (p_.d_first_h) std::memcpy(p_.d_first_h, m_.d.dh, bytes_of_states());
    if (p_.d_first_c) std::memcpy(p_.d_first_c, m_.d.dc, bytes_of_states());
    if (p_.dx) input_gradient();
    const bool kernel_is_moderate = !p_.d_kernel || kernel_gradient(x);
    if (p_.d_bias) bias_gradient();
    return (!p_.d_recurrent || cell_.recurrent_gradient(p_.d_recurrent, v_, positions())) &&
           kernel_is_moderate;
  }

 private:
  index_t positions() const { return rows_ * o_.steps; }
  size_t bytes_of_states() const { return sizeof(T) * static_cast<size_t>(rows_ * o_.units); }

  void start() const {
    const auto set = [this](T* d, const T* last) {
      if (last) {
        std::memcpy(d, last, bytes_of_states());
      } else {
        std::memset(d, 0, bytes_of_states());
      }
    };
    set(m_.d.dh, p_.d_last_h);
    set(m_.d.dc, p_.d_last_c);
    if (p_.dy && !o_.sequences) kernels<T>().add(m_.d.dh, m_.d.dh, p_.dy, rows_ * o_.units);
  }

  void run_rows(index_t first, index_t rows, InterruptWatch& watch) const {
    const index_t at = first * o_.units;
    const StateGradients<T> d{m_.d.dh + at, m_.d.dc + at, m_.d.product + at};
    for (index_t t = o_.steps - 1; t >= 0; --t) {
      OutputRows<const T> dy;
      if (o_.sequences && p_.dy) {
        dy.row = o_.steps * o_.units;
        dy.data = p_.dy + first * dy.row + place_in_y(t, o_) * o_.units;
      }
      if (p_.mask) save_masked(first, rows, t, d, dy);
      cell_.step_back(v_, t, first, rows, d, dy);
      if (p_.mask) restore_masked(first, rows, t, d);
      watch.did(cost_of_steps(rows, 1, o_));
    }
  }

  bool is_masked(index_t row, index_t t) const {
    return p_.mask[row * o_.steps + place_in_x(t, o_)] == T(0);
  }

  // Their gradients pass through the step unchanged.
  void save_masked(index_t first, index_t rows, index_t t, const StateGradients<T>& d,
                   const OutputRows<const T>& dy) const {
    const index_t n = o_.units;
    for (index_t r = 0; r < rows; ++r) {
      if (!is_masked(first + r, t)) continue;
      T* dh = m_.saved.dh + (first + r) * n;
      std::copy_n(d.dh + r * n, n, dh);
      if (dy.data) kernels<T>().add(dh, dh, dy.data + r * dy.row, n);
      std::copy_n(d.dc + r * n, n, m_.saved.dc + (first + r) * n);
    }
  }

  void restore_masked(index_t first, index_t rows, index_t t, const StateGradients<T>& d) const {
    const index_t n = o_.units;
    for (index_t r = 0; r < rows; ++r) {
      if (!is_masked(first + r, t)) continue;
      std::copy_n(m_.saved.dh + (first + r) * n, n, d.dh + r * n);
      std::copy_n(m_.saved.dc + (first + r) * n, n, d.dc + r * n);
      std::fill_n(v_.z.at(t, first + r), width_, T(0));
      if (v_.reset) std::fill_n(v_.reset.at(t, first + r), n, T(0));
    }
  }

  void input_gradient() const {
    const bool ordered = is_ordered(rows_, o_);
    Gemm<T> p;
    p.m = positions();
    p.n = o_.inputs;
    p.k = width_;
    p.a = v_.z.data;
    p.a_row = width_;
    p.a_k = 1;
    p.b = p_.kernel;
    p.b_k = 1;
    p.b_n = width_;
    p.c = ordered ? p_.dx : m_.dx;
    p.c_row = o_.inputs;
    gemm(p);
    if (!ordered) output_steps(p_.dx, m_.dx, rows_, o_);
  }

  bool kernel_gradient(const T* x) const {
    return sum_over_positions(p_.d_kernel, width_, x, o_.inputs, v_.z.data, width_, width_,
                              positions());
  }

  void bias_gradient() const {
    sum_columns(p_.d_bias, v_.z.data, positions(), width_);
    if (o_.cell.kind != CellKind::gru || !o_.cell.reset_after) return;
    T* of_states = p_.d_bias + width_;
    std::copy_n(p_.d_bias, 2 * o_.units, of_states);
    sum_columns(of_states + 2 * o_.units, v_.reset.data, positions(), o_.units);
  }

  const RecurrentOptions& o_;
  Cell<T>& cell_;
  const RecurrentGradient<T>& p_;
  const index_t rows_, width_;
  BackwardMemory<T> m_;
  CellValues<T> v_;
};

}  // namespace

template <class T>
index_t Recurrence<T>::backward_scratch_size(index_t rows) const {
  Room<T> room(nullptr);
  place(room, options_, cell_->panels_size(options_.units), rows);
  return room.used();
}

template <class T>
bool Recurrence<T>::backward(const RecurrentGradient<T>& p) {
  return BackwardPass<T>(options_, *cell_, p).run();
}

template index_t Recurrence<float>::backward_scratch_size(index_t) const;
template index_t Recurrence<double>::backward_scratch_size(index_t) const;
template bool Recurrence<float>::backward(const RecurrentGradient<float>&);
template bool Recurrence<double>::backward(const RecurrentGradient<double>&);

}  // namespace nnfast
