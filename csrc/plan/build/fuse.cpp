#include "plan/build/fuse.h"

#include "plan/nodes/activation.h"

namespace nnfast::plan {
namespace {

constexpr const char* kActivationKey = "activation";

bool is_linear(const GraphNode& node) {
  return activation_of(node.spec).kind == Activation::identity;
}
bool is_relu(const GraphNode& node) { return activation_of(node.spec).kind == Activation::relu; }

}  // namespace

Fusions::Fusions(const GraphLayout& layout, const PlanOptions& options,
                 const ById<NodeId, bool>& needed)
    : layout_(layout),
      predicts_(!options.differentiates()),
      only_reader_(needed.size(), NodeId::none) {
  if (!options.fuse || options.keep) return;
  ById<NodeId, int> readers(needed.size(), 0);
  for (const NodeId node : needed.ids()) {
    if (!needed[node]) continue;
    for (const NodeOutput& input : layout.nodes()[node].inputs)
      only_reader_[input.node] = ++readers[input.node] == 1 ? node : NodeId::none;
  }
  for (const NodeOutput& output : layout.outputs()) only_reader_[output.node] = NodeId::none;
}

bool Fusions::runs_before(NodeId node) const {
  const std::vector<NodeOutput>& inputs = at(node).inputs;
  return inputs.size() == 1 &&
         (relu_after(inputs[0].node) == node || normalization_after(inputs[0].node) == node);
}

NodeId Fusions::normalization_after(NodeId node) const {
  const NodeId reader = only_reader_[node];
  return reader != NodeId::none && predicts_ && at(node).is(Trait::multiplies) &&
                 is_linear(at(node)) && at(reader).is(Trait::scales_columns)
             ? reader
             : NodeId::none;
}

// A separate ReLU after a matrix product, a batch normalization or a sum.
NodeId Fusions::relu_after(NodeId node) const {
  const NodeId reader = only_reader_[node];
  return reader != NodeId::none && at(node).is(Trait::takes_relu) && is_linear(at(node)) &&
                 at(reader).is(Trait::activation) && is_relu(at(reader))
             ? reader
             : NodeId::none;
}

// The maximum of ReLUs is the ReLU of the maximum, of which there are fewer.
bool Fusions::leaves_relu_to_pool(NodeId node) const {
  const NodeId reader = only_reader_[node];
  return reader != NodeId::none && at(node).is(Trait::multiplies) && is_relu(at(node)) &&
         at(reader).is(Trait::max_pools);
}

NodeSpec Fusions::spec_of(NodeId node) const {
  NodeSpec spec = at(node).spec;
  const NodeId normalization = normalization_after(node);
  const NodeId last = normalization == NodeId::none ? node : normalization;
  const bool normalizes_with_relu = normalization != NodeId::none && is_relu(at(normalization));
  const bool pools_after_relu =
      at(node).inputs.size() == 1 && leaves_relu_to_pool(at(node).inputs[0].node);
  if (leaves_relu_to_pool(node)) spec.attributes.erase(kActivationKey);
  if (relu_after(last) != NodeId::none || normalizes_with_relu || pools_after_relu) {
    spec.attributes[kActivationKey] = std::string("relu");
  }
  return spec;
}

}  // namespace nnfast::plan
