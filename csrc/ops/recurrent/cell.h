// Recurrent cells: what one time step of SimpleRNN, GRU and LSTM computes. Formulas, gates and the
// layout of parameters are Keras's.
#pragma once

#include <memory>

#include "kernels/params.h"
#include "ops/recurrent/panels.h"

namespace nnfast {

enum class CellKind { simple_rnn, gru, lstm };

struct CellOptions {
  CellKind kind;
  ActivationParams activation, recurrent_activation;
  bool reset_after;  // of a GRU

  index_t gates() const { return kind == CellKind::simple_rnn ? 1 : kind == CellKind::gru ? 3 : 4; }
  // Whether it has a second state, c.
  bool has_memory() const { return kind == CellKind::lstm; }
};

// Values of time steps (steps, rows, width). Where only the last ones are needed, they take turns.
template <class T>
struct Steps {
  T* data = nullptr;
  index_t step = 0, row = 0;  // elements
  index_t slots = 1;

  T* at(index_t t, index_t r) const { return data + t % slots * step + r * row; }
  explicit operator bool() const { return data != nullptr; }
};

// The values of a pass. Before step t, z(t) is x W + b; step t turns it into gates, and the
// backward step into the gradient of what they are functions of.
template <class T>
struct CellValues {
  index_t units;
  Steps<T> z;               // (gates, units)
  Steps<T> before;          // what gates are functions of, if a derivative reads it; or null
  Steps<T> h, c;            // the states before step t
  Steps<T> read;            // h as the products read it: h itself, or with dropout
  Steps<T> reset;           // of a GRU: h U + b of the candidate, or reset gate times h
  T* dropout = nullptr;     // (rows, units): factors of h; or null
  const T* bias = nullptr;  // added to h U of the candidate; or null
};

// Gradients of the states after a step, which a backward step replaces by those before it.
template <class T>
struct StateGradients {
  T *dh, *dc;  // (rows, units)
  T* product;  // (rows, units): working memory
};

template <class T>
struct OutputRows {
  T* data = nullptr;  // or null
  index_t row = 0;
};

template <class T>
class Cell {
 public:
  static std::unique_ptr<Cell> make(const CellOptions& options);
  explicit Cell(const CellOptions& options);
  virtual ~Cell() = default;
  Cell(const Cell&) = delete;
  Cell& operator=(const Cell&) = delete;

  // Whether `before` is needed for the backward pass.
  bool reads_before() const;

  // Elements of the memory lent to prepare_*().
  virtual index_t panels_size(index_t units) const;
  // Before the steps of a pass, with U (units, gates units). Forward, U is read in place if that is
  // better for few rows. By default h U is one product.
  virtual void prepare_forward(T* memory, const T* recurrent, index_t units, bool in_place);
  virtual void prepare_backward(T* memory, const T* recurrent, index_t units);

  // Step t of the rows [first, first + rows); y = h after the step.
  virtual void step(const CellValues<T>& v, index_t t, index_t first, index_t rows,
                    const OutputRows<T>& y) const = 0;
  // `d` begins with these rows. dy is added to dh.
  virtual void step_back(const CellValues<T>& v, index_t t, index_t first, index_t rows,
                         const StateGradients<T>& d, const OutputRows<const T>& dy) const = 0;
  // After all backward steps. Returns whether the result is moderate (ops/reduce.h).
  virtual bool recurrent_gradient(T* d_recurrent, const CellValues<T>& v, index_t positions) const;

 protected:
  // read(t) = dropout h(t)
  void drop(const CellValues<T>& v, index_t t, index_t first, index_t rows) const;
  // d (rows, units) U^T, which `product` holds, passes to dh.
  void pass_product(const CellValues<T>& v, index_t first, index_t rows,
                    const StateGradients<T>& d) const;

  const CellOptions options_;
  Panels<T> panels_;     // of U, or of its transpose in the backward pass
  const bool is_usual_;  // tanh and sigmoid: one kernel does all of a step between its products
};

// C (M, N) = A^T (M, K) B (K, N), where k runs over time steps and rows: a sum of chains of nearly
// equal length, in order. Returns whether it is moderate (ops/reduce.h).
template <class T>
bool sum_over_positions(T* c, index_t c_row, const T* a, index_t m, const T* b, index_t b_row,
                        index_t n, index_t positions);

template <class T>
std::unique_ptr<Cell<T>> make_simple_rnn_cell(const CellOptions& options);
template <class T>
std::unique_ptr<Cell<T>> make_gru_cell(const CellOptions& options);
template <class T>
std::unique_ptr<Cell<T>> make_lstm_cell(const CellOptions& options);

}  // namespace nnfast
