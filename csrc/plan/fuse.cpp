#include "plan/fuse.h"

#include "plan/ops.h"

namespace nnfast::plan {
namespace {

constexpr const char* kActivationKey = "activation";

bool is(const GraphNode& node, const OpKind& kind) { return node.spec.op == kind.name; }
bool is_linear(const GraphNode& node) {
  return activation_of(node.spec).kind == Activation::identity;
}
bool is_relu(const GraphNode& node) { return activation_of(node.spec).kind == Activation::relu; }

}  // namespace

Fusions::Fusions(const GraphLayout& layout, const PlanOptions& options,
                 const std::vector<bool>& needed)
    : layout_(layout), predicts_(!options.loss), only_reader_(needed.size(), -1) {
  if (!options.fuse || options.keep) return;
  std::vector<int> readers(needed.size(), 0);
  for (size_t i = 0; i < needed.size(); ++i) {
    if (!needed[i]) continue;
    for (const int input : layout.nodes()[i].inputs) {
      const size_t read = static_cast<size_t>(input);
      only_reader_[read] = ++readers[read] == 1 ? static_cast<int>(i) : -1;
    }
  }
  only_reader_[static_cast<size_t>(layout.output())] = -1;
}

bool Fusions::runs_before(int node) const {
  const std::vector<int>& inputs = at(node).inputs;
  return inputs.size() == 1 &&
         (relu_after(inputs[0]) == node || normalization_after(inputs[0]) == node);
}

int Fusions::normalization_after(int node) const {
  const int reader = only_reader_[static_cast<size_t>(node)];
  const bool multiplies = is(at(node), kConv) || is(at(node), kDense);
  return reader >= 0 && predicts_ && multiplies && is_linear(at(node)) &&
                 is(at(reader), kBatchNormalization)
             ? reader
             : -1;
}

// A ReLU of its own after a batch normalisation or a sum.
int Fusions::relu_after(int node) const {
  const int reader = only_reader_[static_cast<size_t>(node)];
  const bool takes_relu =
      is(at(node), kAdd) || (is(at(node), kBatchNormalization) && is_linear(at(node)));
  return reader >= 0 && takes_relu && is(at(reader), kActivation) && is_relu(at(reader)) ? reader
                                                                                         : -1;
}

// The largest of ReLUs is the ReLU of the largest, and there are fewer of these.
bool Fusions::leaves_relu_to_pool(int node) const {
  const int reader = only_reader_[static_cast<size_t>(node)];
  return reader >= 0 && is(at(node), kConv) && is_relu(at(node)) &&
         (is(at(reader), kMaxPool) || is(at(reader), kGlobalMaxPool));
}

NodeSpec Fusions::spec_of(int node) const {
  NodeSpec spec = at(node).spec;
  const int normalization = normalization_after(node);
  const int last = normalization < 0 ? node : normalization;
  const bool normalizes_with_relu = normalization >= 0 && is_relu(at(normalization));
  const bool pools_after_relu =
      at(node).inputs.size() == 1 && leaves_relu_to_pool(at(node).inputs[0]);
  if (leaves_relu_to_pool(node)) spec.attributes.erase(kActivationKey);
  if (relu_after(last) >= 0 || normalizes_with_relu || pools_after_relu) {
    spec.attributes[kActivationKey] = std::string("relu");
  }
  return spec;
}

}  // namespace nnfast::plan
