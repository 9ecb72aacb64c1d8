// Element-wise nodes that become one op, in one pass over memory.
#pragma once

#include <vector>

#include "plan/nodes/elementwise.h"
#include "plan/program.h"

namespace nnfast::plan {

// Nodes of one shape, of which only the last, the root, is read by others.
struct ExpressionGroup {
  std::vector<NodeId> members;     // in the order of the graph; the last is the root
  std::vector<NodeOutput> inputs;  // each once
  ExpressionSpec spec;
};

class ExpressionGroups {
 public:
  // taken: nodes without an element-wise op, because others do their work.
  ExpressionGroups(const GraphLayout& layout, const PlanOptions& options,
                   const ById<NodeId, bool>& needed, const ById<NodeId, bool>& taken);

  // The group whose root the node is, or null.
  const ExpressionGroup* rooted_at(NodeId node) const;
  // Whether it is part of a group, but not the root.
  bool is_inner(NodeId node) const { return inner_[node]; }

 private:
  class Growth;

  std::vector<ExpressionGroup> groups_;
  ById<NodeId, bool> inner_;
};

}  // namespace nnfast::plan
