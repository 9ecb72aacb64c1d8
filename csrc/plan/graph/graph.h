// A network: its nodes with their shapes, the table of parameters, and one flat vector of all of them.
#pragma once

#include "base/aligned.h"
#include "plan/graph/ids.h"
#include "plan/kind.h"
#include "plan/use.h"

namespace nnfast::plan {

// An entry of the table of parameters: one stretch of the flat vector.
struct GraphParameter {
  std::string name;  // "dense_1.kernel", after the node that brought it
  Shape shape;
  bool trains = true;  // ParameterSpec
  index_t size = 0, offset = 0;
};

struct GraphNode {
  bool is(Trait trait) const { return kind->is(trait); }

  NodeSpec spec;
  const OpKind* kind = nullptr;
  std::vector<NodeId> inputs;
  Shape shape;
  std::vector<ParameterId> parameters;  // its own, and those that it shares with others
};

// Checks the nodes and infers every shape.
class GraphLayout {
 public:
  // Node 0 is an input; outputs are names of nodes.
  GraphLayout(std::vector<NodeSpec> specs, const std::vector<std::string>& outputs);

  const ById<NodeId, GraphNode>& nodes() const { return nodes_; }
  const ById<ParameterId, GraphParameter>& parameters() const { return parameters_; }
  const std::vector<NodeId>& inputs() const { return inputs_; }
  const std::vector<NodeId>& outputs() const { return outputs_; }
  NodeId node_named(const std::string& name) const;
  const GraphNode& input(size_t i) const { return nodes_[inputs_[i]]; }
  const GraphNode& output(size_t i) const { return nodes_[outputs_[i]]; }
  index_t parameter_count() const { return parameter_count_; }
  index_t flat_size() const { return flat_size_; }
  // Throws a ValueError that names the parameter with which they outgrow the machine's memory.
  void require_memory(size_t element_size) const;

 private:
  struct Share;  // a place in a node's list that is filled once all nodes are there
  void add(NodeSpec spec, std::vector<Share>* shares);
  void fill(const Share& share);

  ById<NodeId, GraphNode> nodes_;
  ById<ParameterId, GraphParameter> parameters_;
  std::vector<NodeId> inputs_, outputs_;
  index_t parameter_count_ = 0;
  index_t flat_size_ = 0;  // each parameter starts on a 64-byte boundary; the gaps stay 0
};

template <class T>
struct Graph {
  Graph(std::vector<NodeSpec> specs, const std::vector<std::string>& outputs)
      : layout(std::move(specs), outputs) {
    layout.require_memory(sizeof(T));
    flat = AlignedBuffer<T>(static_cast<size_t>(layout.flat_size()));
  }

  const GraphLayout layout;
  AlignedBuffer<T> flat;
  Use use;  // of the parameters, by the plans and by whoever copies or writes them
};

}  // namespace nnfast::plan
