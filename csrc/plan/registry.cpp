#include "ops/reduce.h"
#include "plan/ops.h"

namespace nnfast::plan {

template <class T>
Magnitude Op<T>::check_gradients() const {
  Magnitude found = Magnitude::moderate;
  for (const Parameter<T>* parameter : parameters) {
    if (!parameter->gradient || all_moderate(parameter->gradient, parameter->size)) continue;
    if (!all_finite(parameter->gradient, parameter->size)) return Magnitude::not_finite;
    found = Magnitude::finite;
  }
  return found;
}
template class Op<float>;
template class Op<double>;

const std::vector<OpKind>& op_kinds() {
  static const std::vector<OpKind> kinds = {
      kInput,
      kRescaling,
      kDense,
      kActivation,
      kFlatten,
      kReshape,
      kDropout,
      kSpatialDropout,
      kGaussianNoise,
      kAdd,
      kMultiply,
      kConcatenate,
      kCallback,
      kConv,
      kConvTranspose,
      kMaxPool,
      kAvgPool,
      kGlobalMaxPool,
      kGlobalAvgPool,
      kUpsampling,
      kZeroPadding,
      kCropping,
      kBatchNormalization,
      kLayerNormalization,
      kGroupNormalization,
  };
  return kinds;
}

const OpKind& find_op_kind(const NodeSpec& node) {
  for (const OpKind& kind : op_kinds()) {
    if (node.op == kind.name) return kind;
  }
  throw ValueError(
      text(node.name, ": expected an op of ", join_names(op_kinds()), "; got '", node.op, "'"));
}

Inference infer_node(const NodeSpec& node, const std::vector<Shape>& inputs) {
  const OpKind& kind = find_op_kind(node);
  require_known(node, kind.attributes);
  // Sizes that are known to be in range may be added up and doubled by what infers.
  for (const Shape& shape : inputs) element_count(shape, node.name);
  return kind.infer(node, inputs);
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
