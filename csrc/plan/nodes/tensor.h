// Code shared by the kinds of nodes that work on whole tensors, with or without the batch axis.
#pragma once

#include "ops/tensor/dims.h"
#include "plan/nodes/node.h"

namespace nnfast::plan {

// The size of the batch axis in a full shape, which has it in front.
constexpr int64_t kBatch = -1;

Shape full_shape(const TensorShape& tensor);
// The outputs of a node, from the full shape of each; the batch axis may only be the first.
Inference inference_of(const NodeSpec& node, const std::vector<Shape>& full_shapes);
// NumPy's rule: sizes are aligned at the last axis, and are equal or 1.
Shape broadcast_shapes(const NodeSpec& node, const std::vector<TensorShape>& inputs);
// An axis of a full shape of that many axes, counted from the end if it is negative.
size_t axis_of(const NodeSpec& node, int64_t axis, const TensorShape& input);

template <class T>
Dims dims_of(const Tensor<T>& tensor, const Run& run) {
  Dims dims;
  if (tensor.batched) dims.size[dims.rank++] = run.rows;
  for (const int64_t size : tensor.shape) dims.size[dims.rank++] = static_cast<index_t>(size);
  return dims;
}

template <template <class> class OpType>
OpKind tensor_kind(const char* name, const char* attributes,
                   Inference (*infer)(const NodeSpec&, const std::vector<TensorShape>&),
                   Trait traits = Trait::none) {
  OpKind kind = op_kind<OpType>(name, attributes, nullptr, traits);
  kind.infer_tensors = infer;
  return kind;
}

void require_inputs(const NodeSpec& node, const std::vector<TensorShape>& inputs, size_t count);

}  // namespace nnfast::plan
