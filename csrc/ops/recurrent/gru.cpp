// GRU: gates z r g, h = z h + (1 - z) g. The reset gate r multiplies the candidate's product h U +
// b ("after"), or the state before it ("before"). kernels/recurrent.inl has the references.
#include <algorithm>

#include "kernels/select.h"
#include "ops/recurrent/any.h"
#include "ops/recurrent/cell.h"

namespace nnfast {
namespace {

template <class T>
class GruCell final : public Cell<T> {
 public:
  using Cell<T>::Cell;

  index_t panels_size(index_t units) const override {
    const index_t gates =
        std::max(Panels<T>::size(units, 2 * units), Panels<T>::size(2 * units, units));
    return gates + Panels<T>::size(units, units);
  }

  void prepare_forward(T* memory, const T* recurrent, index_t n, bool in_place) override {
    if (in_place) {
      this->panels_.read(recurrent, 3 * n, n, 2 * n);
      candidate_.read(recurrent + 2 * n, 3 * n, n, n);
    } else {
      this->panels_.copy(memory, recurrent, 3 * n, 1, n, 2 * n);
      candidate_.copy(memory + Panels<T>::size(n, 2 * n), recurrent + 2 * n, 3 * n, 1, n, n);
    }
  }
  void prepare_backward(T* memory, const T* recurrent, index_t n) override {
    this->panels_.copy(memory, recurrent, 1, 3 * n, 2 * n, n);
    candidate_.copy(memory + Panels<T>::size(2 * n, n), recurrent + 2 * n, 1, 3 * n, n, n);
  }

  void step(const CellValues<T>& v, index_t t, index_t first, index_t rows,
            const OutputRows<T>& y) const override {
    const index_t n = v.units;
    T *z = v.z.at(t, first), *reset = v.reset.at(t, first);
    this->drop(v, t, first, rows);
    const T* read = v.read.at(t, first);
    this->panels_.multiply(z, 3 * n, read, n, rows, GemmStart::output);
    if (resets_after()) {
      const GemmStart start = v.bias ? GemmStart::bias : GemmStart::zero;
      candidate_.multiply(reset, n, read, n, rows, start, v.bias);
    } else {
      if (this->is_usual_) {
        kernels<T>().gru_reset_forward(reset, z, read, rows, n);
      } else {
        gru_reset_forward_any(reset, z, read, rows, n, before(v, t, first), this->options_);
      }
      candidate_.multiply(z + 2 * n, 3 * n, reset, n, rows, GemmStart::output);
    }
    const GruStep<T> p{z,
                       resets_after() ? reset : nullptr,
                       v.h.at(t, first),
                       v.h.at(t + 1, first),
                       y.data,
                       y.row,
                       rows,
                       n};
    if (this->is_usual_) return kernels<T>().gru_step_forward(p);
    gru_step_forward_any(p, before(v, t, first), this->options_);
  }

  void step_back(const CellValues<T>& v, index_t t, index_t first, index_t rows,
                 const StateGradients<T>& d, const OutputRows<const T>& dy) const override {
    const index_t n = v.units;
    T *z = v.z.at(t, first), *reset = v.reset.at(t, first);
    const GruStepGradient<T> p{
        z, resets_after() ? reset : nullptr, v.h.at(t, first), d.dh, dy.data, dy.row, rows, n};
    if (this->is_usual_) {
      kernels<T>().gru_step_backward(p);
    } else {
      gru_step_backward_any(p, before(v, t, first), this->options_);
    }
    if (!resets_after()) {
      candidate_.multiply(d.product, n, z + 2 * n, 3 * n, rows, GemmStart::zero);
      const T* read = v.read.at(t, first);
      if (this->is_usual_) {
        kernels<T>().gru_reset_backward(d.product, z, read, rows, n);
      } else {
        gru_reset_backward_any(d.product, z, read, rows, n, before(v, t, first), this->options_);
      }
      this->panels_.multiply(d.product, n, z, 3 * n, rows, GemmStart::output);
      return this->pass_product(v, first, rows, d);
    }
    T* product = v.dropout ? d.product : d.dh;
    this->panels_.multiply(product, n, z, 3 * n, rows,
                           v.dropout ? GemmStart::zero : GemmStart::output);
    candidate_.multiply(product, n, reset, n, rows, GemmStart::output);
    if (v.dropout) this->pass_product(v, first, rows, d);
  }

  bool recurrent_gradient(T* d_recurrent, const CellValues<T>& v,
                          index_t positions) const override {
    const index_t n = v.units, width = 3 * n;
    T* of_candidate = d_recurrent + 2 * n;
    const bool gates_are_moderate =
        sum_over_positions(d_recurrent, width, v.read.data, n, v.z.data, width, 2 * n, positions);
    const bool candidate_is_moderate =
        resets_after()
            ? sum_over_positions(of_candidate, width, v.read.data, n, v.reset.data, n, n, positions)
            : sum_over_positions(of_candidate, width, v.reset.data, n, v.z.data + 2 * n, width, n,
                                 positions);
    return gates_are_moderate && candidate_is_moderate;
  }

 private:
  bool resets_after() const { return this->options_.reset_after; }
  static T* before(const CellValues<T>& v, index_t t, index_t first) {
    return v.before ? v.before.at(t, first) : nullptr;
  }

  Panels<T> candidate_;  // of its part of U; panels_ are those of the gates z and r
};

}  // namespace

template <class T>
std::unique_ptr<Cell<T>> make_gru_cell(const CellOptions& options) {
  return std::make_unique<GruCell<T>>(options);
}
template std::unique_ptr<Cell<float>> make_gru_cell(const CellOptions&);
template std::unique_ptr<Cell<double>> make_gru_cell(const CellOptions&);

}  // namespace nnfast
