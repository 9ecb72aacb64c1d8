// Activation functions as separate ops; softmax and log-softmax along the last axis.
#include "ops/activation.h"

#include <limits>

#include "plan/nodes/activation.h"
#include "plan/nodes/node.h"

namespace nnfast::plan {

ActivationParams activation_of(const NodeSpec& node) {
  if (!node.has("activation")) return {Activation::identity, 0};
  const double alpha = node.number_or("alpha", std::numeric_limits<double>::quiet_NaN());
  return parse_activation(node.string("activation"), alpha, node.name);
}

NodeSpec activation_alone(const NodeSpec& node) {
  NodeSpec alone{"activation", node.name, {}, {}};
  for (const char* key : {"activation", "alpha"}) {
    if (node.has(key)) alone.attributes[key] = node.attributes.at(key);
  }
  return alone;
}

namespace {

Inference infer(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  require(!inputs[0].empty(), node.name, ": expected an input of (N, ..., K), got (N,)");
  activation_of(node);
  return {inputs[0], {}};
}

template <class T>
class ActivationOp final : public Op<T> {
 public:
  explicit ActivationOp(const NodeSpec& node) : Op<T>(node), activation_(activation_of(node)) {}

  void forward(const Run& run) override {
    activation_forward(this->output->value, this->inputs[0]->value, rows(run), width(),
                       activation_);
  }
  void backward(const Run& run) override {
    if (!this->d_inputs[0]) return;
    activation_backward(this->d_inputs[0], this->d_output, this->inputs[0]->value,
                        this->output->value, rows(run), width(), activation_);
  }
  bool backward_reads_inputs() const override { return derivative_reads_input(activation_.kind); }

 private:
  index_t width() const { return static_cast<index_t>(this->output->shape.back()); }
  index_t rows(const Run& run) const { return run.rows * (this->output->size / width()); }

  ActivationParams activation_;
};

const Registered<OpKind> registered(op_kind<ActivationOp>("activation", "activation alpha", infer,
                                                          Trait::activation));

}  // namespace

}  // namespace nnfast::plan
