// SimpleRNN: h = f(x W + h U + b). Elman 1990, doi 10.1207/s15516709cog1402_1.
#include <algorithm>

#include "kernels/select.h"
#include "ops/activation.h"
#include "ops/recurrent/cell.h"

namespace nnfast {
namespace {

template <class T>
class SimpleRnnCell final : public Cell<T> {
 public:
  using Cell<T>::Cell;

  void step(const CellValues<T>& v, index_t t, index_t first, index_t rows,
            const OutputRows<T>& y) const override {
    const index_t n = v.units;
    T *z = v.z.at(t, first), *h = v.h.at(t + 1, first);
    this->drop(v, t, first, rows);
    this->panels_.multiply(z, n, v.read.at(t, first), n, rows, GemmStart::output);
    kernels<T>().activation_forward(h, z, rows * n, this->options_.activation);
    for (index_t r = 0; y.data && r < rows; ++r) std::copy_n(h + r * n, n, y.data + r * y.row);
  }

  void step_back(const CellValues<T>& v, index_t t, index_t first, index_t rows,
                 const StateGradients<T>& d, const OutputRows<const T>& dy) const override {
    const index_t n = v.units;
    T* z = v.z.at(t, first);
    const T* h = v.h.at(t + 1, first);
    for (index_t r = 0; dy.data && r < rows; ++r)
      kernels<T>().add(d.dh + r * n, d.dh + r * n, dy.data + r * dy.row, n);
    const ActivationParams& f = this->options_.activation;
    kernels<T>().activation_backward(z, d.dh, derivative_reads_input(f.kind) ? z : h, h, rows * n,
                                     f);
    this->panels_.multiply(d.dh, n, z, n, rows, GemmStart::zero);
    if (v.dropout) kernels<T>().multiply(d.dh, d.dh, v.dropout + first * n, rows * n);
  }
};

}  // namespace

template <class T>
std::unique_ptr<Cell<T>> make_simple_rnn_cell(const CellOptions& options) {
  return std::make_unique<SimpleRnnCell<T>>(options);
}
template std::unique_ptr<Cell<float>> make_simple_rnn_cell(const CellOptions&);
template std::unique_ptr<Cell<double>> make_simple_rnn_cell(const CellOptions&);

}  // namespace nnfast
