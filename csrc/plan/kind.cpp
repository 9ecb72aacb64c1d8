#include "plan/kind.h"

#include "ops/tensor/dims.h"

namespace nnfast::plan {

std::vector<std::string> op_names() { return Registered<OpKind>::names(); }

const OpKind& find_op_kind(const NodeSpec& node) {
  if (const OpKind* kind = Registered<OpKind>::find(node.op)) return *kind;
  throw ValueError(
      text(node.name, ": expected an op of ", join_names(op_names()), "; got '", node.op, "'"));
}

namespace {

Inference infer(const OpKind& kind, const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  if (kind.infer_tensors) {
    for (const TensorShape& input : inputs) {
      require(input.shape.size() + input.batched <= kMaxAxes, node.name, ": expected at most ",
              kMaxAxes, " axes, got ", shape_text(input));
    }
    return kind.infer_tensors(node, inputs);
  }
  std::vector<Shape> rows;
  for (const TensorShape& input : inputs) {
    require(input.batched, node.name, ": expected an input with the batch axis, got one of shape ",
            shape_text(input), ", a sum over the batch or a value that does not depend on inputs; ",
            "use nf.ops for it");
    rows.push_back(input.shape);
  }
  return kind.infer(node, rows);
}

}  // namespace

Inference infer_node(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  const OpKind& kind = find_op_kind(node);
  require_known(node, kind.attributes);
  // Limits sizes so that shape inference may add and double them without overflow.
  for (const TensorShape& input : inputs) element_count(input.shape, node.name);
  Inference inferred = infer(kind, node, inputs);
  element_count(inferred.shape, node.name);
  for (const Shape& shape : inferred.further_shapes) element_count(shape, node.name);
  return inferred;
}

template <>
std::unique_ptr<Op<float>> make_op<float>(const NodeSpec& node) {
  return find_op_kind(node).make_float(node);
}
template <>
std::unique_ptr<Op<double>> make_op<double>(const NodeSpec& node) {
  return find_op_kind(node).make_double(node);
}

}  // namespace nnfast::plan
