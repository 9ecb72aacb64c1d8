// Softmax along the last axis of a tensor, or its logarithm. Attribute: "function", which of them.
#include "ops/activation.h"
#include "plan/nodes/tensor.h"

namespace nnfast::plan {
namespace {

ActivationParams params_of(const NodeSpec& node) {
  const std::string& function = node.string("function");
  require(function == "softmax" || function == "log_softmax", node.name,
          ": expected softmax or log_softmax, got '", function, "'");
  return {function == "softmax" ? Activation::softmax : Activation::log_softmax, 0};
}

Inference infer(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  require_inputs(node, inputs, 1);
  params_of(node);
  const Shape full = full_shape(inputs[0]);
  require(!full.empty() && full.back() != 0 && full.back() != kBatch, node.name,
          ": expected a last axis of one class or more, got ", shape_text(inputs[0]));
  return inference_of(node, {full});
}

template <class T>
class SoftmaxOp final : public Op<T> {
 public:
  explicit SoftmaxOp(const NodeSpec& node) : Op<T>(node), params_(params_of(node)) {}

  void forward(const Run& run) override {
    const auto [rows, n] = sizes(run);
    activation_forward(this->output->value, this->inputs[0]->value, rows, n, params_);
  }
  void backward(const Run& run) override {
    if (!this->d_inputs[0]) return;
    const auto [rows, n] = sizes(run);
    activation_backward<T>(this->d_inputs[0], this->d_output, nullptr, this->output->value, rows, n,
                           params_);
  }
  bool backward_reads_inputs() const override { return false; }

 private:
  struct Sizes {
    index_t rows, n;
  };
  Sizes sizes(const Run& run) const {
    const Dims dims = dims_of(*this->output, run);
    return {dims.product(0, dims.rank - 1), dims.size[dims.rank - 1]};
  }

  ActivationParams params_;
};

const Registered<OpKind> registered(tensor_kind<SoftmaxOp>("softmax", "function", infer));

}  // namespace
}  // namespace nnfast::plan
