#include "ops/recurrent/cell.h"

#include <algorithm>

#include "kernels/select.h"
#include "ops/activation.h"
#include "ops/gemm/gemm.h"

namespace nnfast {

template <class T>
std::unique_ptr<Cell<T>> Cell<T>::make(const CellOptions& options) {
  switch (options.kind) {
    case CellKind::simple_rnn:
      return make_simple_rnn_cell<T>(options);
    case CellKind::gru:
      return make_gru_cell<T>(options);
    default:
      return make_lstm_cell<T>(options);
  }
}

template <class T>
Cell<T>::Cell(const CellOptions& options)
    : options_(options),
      is_usual_(options.activation.kind == Activation::tanh &&
                options.recurrent_activation.kind == Activation::sigmoid) {}

template <class T>
bool Cell<T>::reads_before() const {
  return options_.kind != CellKind::simple_rnn &&
         (derivative_reads_input(options_.activation.kind) ||
          derivative_reads_input(options_.recurrent_activation.kind));
}

template <class T>
index_t Cell<T>::panels_size(index_t units) const {
  const index_t width = options_.gates() * units;
  return std::max(Panels<T>::size(units, width), Panels<T>::size(width, units));
}

template <class T>
void Cell<T>::prepare_forward(T* memory, const T* recurrent, index_t units, bool in_place) {
  const index_t width = options_.gates() * units;
  in_place ? panels_.read(recurrent, width, units, width)
           : panels_.copy(memory, recurrent, width, 1, units, width);
}

template <class T>
void Cell<T>::prepare_backward(T* memory, const T* recurrent, index_t units) {
  const index_t width = options_.gates() * units;
  panels_.copy(memory, recurrent, 1, width, width, units);
}

template <class T>
void Cell<T>::drop(const CellValues<T>& v, index_t t, index_t first, index_t rows) const {
  if (!v.dropout) return;
  const index_t n = v.units;
  kernels<T>().multiply(v.read.at(t, first), v.h.at(t, first), v.dropout + first * n, rows * n);
}

template <class T>
void Cell<T>::pass_product(const CellValues<T>& v, index_t first, index_t rows,
                           const StateGradients<T>& d) const {
  const index_t n = v.units;
  if (v.dropout) kernels<T>().multiply(d.product, d.product, v.dropout + first * n, rows * n);
  kernels<T>().add(d.dh, d.dh, d.product, rows * n);
}

template <class T>
bool Cell<T>::recurrent_gradient(T* d_recurrent, const CellValues<T>& v, index_t positions) const {
  const index_t n = v.units, width = options_.gates() * n;
  return sum_over_positions(d_recurrent, width, v.read.data, n, v.z.data, width, width, positions);
}

template <class T>
bool sum_over_positions(T* c, index_t c_row, const T* a, index_t m, const T* b, index_t b_row,
                        index_t n, index_t positions) {
  // The columns of A are as far apart as it is wide, so each step of a chain reads whole cache lines
  // of both factors, which stay in the L1 cache for so many steps: (128, 2500) x (2500, 512) took 4.6
  // ms instead of the 7.5 of chains of 834 (AVX2, Zen 3).
  constexpr index_t kChain = 400;
  Gemm<T> p;
  p.m = m;
  p.n = n;
  p.a_row = 1;
  p.a_k = m;
  p.b_k = b_row;
  p.b_n = 1;
  p.c = c;
  p.c_row = c_row;
  p.tiled = true;  // chains are added to C
  const index_t chains = (positions + kChain - 1) / kChain;
  for (index_t chain = 0; chain < chains; ++chain) {
    const index_t first = positions * chain / chains;
    p.a = a + first * m;
    p.b = b + first * b_row;
    p.k = positions * (chain + 1) / chains - first;
    p.accumulate = chain > 0;
    p.check = chain + 1 == chains;
    if (!gemm(p)) return false;
  }
  return true;
}

template class Cell<float>;
template class Cell<double>;
template bool sum_over_positions(float*, index_t, const float*, index_t, const float*, index_t,
                                 index_t, index_t);
template bool sum_over_positions(double*, index_t, const double*, index_t, const double*, index_t,
                                 index_t, index_t);

}  // namespace nnfast
