#include "plan/graph/graph.h"

#include <algorithm>
#include <utility>

#include "base/cpu.h"

namespace nnfast::plan {
namespace {

constexpr index_t kBoundary = 64 / sizeof(float);

}  // namespace

struct GraphLayout::Share {
  NodeId node;
  size_t slot;
  ParameterSpec wanted;
  std::string from;
};

GraphLayout::GraphLayout(std::vector<NodeSpec> specs, const std::vector<std::string>& outputs) {
  require(!specs.empty(), "network: expected at least one node, got none");
  require(find_op_kind(specs[0]).is(Trait::input), specs[0].name,
          ": expected the first node to be an input, got '", specs[0].op,
          "'; start with layers.Input");
  require(!outputs.empty(), "network: expected at least one output, got none");
  std::vector<Share> shares;
  for (NodeSpec& spec : specs) add(std::move(spec), &shares);
  for (const Share& share : shares) fill(share);
  for (const std::string& output : outputs) {
    const NodeOutput found = output_named(output);
    require(found.node != NodeId::none,
            "network: expected the output to be one of its nodes, got '", output, "'");
    require(std::find(outputs_.begin(), outputs_.end(), found) == outputs_.end(),
            "network: expected outputs that differ, got '", output, "' twice");
    require(nodes_[found.node].batched, "network: expected outputs with the batch axis, got '",
            output, "' of shape ", shape_text({nodes_[found.node].shape_of(found.index), false}),
            ", a sum over the batch or a value that does not depend on inputs");
    outputs_.push_back(found);
  }
}

NodeId GraphLayout::node_named(const std::string& name) const {
  for (const NodeId id : nodes_.ids()) {
    if (nodes_[id].spec.name == name) return id;
  }
  return NodeId::none;
}

// No node where there is no such output.
NodeOutput GraphLayout::output_named(const std::string& name) const {
  const NodeId node = node_named(name.substr(0, name.find('#')));
  for (size_t i = 0; node != NodeId::none && i < nodes_[node].output_count(); ++i) {
    if (name == plan::output_name(nodes_[node].spec.name, i)) return {node, i};
  }
  return {};
}

void GraphLayout::add(NodeSpec spec, std::vector<Share>* shares) {
  GraphNode node;
  std::vector<TensorShape> shapes;
  require(node_named(spec.name) == NodeId::none, "network: expected names that differ, got '",
          spec.name, "' twice; give one of the layers another name");
  require(spec.name.find('#') == std::string::npos, "network: expected a name without '#', got '",
          spec.name, "'");
  for (const std::string& input : spec.inputs) {
    const NodeOutput source = output_named(input);
    require(source.node != NodeId::none, spec.name, ": expected inputs that stand before it, got '",
            input, "'");
    node.inputs.push_back(source);
    const GraphNode& before = nodes_[source.node];
    shapes.push_back({before.shape_of(source.index), before.batched});
  }
  Inference inferred = infer_node(spec, shapes);
  const size_t shares_before = shares->size();
  for (ParameterSpec& parameter : inferred.parameters) {
    const auto shared = spec.shared.find(parameter.name);
    if (shared != spec.shared.end()) {
      const NodeId own = static_cast<NodeId>(nodes_.size());
      shares->push_back({own, node.parameters.size(), std::move(parameter), shared->second});
      node.parameters.push_back(ParameterId::none);
      continue;
    }
    const std::string name = (spec.owner.empty() ? spec.name : spec.owner) + "." + parameter.name;
    const index_t count = element_count(parameter.shape, name);
    node.parameters.push_back(
        parameters_.add({name, std::move(parameter.shape), parameter.trains, count, flat_size_}));
    parameter_count_ += count;
    flat_size_ += (count + kBoundary - 1) / kBoundary * kBoundary;
  }
  require(shares->size() - shares_before == spec.shared.size(), spec.name,
          ": expected only names of this node's parameters in 'shared', got another");
  node.shape = std::move(inferred.shape);
  node.further_shapes = std::move(inferred.further_shapes);
  node.batched = inferred.batched;
  node.kind = &find_op_kind(spec);
  node.spec = std::move(spec);
  if (node.is(Trait::input)) inputs_.push_back(static_cast<NodeId>(nodes_.size()));
  nodes_.add(std::move(node));
}

void GraphLayout::fill(const Share& share) {
  const std::string& where = nodes_[share.node].spec.name;
  ParameterId source = ParameterId::none;
  for (const ParameterId id : parameters_.ids()) {
    if (parameters_[id].name == share.from) source = id;
  }
  require(source != ParameterId::none, where,
          ": expected a parameter of the network to share, got '", share.from, "'");
  const GraphParameter& found = parameters_[source];
  require(found.shape == share.wanted.shape && found.trains == share.wanted.trains, where,
          ": expected a ", share.wanted.name, " of shape ", shape_text({share.wanted.shape, false}),
          " to share, got ", found.name, " of shape ", shape_text({found.shape, false}));
  nodes_[share.node].parameters[share.slot] = source;
}

void GraphLayout::require_memory(size_t element_size) const {
  const size_t memory = machine_memory();
  for (const GraphParameter& parameter : parameters_) {
    const auto end = static_cast<size_t>(parameter.offset + parameter.size);
    require(end <= memory / element_size, parameter.name, ": expected parameters of at most the ",
            memory >> 30, " GiB of this machine's memory, got ",
            shape_text({parameter.shape, false}), " and those before it; use smaller layers");
  }
}

void GraphLayout::require_parameters_of(const GraphLayout& other) const {
  const auto same = [](const GraphParameter& a, const GraphParameter& b) {
    return a.name == b.name && a.shape == b.shape && a.offset == b.offset;
  };
  require(std::equal(parameters_.begin(), parameters_.end(), other.parameters_.begin(),
                     other.parameters_.end(), same),
          "graph: expected the parameters of the other graph, got others");
}

}  // namespace nnfast::plan
