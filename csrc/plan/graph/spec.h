// Descriptions of networks: nodes with attributes, shapes and parameters. Shapes are per row.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/check.h"
#include "base/types.h"

namespace nnfast::plan {

using Shape = std::vector<int64_t>;
using Attribute =
    std::variant<int64_t, double, std::string, std::vector<int64_t>, std::vector<std::string>>;

struct NodeSpec {
  std::string op;
  std::string name;
  std::vector<std::string> inputs;  // names of outputs, see output_name()
  std::map<std::string, Attribute> attributes;
  // Shared parameters, by their names in this node: "kernel" -> "dense_1.kernel".
  std::map<std::string, std::string> shared = {};
  std::string owner = {};  // after which parameters are named; empty: the node

  bool has(const std::string& key) const { return attributes.count(key) != 0; }
  // The attribute of the given name, or an error that names the node and the key.
  int64_t integer(const std::string& key) const;
  double number(const std::string& key) const;
  double number_or(const std::string& key, double otherwise) const;
  int64_t integer_or(const std::string& key, int64_t otherwise) const;
  const std::string& string(const std::string& key) const;
  const std::string& string_or(const std::string& key, const std::string& otherwise) const;
  const std::vector<int64_t>& integers(const std::string& key) const;
  const std::vector<std::string>& strings(const std::string& key) const;
};

// Refuses attributes that are not among `known`, a list of names separated by spaces ("shape_*":
// all with that prefix). The error suggests the most similar name.
void require_known(const NodeSpec& node, const char* known);

struct ParameterSpec {
  std::string name;  // within its node: "kernel", "bias"
  Shape shape;
  bool trains = true;  // false: a statistic, updated by the op itself and not by an optimizer
};

// Output shape and parameters of a node.
struct Inference {
  Shape shape;
  std::vector<ParameterSpec> parameters;
  std::vector<Shape> further_shapes = {};  // of the outputs after the first
  bool batched = true;                     // whether the outputs have the batch axis
};

// The shape of a row; of a tensor without the batch axis (a weight, a constant, what is computed from
// them alone, or a sum over the batch) the shape of the whole.
struct TensorShape {
  Shape shape;
  bool batched = true;
};

// The number of elements; an error that names `where` if it does not fit.
index_t element_count(const Shape& shape, const std::string& where);
// The name of one of a node's outputs: of the first, the node's, "split"; of the next ones "split#1", "split#2".
std::string output_name(const std::string& node, size_t output);
// "(N, 28, 28)": a shape as shown to users, with the batch.
std::string batch_shape_text(const Shape& shape);
// Likewise; without the batch "(28, 28)".
std::string shape_text(const TensorShape& tensor);

}  // namespace nnfast::plan
