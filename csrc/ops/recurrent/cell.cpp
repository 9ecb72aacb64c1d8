#include "ops/recurrent/cell.h"

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
  Gemm<T> p;
  p.m = v.units;
  p.n = options_.gates() * v.units;
  p.k = positions;
  p.a = v.read.data;
  p.a_row = 1;
  p.a_k = v.units;
  p.b = v.z.data;
  p.b_k = p.n;
  p.b_n = 1;
  p.c = d_recurrent;
  p.c_row = p.n;
  p.check = p.tiled = true;
  return gemm(p);
}

template class Cell<float>;
template class Cell<double>;

}  // namespace nnfast
