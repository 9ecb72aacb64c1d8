// Kinds of nodes. Each file in nodes/ registers the kinds that it defines: no list needs editing for a new
// one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/registry.h"
#include "plan/graph/spec.h"
#include "plan/op.h"

namespace nnfast::plan {

// Properties of a kind that the builder needs. It knows no kind by name.
enum class Trait : unsigned {
  none = 0,
  input = 1 << 0,               // receives data from outside
  activation = 1 << 1,          // consists only of the activation named by its attributes
  ends_in_activation = 1 << 2,  // ends with the activation named by its attributes
  multiplies = 1 << 3,          // a matrix product, which can scale columns before its activation
  scales_columns = 1 << 4,      // in prediction, scales and shifts each column: Op::column_scale
  takes_relu = 1 << 5,          // applies a following ReLU itself, by the attribute "activation"
  max_pools = 1 << 6,           // computes maxima; can apply a ReLU to them
  rescales = 1 << 7,            // scale * x + offset, with these attributes
  noise = 1 << 8,               // is the identity in prediction
  integers = 1 << 9,            // an input of integers, such as token ids; without a gradient
  elementwise = 1 << 10,        // a function of each element: nodes/elementwise.h
};
constexpr Trait operator|(Trait a, Trait b) {
  return static_cast<Trait>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}

// A kind of node: its attributes, shape inference and op.
struct OpKind {
  // Whether it has the trait, or one of the traits.
  bool is(Trait trait) const {
    return (static_cast<unsigned>(traits) & static_cast<unsigned>(trait)) != 0;
  }

  const char* name;
  const char* attributes;  // in the format of require_known()
  // Of rows; null for operations on whole tensors, which may lack the batch axis.
  Inference (*infer)(const NodeSpec& node, const std::vector<Shape>& inputs);
  std::unique_ptr<Op<float>> (*make_float)(const NodeSpec& node);
  std::unique_ptr<Op<double>> (*make_double)(const NodeSpec& node);
  Trait traits;
  Inference (*infer_tensors)(const NodeSpec& node,
                             const std::vector<TensorShape>& inputs) = nullptr;
};

// Names of all kinds.
std::vector<std::string> op_names();
const OpKind& find_op_kind(const NodeSpec& node);
// Shape and parameters of a node, after checking that all its attributes are known.
Inference infer_node(const NodeSpec& node, const std::vector<TensorShape>& inputs);

template <class T>
std::unique_ptr<Op<T>> make_op(const NodeSpec& node);

}  // namespace nnfast::plan
