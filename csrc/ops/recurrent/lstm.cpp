// LSTM: gates i f g o of x W + h U + b, c = f c + i g, h = o tanh(c). kernels/recurrent.inl has the
// references.
#include "kernels/select.h"
#include "ops/recurrent/any.h"
#include "ops/recurrent/cell.h"

namespace nnfast {
namespace {

template <class T>
class LstmCell final : public Cell<T> {
 public:
  using Cell<T>::Cell;

  void step(const CellValues<T>& v, index_t t, index_t first, index_t rows,
            const OutputRows<T>& y) const override {
    const index_t n = v.units;
    T* z = v.z.at(t, first);
    this->drop(v, t, first, rows);
    this->panels_.multiply(z, 4 * n, v.read.at(t, first), n, rows, GemmStart::output);
    const LstmStep<T> p{
        z, v.c.at(t, first), v.c.at(t + 1, first), v.h.at(t + 1, first), y.data, y.row, rows, n};
    if (this->is_usual_) return kernels<T>().lstm_step_forward(p);
    lstm_step_forward_any(p, v.before ? v.before.at(t, first) : nullptr, this->options_);
  }

  void step_back(const CellValues<T>& v, index_t t, index_t first, index_t rows,
                 const StateGradients<T>& d, const OutputRows<const T>& dy) const override {
    const index_t n = v.units;
    T* z = v.z.at(t, first);
    const LstmStepGradient<T> p{
        z, v.c.at(t, first), v.c.at(t + 1, first), d.dh, d.dc, dy.data, dy.row, rows, n};
    if (this->is_usual_) {
      kernels<T>().lstm_step_backward(p);
    } else {
      lstm_step_backward_any(p, v.before ? v.before.at(t, first) : nullptr, this->options_);
    }
    this->panels_.multiply(d.dh, n, z, 4 * n, rows, GemmStart::output);
    if (v.dropout) kernels<T>().multiply(d.dh, d.dh, v.dropout + first * n, rows * n);
  }
};

}  // namespace

template <class T>
std::unique_ptr<Cell<T>> make_lstm_cell(const CellOptions& options) {
  return std::make_unique<LstmCell<T>>(options);
}
template std::unique_ptr<Cell<float>> make_lstm_cell(const CellOptions&);
template std::unique_ptr<Cell<double>> make_lstm_cell(const CellOptions&);

}  // namespace nnfast
