// Which nodes have no op of their own, because the op before them does their work on its way out.
#pragma once

#include "plan/program.h"

namespace nnfast::plan {

class Fusions {
 public:
  // needed: whether the output depends on a node.
  Fusions(const GraphLayout& layout, const PlanOptions& options, const std::vector<bool>& needed);

  // Whether the op of the node's input does its work.
  bool runs_before(int node) const;
  // The batch normalisation that the node's op does by moving averages, or -1.
  int normalization_after(int node) const;
  // The attributes of the op that the node becomes.
  NodeSpec spec_of(int node) const;

 private:
  const GraphNode& at(int node) const { return layout_.nodes()[static_cast<size_t>(node)]; }
  int relu_after(int node) const;
  bool leaves_relu_to_pool(int node) const;

  const GraphLayout& layout_;
  bool predicts_;
  std::vector<int> only_reader_;  // -1: several, none, or nothing is to be fused
};

}  // namespace nnfast::plan
