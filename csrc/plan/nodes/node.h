// Code shared by the files of nodes.
#pragma once

#include "plan/kind.h"

namespace nnfast::plan {

// For a class template OpType<T> that is constructed from its node.
template <template <class> class OpType>
OpKind op_kind(const char* name, const char* attributes,
               Inference (*infer)(const NodeSpec&, const std::vector<Shape>&),
               Trait traits = Trait::none) {
  return {name,
          attributes,
          infer,
          [](const NodeSpec& node) -> std::unique_ptr<Op<float>> {
            return std::make_unique<OpType<float>>(node);
          },
          [](const NodeSpec& node) -> std::unique_ptr<Op<double>> {
            return std::make_unique<OpType<double>>(node);
          },
          traits};
}

// Inputs as most kinds expect them.
void require_inputs(const NodeSpec& node, const std::vector<Shape>& inputs, size_t count);
void require_same_shapes(const NodeSpec& node, const std::vector<Shape>& inputs);

}  // namespace nnfast::plan
