// The axes of a tensor in another order.
#include "ops/tensor/permute.h"

#include <algorithm>
#include <optional>

#include "plan/nodes/tensor.h"

namespace nnfast::plan {
namespace {

// For each axis of the output the input's; `text` and `which` are for the error.
std::vector<size_t> checked_order(const NodeSpec& node, const Shape& axes, size_t rank,
                                  const std::string& text, const char* which) {
  Shape sorted = axes;
  std::sort(sorted.begin(), sorted.end());
  bool each_once = sorted.size() == rank;
  for (size_t i = 0; i < sorted.size(); ++i)
    each_once = each_once && sorted[i] == static_cast<int64_t>(i);
  require(each_once, node.name, ": expected each of the ", rank, " axes of ", text, which,
          " once, got ", axes.size(),
          axes.size() == rank ? " with one of them twice or out of range" : "");
  return std::vector<size_t>(axes.begin(), axes.end());
}

// Attribute of "permute": "axes", where the batch is not counted.
std::vector<size_t> row_order(const NodeSpec& node, const Shape& input) {
  return checked_order(node, node.integers("axes"), input.size(), batch_shape_text(input),
                       " besides the batch");
}

Inference infer_permute(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  Shape shape;
  for (const size_t axis : row_order(node, inputs[0])) shape.push_back(inputs[0][axis]);
  return {shape, {}};
}

// Attribute of "transpose": "axes", where the batch is counted, which stays the first.
std::vector<size_t> order_of(const NodeSpec& node, const TensorShape& input) {
  if (node.op == "permute") return row_order(node, input.shape);
  const Shape full = full_shape(input);
  std::vector<size_t> order =
      checked_order(node, node.integers("axes"), full.size(), shape_text(input), "");
  if (!input.batched) return order;
  require(order[0] == 0, node.name, ": expected the batch axis of ", shape_text(input),
          " to stay the first one, got axis ", order[0], " in its place");
  order.erase(order.begin());
  for (size_t& axis : order) --axis;
  return order;
}

Inference infer_transpose(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  require_inputs(node, inputs, 1);
  Inference inferred;
  inferred.batched = inputs[0].batched;
  for (const size_t axis : order_of(node, inputs[0]))
    inferred.shape.push_back(inputs[0].shape[axis]);
  return inferred;
}

template <class T>
class PermuteOp final : public Op<T> {
 public:
  explicit PermuteOp(const NodeSpec& node) : Op<T>(node), node_(node) {}

  void forward(const Run& run) override {
    if (!forward_) {  // the first time: the input is not known before
      const Shape& in = this->inputs[0]->shape;
      const std::vector<size_t> order = order_of(node_, {in, this->inputs[0]->batched});
      std::vector<size_t> back(order.size());
      for (size_t i = 0; i < order.size(); ++i) back[order[i]] = i;
      forward_.emplace(in, order);
      backward_.emplace(this->output->shape, back);
    }
    (*forward_)(this->output->value, this->inputs[0]->value, rows(run));
  }
  void backward(const Run& run) override {
    if (this->d_inputs[0]) (*backward_)(this->d_inputs[0], this->d_output, rows(run));
  }
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }

 private:
  index_t rows(const Run& run) const { return this->output->batched ? run.rows : 1; }

  NodeSpec node_;
  std::optional<Permutation<T>> forward_, backward_;
};

const Registered<OpKind> permute(op_kind<PermuteOp>("permute", "axes", infer_permute));
const Registered<OpKind> transpose(tensor_kind<PermuteOp>("transpose", "axes", infer_transpose));

}  // namespace
}  // namespace nnfast::plan
