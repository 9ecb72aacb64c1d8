// SimpleRNN, GRU and LSTM over all time steps: y (N, T, U), or (N, U) after the last step, from x
// (N, T, D). Further inputs: initial states (N, U), a mask (N, T). Further outputs: the last states
// (N, U).
#include "ops/recurrent/recurrent.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "base/aligned.h"
#include "ops/activation.h"
#include "ops/dropout.h"
#include "ops/reduce.h"
#include "plan/nodes/node.h"

namespace nnfast::plan {
namespace {

bool is_set(const NodeSpec& node, const char* key) { return node.integer_or(key, 0) != 0; }
bool has_bias(const NodeSpec& node) { return node.integer_or("use_bias", 1) != 0; }

CellKind kind_of(const NodeSpec& node) {
  return node.op == "gru"    ? CellKind::gru
         : node.op == "lstm" ? CellKind::lstm
                             : CellKind::simple_rnn;
}

ActivationParams activation_of(const NodeSpec& node, const std::string& prefix,
                               const char* otherwise) {
  const double alpha = node.number_or(prefix + "alpha", std::numeric_limits<double>::quiet_NaN());
  const std::string key = prefix + "activation", name = node.string_or(key, otherwise);
  const ActivationParams f = parse_activation(name, alpha, node.name + ": " + key);
  require(!works_on_rows(f.kind), node.name, ": expected an element-wise ", key, ", got '", name,
          "'");
  return f;
}

CellOptions cell_of(const NodeSpec& node) {
  const bool reset_after = node.op == "gru" && node.integer_or("reset_after", 1) != 0;
  return {kind_of(node), activation_of(node, "", "tanh"),
          activation_of(node, "recurrent_", "sigmoid"), reset_after};
}

index_t states_of(const NodeSpec& node) { return node.op == "lstm" ? 2 : 1; }

// Rows of a batch whose last states the next step of training begins with; 0: it begins with zeros.
int64_t kept_rows(const NodeSpec& node) { return node.integer_or("stateful", 0); }

Inference infer(const NodeSpec& node, const std::vector<Shape>& inputs) {
  const int64_t units = node.integer("units");
  require(units > 0, node.name, ": expected units of 1 or more, got ", units);
  const size_t states = is_set(node, "has_state") ? static_cast<size_t>(states_of(node)) : 0;
  const bool has_mask = is_set(node, "has_mask");
  require_inputs(node, inputs, 1 + states + has_mask);
  const Shape& x = inputs[0];
  require(x.size() == 2 && x[0] > 0, node.name,
          ": expected an input of (N, T, D) with one step or more, got ", batch_shape_text(x));
  const Shape state = {units}, steps = {x[0]};
  for (size_t i = 1; i <= states; ++i) {
    require(inputs[i] == state, node.name, ": expected initial states of ", batch_shape_text(state),
            ", got ", batch_shape_text(inputs[i]));
  }
  require(!has_mask || inputs.back() == steps, node.name, ": expected a mask of ",
          batch_shape_text(steps), ", got ", has_mask ? batch_shape_text(inputs.back()) : "");
  const double rate = node.number_or("recurrent_dropout", 0);
  require(rate >= 0 && rate < 1, node.name, ": expected 0 <= recurrent_dropout < 1, got ", rate);
  const CellOptions cell = cell_of(node);
  const int64_t width = cell.gates() * units;
  Inference result{is_set(node, "return_sequences") ? Shape{x[0], units} : state,
                   {{"kernel", {x[1], width}}, {"recurrent_kernel", {units, width}}}};
  if (has_bias(node)) {
    result.parameters.push_back({"bias", cell.reset_after ? Shape{2, width} : Shape{width}});
  }
  const int64_t kept = kept_rows(node);
  require(kept >= 0, node.name, ": expected stateful of 0 or more rows, got ", kept);
  for (const char* name : {"h", "c"}) {
    if (kept > 0 && (*name == 'h' || states_of(node) > 1))
      result.parameters.push_back({name, {kept, units}, false});
  }
  if (is_set(node, "return_state"))
    result.further_shapes.assign(static_cast<size_t>(states_of(node)), state);
  return result;
}

template <class T>
class RecurrentOp final : public Op<T> {
 public:
  explicit RecurrentOp(const NodeSpec& node)
      : Op<T>(node),
        cell_(cell_of(node)),
        units_(static_cast<index_t>(node.integer("units"))),
        states_(is_set(node, "has_state") ? states_of(node) : 0),
        has_bias_(has_bias(node)),
        has_mask_(is_set(node, "has_mask")),
        backwards_(is_set(node, "go_backwards")),
        in_order_(is_set(node, "in_order")),
        sequences_(is_set(node, "return_sequences")),
        returns_state_(is_set(node, "return_state")),
        dropout_(node.number_or("recurrent_dropout", 0)),
        most_rows_(static_cast<index_t>(kept_rows(node))) {}

  void forward(const Run& run) override {
    RecurrentPass<T> p{};
    p.rows = run.rows;
    p.x = input(0);
    p.mask = mask();
    if (states_ > 0) p.first_h = input(1);
    if (states_ > 1) p.first_c = input(2);
    p.kernel = kernel().value;
    p.recurrent = recurrent().value;
    if (has_bias_) p.bias = bias().value;
    const DropoutParams dropout = dropout_of(dropout_, {run.seed, run.step, this->stream});
    if (drops(run)) p.dropout = &dropout;
    p.y = this->output->value;
    if (returns_state_) p.last_h = this->outputs[1]->value;
    if (returns_state_ && cell_.has_memory()) p.last_c = this->outputs[2]->value;
    p.kept = this->kept;
    p.scratch = this->scratch;
    if (carries_state(run)) begin_with_kept_states(run, &p);
    recurrence().forward(p);
    if (carries_state(run)) keep_states(run, p);
  }

  void backward(const Run& run) override {
    RecurrentGradient<T> p{};
    p.rows = run.rows;
    p.x = input(0);
    p.mask = mask();
    p.kernel = kernel().value;
    p.recurrent = recurrent().value;
    p.dropped = drops(run);
    p.dy = this->d_outputs[0];
    if (returns_state_) p.d_last_h = this->d_outputs[1];
    if (returns_state_ && cell_.has_memory()) p.d_last_c = this->d_outputs[2];
    p.dx = this->d_inputs[0];
    if (states_ > 0) p.d_first_h = this->d_inputs[1];
    if (states_ > 1) p.d_first_c = this->d_inputs[2];
    p.d_kernel = kernel().gradient;
    p.d_recurrent = recurrent().gradient;
    if (has_bias_) p.d_bias = bias().gradient;
    p.kept = this->kept;
    p.scratch = this->backward_scratch;
    kernels_are_moderate_ = recurrence().backward(p);
  }

  void commit(const Run& run) override {
    if (!carries_state(run)) return;
    for (index_t i = 0; i < states_of_cell(); ++i)
      std::copy_n(last_[i].data(), last_rows_ * units_, kept_state(i).value);
  }

  Magnitude check_gradients() const override {
    const bool has_bias = has_bias_ && bias().gradient;
    const bool moderate =
        kernels_are_moderate_ && (!has_bias || all_moderate(bias().gradient, bias().size));
    return moderate ? Magnitude::moderate : Op<T>::check_gradients();
  }
  // Else a copy is kept.
  bool backward_reads_inputs() const override { return has_mask_; }
  bool backward_reads_output() const override { return false; }
  bool has_gradient(size_t i) const override { return static_cast<index_t>(i) <= states_; }
  index_t kept_size(index_t rows) const override { return recurrence().kept_size(rows); }
  index_t scratch_size(index_t rows) const override { return recurrence().scratch_size(rows); }
  index_t backward_scratch_size(index_t rows) const override {
    return recurrence().backward_scratch_size(rows);
  }
  double flops_per_row() const override {
    const int64_t steps = this->inputs[0]->shape[0];
    return 2.0 * static_cast<double>(steps) * static_cast<double>(kernel().size + recurrent().size);
  }

 private:
  // The sizes are known once the op has inputs.
  Recurrence<T>& recurrence() const {
    if (!recurrence_) {
      const Shape& x = this->inputs[0]->shape;
      recurrence_ = std::make_unique<Recurrence<T>>(
          RecurrentOptions{cell_, static_cast<index_t>(x[0]), static_cast<index_t>(x[1]), units_,
                           backwards_, in_order_, sequences_, dropout_ > 0});
    }
    return *recurrence_;
  }

  const T* input(size_t i) const { return this->inputs[i]->value; }
  const T* mask() const { return has_mask_ ? this->inputs.back()->value : nullptr; }
  bool drops(const Run& run) const { return run.training && dropout_ > 0; }

  // Initial states that are inputs are those of the first step of this call, whatever was kept.
  bool carries_state(const Run& run) const {
    return run.training && most_rows_ > 0 && states_ == 0;
  }
  index_t states_of_cell() const { return cell_.has_memory() ? 2 : 1; }
  // The states are the last parameters.
  Parameter<T>& kept_state(index_t i) const {
    return *this->parameters[this->parameters.size() - static_cast<size_t>(states_of_cell() - i)];
  }
  void begin_with_kept_states(const Run& run, RecurrentPass<T>* p) {
    require(run.first_row + run.rows <= most_rows_, this->name, ": expected batches of at most ",
            most_rows_, " rows, which the states are kept for, got ", run.first_row + run.rows,
            "; train with batch_size=", most_rows_, ", or make the layer with another stateful=");
    const index_t first = run.first_row * units_;
    for (index_t i = 0; i < states_of_cell(); ++i) {
      // The first time only: steps allocate nothing.
      if (last_[i].size() == 0)
        last_[i] = AlignedBuffer<T>(static_cast<size_t>(most_rows_ * units_));
      (i == 0 ? p->first_h : p->first_c) = kept_state(i).value + first;
      T*& last = i == 0 ? p->last_h : p->last_c;
      if (!last) last = last_[i].data() + first;
    }
  }
  // Beside the outputs, for commit().
  void keep_states(const Run& run, const RecurrentPass<T>& p) {
    last_rows_ = run.first_row + run.rows;
    for (index_t i = 0; i < states_of_cell() && returns_state_; ++i) {
      std::copy_n(i == 0 ? p.last_h : p.last_c, run.rows * units_,
                  last_[i].data() + run.first_row * units_);
    }
  }
  Parameter<T>& kernel() const { return *this->parameters[0]; }
  Parameter<T>& recurrent() const { return *this->parameters[1]; }
  Parameter<T>& bias() const { return *this->parameters[2]; }

  CellOptions cell_;
  index_t units_, states_;  // of initial states
  bool has_bias_, has_mask_, backwards_, in_order_, sequences_, returns_state_;
  double dropout_;
  index_t most_rows_, last_rows_ = 0;
  AlignedBuffer<T> last_[2];  // states after the last training pass, which commit() keeps
  bool kernels_are_moderate_ = true;
  mutable std::unique_ptr<Recurrence<T>> recurrence_;
};

#define NNF_OPTIONS                                                                                \
  "units activation alpha use_bias go_backwards in_order return_sequences return_state has_state " \
  "has_mask recurrent_dropout stateful"
const Registered<OpKind> simple_rnn(op_kind<RecurrentOp>("simple_rnn", NNF_OPTIONS, infer));
const Registered<OpKind> gru(op_kind<RecurrentOp>(
    "gru", NNF_OPTIONS " recurrent_activation recurrent_alpha reset_after", infer));
const Registered<OpKind> lstm(
    op_kind<RecurrentOp>("lstm", NNF_OPTIONS " recurrent_activation recurrent_alpha", infer));
#undef NNF_OPTIONS

}  // namespace

}  // namespace nnfast::plan
