// Element-wise functions of tensors that broadcast; the builder fuses them into expressions.
#pragma once

#include "ops/tensor/expression.h"
#include "plan/nodes/tensor.h"

namespace nnfast::plan {

// A node of the kind "elementwise" as an instruction: its operands are its inputs, and behind them the constant.
struct ElementwiseNode {
  Instruction instruction;
  std::vector<double> constants;  // at most one
  size_t inputs;
};
ElementwiseNode parse_elementwise(const NodeSpec& node, size_t inputs);

// Several nodes in one.
struct ExpressionSpec {
  std::vector<Instruction> instructions;
  std::vector<double> constants;
  size_t inputs;
};
template <class T>
std::unique_ptr<Op<T>> make_expression(const NodeSpec& node, const ExpressionSpec& spec);

}  // namespace nnfast::plan
