// A network: its nodes with their shapes, and one flat vector of all parameters.
#pragma once

#include "base/aligned.h"
#include "plan/op.h"
#include "plan/use.h"

namespace nnfast::plan {

struct GraphNode {
  NodeSpec spec;
  std::vector<int> inputs;  // positions of other nodes
  Shape shape;
  std::vector<ParameterSpec> parameters;
  std::vector<index_t> offsets;  // of the parameters in the flat vector
};

// Checks the nodes and infers every shape. Node 0 is the only input.
class GraphLayout {
 public:
  GraphLayout(std::vector<NodeSpec> specs, const std::string& output);

  const std::vector<GraphNode>& nodes() const { return nodes_; }
  int output() const { return output_; }
  const Shape& input_shape() const { return nodes_[0].shape; }
  const Shape& output_shape() const { return nodes_[static_cast<size_t>(output_)].shape; }
  index_t parameter_count() const { return parameter_count_; }
  index_t flat_size() const { return flat_size_; }
  // Throws a ValueError that names the parameter with which they outgrow the machine's memory.
  void require_memory(size_t element_size) const;

 private:
  void add(NodeSpec spec);

  std::vector<GraphNode> nodes_;
  int output_ = 0;
  index_t parameter_count_ = 0;
  index_t flat_size_ = 0;  // each parameter starts on a 64-byte boundary; the gaps stay 0
};

template <class T>
struct Graph {
  Graph(std::vector<NodeSpec> specs, const std::string& output) : layout(std::move(specs), output) {
    layout.require_memory(sizeof(T));
    flat = AlignedBuffer<T>(static_cast<size_t>(layout.flat_size()));
  }

  const GraphLayout layout;
  AlignedBuffer<T> flat;
  Use use;  // of the parameters, by the plans and by whoever copies or writes them
};

}  // namespace nnfast::plan
