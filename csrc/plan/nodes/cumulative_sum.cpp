// Sums of all numbers up to each place of an axis. Attributes: "axis"; "reverse", from its end;
// "exclusive", without the number at the place itself.
#include "ops/tensor/cumulative_sum.h"

#include "plan/nodes/tensor.h"

namespace nnfast::plan {
namespace {

Inference infer(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  require_inputs(node, inputs, 1);
  axis_of(node, node.integer("axis"), inputs[0]);
  return inference_of(node, {full_shape(inputs[0])});
}

template <class T>
class CumulativeSumOp final : public Op<T> {
 public:
  explicit CumulativeSumOp(const NodeSpec& node)
      : Op<T>(node),
        sum_{static_cast<int>(node.integer("axis")), node.integer_or("reverse", 0) != 0,
             node.integer_or("exclusive", 0) != 0} {}

  void forward(const Run& run) override {
    sum(run).forward(this->output->value, this->inputs[0]->value, dims_of(*this->output, run));
  }
  void backward(const Run& run) override {
    if (!this->d_inputs[0]) return;
    sum(run).backward(this->d_inputs[0], this->d_output, dims_of(*this->output, run));
  }
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }
  bool mixes_rows() const override { return this->output->batched && sum({}).axis == 0; }

 private:
  CumulativeSum sum(const Run& run) const {
    CumulativeSum sum = sum_;
    if (sum.axis < 0) sum.axis += dims_of(*this->output, run).rank;
    return sum;
  }

  CumulativeSum sum_;
};

const Registered<OpKind> registered(tensor_kind<CumulativeSumOp>("cumulative_sum",
                                                                 "axis reverse exclusive", infer));

}  // namespace
}  // namespace nnfast::plan
