#include "plan/nodes/node.h"

namespace nnfast::plan {

void require_inputs(const NodeSpec& node, const std::vector<Shape>& inputs, size_t count) {
  require(inputs.size() == count, node.name, ": expected ", count, " input", count == 1 ? "" : "s",
          ", got ", inputs.size());
}

void require_same_shapes(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require(inputs.size() >= 2, node.name, ": expected two inputs or more, got ", inputs.size());
  for (const Shape& shape : inputs) {
    require(shape == inputs[0], node.name, ": expected inputs of one shape, got ",
            batch_shape_text(inputs[0]), " and ", batch_shape_text(shape),
            "; bring them to one with a Dense or Reshape layer");
  }
}

}  // namespace nnfast::plan
