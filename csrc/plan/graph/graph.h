// A network: its nodes with their shapes, the table of parameters, and one flat vector of all
// parameters.
#pragma once

#include <memory>

#include "base/aligned.h"
#include "plan/graph/ids.h"
#include "plan/kind.h"
#include "plan/use.h"

namespace nnfast::plan {

// An entry of the table of parameters: a range of the flat vector.
struct GraphParameter {
  std::string name;  // "dense_1.kernel", named after the node that defined it
  Shape shape;
  bool trains = true;  // ParameterSpec
  index_t size = 0, offset = 0;
};

// One of a node's outputs.
struct NodeOutput {
  NodeId node = NodeId::none;
  size_t index = 0;

  bool operator==(const NodeOutput& other) const {
    return node == other.node && index == other.index;
  }
};

struct GraphNode {
  bool is(Trait trait) const { return kind->is(trait); }
  size_t output_count() const { return 1 + further_shapes.size(); }
  const Shape& shape_of(size_t output) const {
    return output == 0 ? shape : further_shapes[output - 1];
  }

  NodeSpec spec;
  const OpKind* kind = nullptr;
  std::vector<NodeOutput> inputs;
  Shape shape;                          // of the first output
  std::vector<Shape> further_shapes;    // of the others
  bool batched = true;                  // whether they have the batch axis
  std::vector<ParameterId> parameters;  // its own, and shared ones
};

// Checks the nodes and infers all shapes.
class GraphLayout {
 public:
  // Node 0 is an input; outputs are named as output_name() does it.
  GraphLayout(std::vector<NodeSpec> specs, const std::vector<std::string>& outputs);

  const ById<NodeId, GraphNode>& nodes() const { return nodes_; }
  const ById<ParameterId, GraphParameter>& parameters() const { return parameters_; }
  const std::vector<NodeId>& inputs() const { return inputs_; }
  const std::vector<NodeOutput>& outputs() const { return outputs_; }
  NodeId node_named(const std::string& name) const;
  const GraphNode& input(size_t i) const { return nodes_[inputs_[i]]; }
  const GraphNode& output(size_t i) const { return nodes_[outputs_[i].node]; }
  std::string output_name(size_t i) const {
    return plan::output_name(output(i).spec.name, outputs_[i].index);
  }
  const Shape& output_shape(size_t i) const { return output(i).shape_of(outputs_[i].index); }
  index_t parameter_count() const { return parameter_count_; }
  index_t flat_size() const { return flat_size_; }
  // Throws a ValueError that names the first parameter that exceeds the machine's memory.
  void require_memory(size_t element_size) const;
  // Throws a ValueError if the tables of parameters differ.
  void require_parameters_of(const GraphLayout& other) const;

 private:
  struct Share;  // a slot in a node's list that is filled once all nodes exist
  void add(NodeSpec spec, std::vector<Share>* shares);
  NodeOutput output_named(const std::string& name) const;
  void fill(const Share& share);

  ById<NodeId, GraphNode> nodes_;
  ById<ParameterId, GraphParameter> parameters_;
  std::vector<NodeId> inputs_;
  std::vector<NodeOutput> outputs_;
  index_t parameter_count_ = 0;
  index_t flat_size_ = 0;  // each parameter starts on a 64-byte boundary; the gaps are 0
};

// Parameters, which several graphs may share.
template <class T>
struct ParameterMemory {
  explicit ParameterMemory(const GraphLayout& layout) {
    layout.require_memory(sizeof(T));
    flat = AlignedBuffer<T>(static_cast<size_t>(layout.flat_size()));
  }

  AlignedBuffer<T> flat;
  Use use;  // by plans and by those who copy or write them
};

template <class T>
struct Graph {
  Graph(std::vector<NodeSpec> specs, const std::vector<std::string>& outputs)
      : layout(std::move(specs), outputs), memory(std::make_shared<ParameterMemory<T>>(layout)) {}
  // With the parameters of another graph, whose table must be the same.
  Graph(std::vector<NodeSpec> specs, const std::vector<std::string>& outputs, const Graph& other)
      : layout(std::move(specs), outputs), memory(other.memory) {
    layout.require_parameters_of(other.layout);
  }

  const GraphLayout layout;
  const std::shared_ptr<ParameterMemory<T>> memory;
  AlignedBuffer<T>& flat = memory->flat;
  Use& use = memory->use;
};

}  // namespace nnfast::plan
