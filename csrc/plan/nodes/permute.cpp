// The axes of rows in another order.
#include "ops/tensor/permute.h"

#include <algorithm>
#include <optional>

#include "plan/nodes/node.h"

namespace nnfast::plan {
namespace {

// Attribute: "axes", for each axis of the output the input's; the batch is not counted.
std::vector<size_t> order_of(const NodeSpec& node, const Shape& input) {
  const std::vector<int64_t>& axes = node.integers("axes");
  Shape sorted = axes;
  std::sort(sorted.begin(), sorted.end());
  bool each_once = sorted.size() == input.size();
  for (size_t i = 0; i < sorted.size(); ++i)
    each_once = each_once && sorted[i] == static_cast<int64_t>(i);
  require(each_once, node.name, ": expected each of the ", input.size(), " axes of ",
          batch_shape_text(input), " besides the batch once, got ", axes.size(),
          axes.size() == input.size() ? " with one of them twice or out of range" : "");
  return std::vector<size_t>(axes.begin(), axes.end());
}

Inference infer(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  Shape shape;
  for (const size_t axis : order_of(node, inputs[0])) shape.push_back(inputs[0][axis]);
  return {shape, {}};
}

template <class T>
class PermuteOp final : public Op<T> {
 public:
  explicit PermuteOp(const NodeSpec& node) : Op<T>(node), node_(node) {}

  void forward(const Run& run) override {
    if (!forward_) {  // the first time: the input is not known before
      const Shape& in = this->inputs[0]->shape;
      const std::vector<size_t> order = order_of(node_, in);
      std::vector<size_t> back(order.size());
      for (size_t i = 0; i < order.size(); ++i) back[order[i]] = i;
      forward_.emplace(in, order);
      backward_.emplace(this->output->shape, back);
    }
    (*forward_)(this->output->value, this->inputs[0]->value, run.rows);
  }
  void backward(const Run& run) override {
    if (this->d_inputs[0]) (*backward_)(this->d_inputs[0], this->d_output, run.rows);
  }
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }

 private:
  NodeSpec node_;
  std::optional<Permutation<T>> forward_, backward_;
};

const Registered<OpKind> registered(op_kind<PermuteOp>("permute", "axes", infer));

}  // namespace
}  // namespace nnfast::plan
