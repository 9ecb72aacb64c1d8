#include "plan/build/expressions.h"

#include <algorithm>
#include <map>

#include "ops/activation.h"
#include "plan/nodes/activation.h"

namespace nnfast::plan {
namespace {

// More values than that leave the first caches.
constexpr size_t kMaxMembers = 16, kMaxInputs = 12;

bool contains(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

// The fused op must give the bits of the separate ones. Its results do. But a gradient that is a sum over several
// readers has the order of the graph, in which those of an expression may have others between them, and what is broadcast
// is summed once. So a value that is read more than once is an input only if that makes no difference.
class ExpressionGroups::Growth {
 public:
  Growth(const GraphLayout& layout, const PlanOptions& options, const ById<NodeId, bool>& needed,
         const ById<NodeId, bool>& taken)
      : layout_(layout),
        differentiates_(options.differentiates()),
        candidate_(layout.nodes().size(), false),
        readers_(layout.nodes().size(), {}) {
    for (const NodeId id : layout.nodes().ids()) {
      if (!needed[id]) continue;
      for (const NodeOutput& input : at(id).inputs) readers_[input.node].push_back(id);
      candidate_[id] = !taken[id] && is_elementwise(at(id));
    }
    for (size_t i = 0; i < layout.outputs().size(); ++i) {
      const NodeId node = layout.outputs()[i].node;
      readers_[node].push_back(NodeId::none);
      // The loss may do the activation.
      if (options.head_of(i) && at(node).is(Trait::activation)) candidate_[node] = false;
    }
  }

  // The largest group with this root, of nodes that are free; empty if it would be the root alone.
  ExpressionGroup grow(NodeId root, const ById<NodeId, bool>& in_a_group) {
    std::vector<NodeId> banned;
    while (candidate_[root]) {
      const std::vector<NodeId> members = reach(root, in_a_group, banned);
      if (members.size() < 2) break;
      const NodeId culprit = find_culprit(members, root);
      if (culprit == NodeId::none) return group_of(members);
      banned.push_back(culprit);
    }
    return {};
  }

 private:
  const GraphNode& at(NodeId node) const { return layout_.nodes()[node]; }

  static bool is_elementwise(const GraphNode& node) {
    if (node.is(Trait::elementwise)) return true;
    return node.is(Trait::activation) && !works_on_rows(activation_of(node.spec).kind);
  }

  bool is_free(NodeId node, NodeId root, const std::vector<NodeId>& members) const {
    if (!candidate_[node] || at(node).shape != at(root).shape ||
        at(node).batched != at(root).batched)
      return false;
    return std::all_of(readers_[node].begin(), readers_[node].end(),
                       [&](NodeId reader) { return contains(members, reader); });
  }

  std::vector<NodeId> reach(NodeId root, const ById<NodeId, bool>& in_a_group,
                            const std::vector<NodeId>& banned) const {
    std::vector<NodeId> members = {root};
    bool grows = true;
    while (grows) {
      grows = false;
      for (size_t i = 0; i < members.size() && members.size() < kMaxMembers; ++i) {
        for (const NodeOutput& input : at(members[i]).inputs) {
          const NodeId node = input.node;
          if (members.size() >= kMaxMembers || contains(members, node) || in_a_group[node] ||
              contains(banned, node) || !is_free(node, root, members))
            continue;
          members.push_back(node);
          grows = true;
        }
      }
    }
    std::sort(members.begin(), members.end());
    return members;
  }

  // A member that must not belong to the group, or none.
  NodeId find_culprit(const std::vector<NodeId>& members, NodeId root) const {
    std::map<std::pair<NodeId, size_t>, std::vector<NodeId>> uses;  // of inputs, by members
    for (const NodeId member : members) {
      for (const NodeOutput& input : at(member).inputs) {
        if (!contains(members, input.node)) uses[{input.node, input.index}].push_back(member);
      }
    }
    const size_t most = differentiates_ ? kMaxInputs : Expression<float>::kMaxInputs;
    if (uses.size() > most) return members[0];
    if (!differentiates_) return NodeId::none;
    for (const auto& [input, own] : uses) {
      if (own.size() < 2 && readers_[input.first].size() <= 2) continue;
      const GraphNode& node = at(input.first);
      const bool is_whole =
          node.shape_of(input.second) == at(root).shape && node.batched == at(root).batched;
      if (is_whole && own.size() == readers_[input.first].size()) continue;
      if (own[0] != root) return own[0];
    }
    return NodeId::none;
  }

  ExpressionGroup group_of(const std::vector<NodeId>& members) const {
    ExpressionGroup group{members, {}, {}};
    const auto number_of = [&group](const NodeOutput& input) {
      const auto found = std::find(group.inputs.begin(), group.inputs.end(), input);
      const auto number = static_cast<int>(found - group.inputs.begin());
      if (found == group.inputs.end()) group.inputs.push_back(input);
      return number;
    };
    std::map<NodeId, int> result_of;
    for (const NodeId member : members) {
      const auto result = static_cast<int>(result_of.size());
      for (const NodeOutput& input : at(member).inputs) {
        if (!result_of.count(input.node)) number_of(input);
      }
      result_of[member] = result;
    }
    const int inputs = static_cast<int>(group.inputs.size());
    std::vector<ElementwiseNode> parsed;
    int constants = 0;
    for (const NodeId member : members) {
      parsed.push_back(parse(member));
      constants += static_cast<int>(parsed.back().constants.size());
    }
    for (size_t i = 0; i < members.size(); ++i) {
      ElementwiseNode& node = parsed[i];
      const std::vector<NodeOutput>& own = at(members[i]).inputs;
      for (int& operand : node.instruction.operands) {
        const size_t local = static_cast<size_t>(operand);
        if (local >= own.size()) {
          operand = inputs + static_cast<int>(group.spec.constants.size());
          continue;
        }
        const auto result = result_of.find(own[local].node);
        operand =
            result == result_of.end() ? number_of(own[local]) : inputs + constants + result->second;
      }
      group.spec.constants.insert(group.spec.constants.end(), node.constants.begin(),
                                  node.constants.end());
      group.spec.instructions.push_back(std::move(node.instruction));
    }
    group.spec.inputs = group.inputs.size();
    return group;
  }

  ElementwiseNode parse(NodeId node) const {
    const GraphNode& of = at(node);
    if (of.is(Trait::elementwise)) return parse_elementwise(of.spec, of.inputs.size());
    Instruction instruction;
    instruction.kind = Instruction::Kind::activation;
    instruction.activation = activation_of(of.spec);
    instruction.operands = {0};
    return {std::move(instruction), {}, 1};
  }

  const GraphLayout& layout_;
  bool differentiates_;
  ById<NodeId, bool> candidate_;
  ById<NodeId, std::vector<NodeId>> readers_;  // with repetitions; none: the outside
};

ExpressionGroups::ExpressionGroups(const GraphLayout& layout, const PlanOptions& options,
                                   const ById<NodeId, bool>& needed,
                                   const ById<NodeId, bool>& taken)
    : inner_(layout.nodes().size(), false) {
  if (!options.fuse || options.keep) return;
  Growth growth(layout, options, needed, taken);
  ById<NodeId, bool> in_a_group(layout.nodes().size(), false);
  for (int i = static_cast<int>(layout.nodes().size()) - 1; i >= 0; --i) {
    const NodeId root = static_cast<NodeId>(i);
    if (!needed[root] || in_a_group[root]) continue;
    ExpressionGroup group = growth.grow(root, in_a_group);
    for (const NodeId member : group.members) {
      in_a_group[member] = true;
      inner_[member] = member != root;
    }
    if (!group.members.empty()) groups_.push_back(std::move(group));
  }
}

const ExpressionGroup* ExpressionGroups::rooted_at(NodeId node) const {
  for (const ExpressionGroup& group : groups_) {
    if (group.members.back() == node) return &group;
  }
  return nullptr;
}

}  // namespace nnfast::plan
