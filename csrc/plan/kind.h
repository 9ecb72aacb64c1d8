// Kinds of nodes. Each file in nodes/ registers what it defines, so that a new kind is listed nowhere.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/registry.h"
#include "plan/graph/spec.h"
#include "plan/op.h"

namespace nnfast::plan {

// What the builder knows of a kind beside its ops. It knows no kind by name.
enum class Trait : unsigned {
  none = 0,
  input = 1 << 0,               // gets its numbers from outside
  activation = 1 << 1,          // is nothing but the activation that its attributes name
  ends_in_activation = 1 << 2,  // ends in the activation that its attributes name
  multiplies = 1 << 3,          // a matrix product, which can scale columns before its activation
  scales_columns = 1 << 4,  // in prediction, a scale and a shift of each column: Op::column_scale
  takes_relu = 1 << 5,      // does, by the attribute "activation", a ReLU that comes after it
  max_pools = 1 << 6,       // takes the largest of several; does a ReLU too
  rescales = 1 << 7,        // scale * x + offset, its attributes
  noise = 1 << 8,           // passes its input on in prediction
};
constexpr Trait operator|(Trait a, Trait b) {
  return static_cast<Trait>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}

// What a kind of node is told, how it infers its shape and makes its op.
struct OpKind {
  // Whether it has that trait, or one of those.
  bool is(Trait trait) const {
    return (static_cast<unsigned>(traits) & static_cast<unsigned>(trait)) != 0;
  }

  const char* name;
  const char* attributes;  // as require_known() takes them
  Inference (*infer)(const NodeSpec& node, const std::vector<Shape>& inputs);
  std::unique_ptr<Op<float>> (*make_float)(const NodeSpec& node);
  std::unique_ptr<Op<double>> (*make_double)(const NodeSpec& node);
  Trait traits;
};

// Names of all kinds.
std::vector<std::string> op_names();
const OpKind& find_op_kind(const NodeSpec& node);
// Shape and parameters of a node whose attributes are all known.
Inference infer_node(const NodeSpec& node, const std::vector<Shape>& inputs);

template <class T>
std::unique_ptr<Op<T>> make_op(const NodeSpec& node);

}  // namespace nnfast::plan
