#include "plan/nodes/tensor.h"

#include <algorithm>

namespace nnfast::plan {

Shape full_shape(const TensorShape& tensor) {
  Shape full = tensor.shape;
  if (tensor.batched) full.insert(full.begin(), kBatch);
  return full;
}

Inference inference_of(const NodeSpec& node, const std::vector<Shape>& full_shapes) {
  Inference inferred;
  std::vector<Shape> shapes = full_shapes;
  inferred.batched = !shapes[0].empty() && shapes[0][0] == kBatch;
  for (Shape& shape : shapes) {
    require(shape.size() <= kMaxAxes, node.name, ": expected at most ", kMaxAxes, " axes, got ",
            shape.size());
    if (inferred.batched) shape.erase(shape.begin());
    require(std::find(shape.begin(), shape.end(), kBatch) == shape.end(), node.name,
            ": expected the batch axis to stay the first one; add axes after it with "
            "nf.ops.expand_dims");
  }
  inferred.shape = shapes[0];
  inferred.further_shapes.assign(shapes.begin() + 1, shapes.end());
  return inferred;
}

namespace {

std::string shapes_text(const std::vector<TensorShape>& inputs) {
  std::string out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (i > 0) out += i + 1 == inputs.size() ? " and " : ", ";
    out += shape_text(inputs[i]);
  }
  return out;
}

}  // namespace

Shape broadcast_shapes(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  Shape out;
  for (const TensorShape& input : inputs) {
    const Shape full = full_shape(input);
    if (full.size() > out.size()) out.insert(out.begin(), full.size() - out.size(), 1);
    const size_t skipped = out.size() - full.size();
    for (size_t i = 0; i < full.size(); ++i) {
      int64_t& size = out[skipped + i];
      require(size == 1 || full[i] == 1 || size == full[i], node.name,
              ": expected shapes that broadcast, with sizes that are equal or 1 from the last axis "
              "backwards, got ",
              shapes_text(inputs), "; add axes of size 1 with nf.ops.expand_dims");
      if (size == 1) size = full[i];
    }
  }
  return out;
}

size_t axis_of(const NodeSpec& node, int64_t axis, const TensorShape& input) {
  const auto rank = static_cast<int64_t>(input.shape.size()) + (input.batched ? 1 : 0);
  require(axis >= -rank && axis < rank, node.name, ": expected an axis of ", shape_text(input),
          ", from ", -rank, " to ", rank - 1, ", got ", axis);
  return static_cast<size_t>(axis < 0 ? axis + rank : axis);
}

void require_inputs(const NodeSpec& node, const std::vector<TensorShape>& inputs, size_t count) {
  require_inputs(node, std::vector<Shape>(inputs.size()), count);
}

}  // namespace nnfast::plan
