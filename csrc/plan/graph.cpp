#include "plan/graph.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "base/cpu.h"
#include "plan/ops.h"

namespace nnfast::plan {
namespace {

template <class V>
const V& attribute(const NodeSpec& node, const std::string& key, const char* type) {
  const auto found = node.attributes.find(key);
  require(found != node.attributes.end(), node.name, ": expected an attribute '", key,
          "', got none");
  const V* value = std::get_if<V>(&found->second);
  require(value != nullptr, node.name, ": expected ", type, " as '", key, "', got another type");
  return *value;
}

std::string shape_text(const Shape& shape) {
  std::string out = "(";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + (shape.size() == 1 ? ",)" : ")");
}

constexpr index_t kBoundary = 64 / sizeof(float);

}  // namespace

int64_t NodeSpec::integer(const std::string& key) const {
  return attribute<int64_t>(*this, key, "an integer");
}
double NodeSpec::number(const std::string& key) const {
  const auto found = attributes.find(key);
  if (found != attributes.end() && std::holds_alternative<int64_t>(found->second)) {
    return static_cast<double>(std::get<int64_t>(found->second));
  }
  return attribute<double>(*this, key, "a number");
}
double NodeSpec::number_or(const std::string& key, double otherwise) const {
  return has(key) ? number(key) : otherwise;
}
int64_t NodeSpec::integer_or(const std::string& key, int64_t otherwise) const {
  return has(key) ? integer(key) : otherwise;
}
const std::string& NodeSpec::string(const std::string& key) const {
  return attribute<std::string>(*this, key, "a string");
}
const std::vector<int64_t>& NodeSpec::integers(const std::string& key) const {
  return attribute<std::vector<int64_t>>(*this, key, "a list of integers");
}
const std::vector<std::string>& NodeSpec::strings(const std::string& key) const {
  return attribute<std::vector<std::string>>(*this, key, "a list of strings");
}

namespace {

// The least number of letters to insert, delete or replace that makes `b` of `a`.
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

bool matches(const std::string& key, const std::string& known) {
  if (known.back() != '*') return key == known;
  return key.compare(0, known.size() - 1, known, 0, known.size() - 1) == 0;
}

}  // namespace

void require_known(const NodeSpec& node, const char* known) {
  std::vector<std::string> names;
  std::istringstream words(known);
  for (std::string word; words >> word;) names.push_back(word);
  for (const auto& [key, value] : node.attributes) {
    if (std::any_of(names.begin(), names.end(),
                    [&key = key](const std::string& name) { return matches(key, name); }))
      continue;
    const auto nearest = std::min_element(names.begin(), names.end(),
                                          [&key = key](const std::string& a, const std::string& b) {
                                            return edit_distance(key, a) < edit_distance(key, b);
                                          });
    const std::string remedy =
        nearest == names.end() ? "; leave it out" : "; did you mean '" + *nearest + "'?";
    throw ValueError(text(node.name, ": expected attributes of ", node.op, " among (", known,
                          "), got '", key, "'", remedy));
  }
}

index_t element_count(const Shape& shape, const std::string& where) {
  size_t count = 1;
  for (const int64_t extent : shape) {
    require(extent > 0, where, ": expected sizes of 1 or more, got ", batch_shape_text(shape));
    count = checked_product(count, static_cast<size_t>(extent), where.c_str());
  }
  // Leaves room for the element size and for a batch.
  require(count <= (size_t(1) << 48), where, ": expected a size that fits in memory, got ",
          batch_shape_text(shape));
  return static_cast<index_t>(count);
}

std::string batch_shape_text(const Shape& shape) {
  std::string out = "(N";
  for (const int64_t extent : shape) out += ", " + std::to_string(extent);
  return out + (shape.empty() ? ",)" : ")");
}

struct GraphLayout::Share {
  NodeId node;
  size_t slot;
  ParameterSpec wanted;
  std::string from;
};

GraphLayout::GraphLayout(std::vector<NodeSpec> specs, const std::vector<std::string>& outputs) {
  require(!specs.empty(), "network: expected at least one node, got none");
  require(specs[0].op == kInput.name, specs[0].name,
          ": expected the first node to be an input, got '", specs[0].op,
          "'; start with layers.Input");
  require(!outputs.empty(), "network: expected at least one output, got none");
  std::vector<Share> shares;
  for (NodeSpec& spec : specs) add(std::move(spec), &shares);
  for (const Share& share : shares) fill(share);
  for (const std::string& output : outputs) {
    const NodeId node = node_named(output);
    require(node != NodeId::none, "network: expected the output to be one of its nodes, got '",
            output, "'");
    require(std::find(outputs_.begin(), outputs_.end(), node) == outputs_.end(),
            "network: expected outputs that differ, got '", output, "' twice");
    outputs_.push_back(node);
  }
}

NodeId GraphLayout::node_named(const std::string& name) const {
  for (const NodeId id : nodes_.ids()) {
    if (nodes_[id].spec.name == name) return id;
  }
  return NodeId::none;
}

void GraphLayout::add(NodeSpec spec, std::vector<Share>* shares) {
  GraphNode node;
  std::vector<Shape> shapes;
  require(node_named(spec.name) == NodeId::none, "network: expected names that differ, got '",
          spec.name, "' twice; give one of the layers another name");
  for (const std::string& input : spec.inputs) {
    const NodeId id = node_named(input);
    require(id != NodeId::none, spec.name, ": expected inputs that stand before it, got '", input,
            "'");
    node.inputs.push_back(id);
    shapes.push_back(nodes_[id].shape);
  }
  Inference inferred = infer_node(spec, shapes);
  element_count(inferred.shape, spec.name);
  const size_t shares_before = shares->size();
  for (ParameterSpec& parameter : inferred.parameters) {
    const auto shared = spec.shared.find(parameter.name);
    if (shared != spec.shared.end()) {
      const NodeId own = static_cast<NodeId>(nodes_.size());
      shares->push_back({own, node.parameters.size(), std::move(parameter), shared->second});
      node.parameters.push_back(ParameterId::none);
      continue;
    }
    const std::string name = spec.name + "." + parameter.name;
    const index_t count = element_count(parameter.shape, name);
    node.parameters.push_back(
        parameters_.add({name, std::move(parameter.shape), parameter.trains, count, flat_size_}));
    parameter_count_ += count;
    flat_size_ += (count + kBoundary - 1) / kBoundary * kBoundary;
  }
  require(shares->size() - shares_before == spec.shared.size(), spec.name,
          ": expected only names of this node's parameters in 'shared', got another");
  node.shape = std::move(inferred.shape);
  node.spec = std::move(spec);
  if (node.spec.op == kInput.name) inputs_.push_back(static_cast<NodeId>(nodes_.size()));
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
          ": expected a ", share.wanted.name, " of shape ", shape_text(share.wanted.shape),
          " to share, got ", found.name, " of shape ", shape_text(found.shape));
  nodes_[share.node].parameters[share.slot] = source;
}

void GraphLayout::require_memory(size_t element_size) const {
  const size_t memory = machine_memory();
  for (const GraphParameter& parameter : parameters_) {
    const auto end = static_cast<size_t>(parameter.offset + parameter.size);
    require(end <= memory / element_size, parameter.name, ": expected parameters of at most the ",
            memory >> 30, " GiB of this machine's memory, got ", shape_text(parameter.shape),
            " and those before it; use smaller layers");
  }
}

}  // namespace nnfast::plan
