// Nodes without an op of their own, because the op before them does their work.
#pragma once

#include "plan/program.h"

namespace nnfast::plan {

class Fusions {
 public:
  // needed: whether the output depends on a node.
  Fusions(const GraphLayout& layout, const PlanOptions& options, const ById<NodeId, bool>& needed);

  // Whether the op of the node's input does its work.
  bool runs_before(NodeId node) const;
  // The batch normalization that the node's op applies with moving averages, or none.
  NodeId normalization_after(NodeId node) const;
  // The attributes of the op that the node becomes.
  NodeSpec spec_of(NodeId node) const;

 private:
  const GraphNode& at(NodeId node) const { return layout_.nodes()[node]; }
  NodeId relu_after(NodeId node) const;
  bool leaves_relu_to_pool(NodeId node) const;

  const GraphLayout& layout_;
  bool predicts_;
  ById<NodeId, NodeId> only_reader_;  // none: several readers, no reader, or fusion is off
};

}  // namespace nnfast::plan
