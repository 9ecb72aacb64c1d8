// Recurrent layers without Python: a step of an LSTM and of a GRU beside long double, and whole
// passes, forward and backward, with the same bits on every instruction set and any number of
// threads.
#include "ops/recurrent/recurrent.h"

#include "base/thread_pool.h"
#include "kernel_check.h"
#include "kernels/select.h"
#include "ops/dropout.h"
#include "tables.h"

using namespace nnfast;
using namespace nnfast_test;

namespace {

template <class T>
void test_lstm_step(index_t rows, index_t n) {
  Numbers numbers;
  const auto z = numbers.vector<T>(rows * 4 * n, -3, 3),
             before = numbers.vector<T>(rows * n, -1, 1);
  std::vector<T> gates = z, c(before.size()), h(before.size());
  kernels<T>().lstm_step_forward(
      {gates.data(), before.data(), c.data(), h.data(), nullptr, 0, rows, n});
  bool good = true;
  for (index_t at = 0; at < rows * n; ++at) {
    const auto gate = [&](index_t k) {
      return static_cast<Exact>(z[static_cast<size_t>((at / n * 4 + k) * n + at % n)]);
    };
    const auto i = static_cast<size_t>(at);
    const Exact state = sigmoid(gate(1)) * before[i] + sigmoid(gate(0)) * std::tanh(gate(2));
    good = good && close(c[i], state, 16, 2) &&
           close(h[i], sigmoid(gate(3)) * std::tanh(state), 16, 2);
  }
  CHECK(good);
  for (const auto* values : {&gates, &c, &h}) add_to_hash(*values);
}

template <class T>
void test_gru_step(index_t rows, index_t n) {
  Numbers numbers;
  const auto z = numbers.vector<T>(rows * 3 * n, -3, 3),
             before = numbers.vector<T>(rows * n, -1, 1);
  const auto product = numbers.vector<T>(rows * n, -1, 1);
  std::vector<T> gates = z, h(before.size());
  kernels<T>().gru_step_forward(
      {gates.data(), product.data(), before.data(), h.data(), nullptr, 0, rows, n});
  bool good = true;
  for (index_t at = 0; at < rows * n; ++at) {
    const auto gate = [&](index_t k) {
      return static_cast<Exact>(z[static_cast<size_t>((at / n * 3 + k) * n + at % n)]);
    };
    const auto i = static_cast<size_t>(at);
    const Exact update = sigmoid(gate(0));
    const Exact candidate = std::tanh(gate(2) + sigmoid(gate(1)) * product[i]);
    good = good && close(h[i], update * before[i] + (1 - update) * candidate, 16, 4);
  }
  CHECK(good);
  for (const auto* values : {&gates, &h}) add_to_hash(*values);
}

// All results of a pass.
template <class T>
std::vector<T> results_of(const RecurrentOptions& o, index_t rows) {
  Numbers numbers;
  const index_t width = o.cell.gates() * o.units, states = rows * o.units;
  const index_t outputs = o.sequences ? o.steps * states : states;
  const index_t biases = o.cell.reset_after ? 2 * width : width;
  const auto x = numbers.vector<T>(rows * o.steps * o.inputs, -1, 1);
  const auto kernel = numbers.vector<T>(o.inputs * width, -1, 1);
  const auto recurrent = numbers.vector<T>(o.units * width, -0.25, 0.25);
  const auto bias = numbers.vector<T>(biases, -1, 1), dy = numbers.vector<T>(outputs, -1, 1);
  const auto first_h = numbers.vector<T>(states, -1, 1), first_c = numbers.vector<T>(states, -1, 1);
  const auto d_last = numbers.vector<T>(states, -1, 1);
  const DropoutParams dropout = dropout_of(0.25, {5, 3, 1});
  auto mask = numbers.vector<T>(rows * o.steps, -1, 2);
  for (T& value : mask) value = value < T(0) ? T(0) : T(1);
  Recurrence<T> recurrence(o);
  std::vector<T> kept(static_cast<size_t>(recurrence.kept_size(rows)));
  std::vector<T> scratch(static_cast<size_t>(
      std::max(recurrence.scratch_size(rows), recurrence.backward_scratch_size(rows))));
  std::vector<T> all(static_cast<size_t>(2 * outputs + 4 * states) + x.size() + kernel.size() +
                     recurrent.size() + bias.size());
  T *y = all.data(), *again = y + outputs, *last_h = again + outputs, *last_c = last_h + states;
  T *d_first_h = last_c + states, *d_first_c = d_first_h + states;
  T *dx = d_first_c + states, *d_kernel = dx + x.size();
  T *d_recurrent = d_kernel + kernel.size(), *d_bias = d_recurrent + recurrent.size();
  RecurrentPass<T> p{};
  p.rows = rows, p.x = x.data(), p.mask = mask.data();
  p.kernel = kernel.data(), p.recurrent = recurrent.data(), p.bias = bias.data();
  p.first_h = first_h.data(), p.last_h = last_h;
  if (o.cell.has_memory()) p.first_c = first_c.data(), p.last_c = last_c;
  if (o.drops) p.dropout = &dropout;
  p.y = again, p.scratch = scratch.data();
  recurrence.forward(p);
  p.y = y, p.kept = kept.data();
  recurrence.forward(p);
  CHECK(std::equal(y, y + outputs, again));
  RecurrentGradient<T> d{};
  d.rows = rows, d.x = x.data(), d.mask = mask.data();
  d.kernel = kernel.data(), d.recurrent = recurrent.data(), d.dy = dy.data();
  d.dropped = o.drops, d.d_last_h = d_last.data(), d.d_first_h = d_first_h;
  if (o.cell.has_memory()) d.d_last_c = d_last.data(), d.d_first_c = d_first_c;
  d.dx = dx, d.d_kernel = d_kernel, d.d_recurrent = d_recurrent, d.d_bias = d_bias;
  d.kept = kept.data(), d.scratch = scratch.data();
  CHECK(recurrence.backward(d));
  return all;
}

template <class T>
void test_layers() {
  const ActivationParams tanh{Activation::tanh, 0}, sigmoid{Activation::sigmoid, 0};
  const ActivationParams gelu{Activation::gelu, 0};
  for (const CellKind kind : {CellKind::simple_rnn, CellKind::gru, CellKind::lstm}) {
    for (const bool reset_after : {false, true}) {
      for (const ActivationParams& activation : {tanh, gelu}) {
        const CellOptions cell{kind, activation, sigmoid, reset_after && kind == CellKind::gru};
        for (const auto& [rows, units] : {std::pair<index_t, index_t>{1, 19}, {37, 21}}) {
          // Backwards, in the order of x, all steps, dropout.
          const RecurrentOptions forwards{cell, 11, 7, units, false, false, false, false};
          const RecurrentOptions backwards{cell, 11, 7, units, true, false, true, true};
          const RecurrentOptions in_order{cell, 11, 7, units, true, true, true, false};
          for (const RecurrentOptions& o : {forwards, backwards, in_order}) {
            set_num_threads(1);
            const std::vector<T> alone = results_of<T>(o, rows);
            set_num_threads(3);
            CHECK(alone == results_of<T>(o, rows));
            add_to_hash(alone);
          }
        }
      }
    }
  }
}

template <class T>
void test_all() {
  for (const index_t n : kLengths) {
    test_lstm_step<T>(3, n);
    test_gru_step<T>(3, n);
  }
  test_layers<T>();
}

}  // namespace

int main() {
  for_each_table([] {
    hash = hash_of<char>(nullptr, 0);
    test_all<float>();
    test_all<double>();
    return hash;
  });
  return report("recurrent_test");
}
