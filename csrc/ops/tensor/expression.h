// Element-wise expressions over tensors that broadcast, in one pass over memory.
#pragma once

#include <vector>

#include "ops/tensor/dims.h"
#include "ops/tensor/elementwise.h"

namespace nnfast {

// One function of an expression. Its operands are numbers of values: the inputs of the expression, then its
// constants, then the results of its instructions.
struct Instruction {
  enum class Kind { unary, binary, where, activation };

  Kind kind;
  Unary unary = {};
  Binary binary = {};
  ActivationParams activation = {};
  std::vector<int> operands;
};

// Blocks of elements, small enough for the first caches, pass through all instructions, each of which is one call of a
// kernel: so the bits are those of the instructions one by one. The gradient computes those results again that it
// reads.
template <class T>
class Expression {
 public:
  static constexpr size_t kMaxInputs = 16, kMaxValues = 64;

  // The result is that of the last instruction.
  Expression(std::vector<Instruction> instructions, std::vector<double> constants, size_t inputs);

  // Of each input, its elements and sizes.
  struct Operand {
    const T* values;
    Dims dims;
  };
  void forward(T* y, const Dims& dims, const Operand* inputs) const;
  // d_inputs: gradients of the size of y, also of those that are broadcast, or null. y is read if reads_output().
  void backward(T* const* d_inputs, const T* dy, const T* y, const Dims& dims,
                const Operand* inputs) const;

  bool has_gradient(size_t input) const { return differentiable_[input]; }
  bool reads_inputs() const;
  bool reads_output() const;
  size_t input_count() const { return inputs_; }
  const std::vector<Instruction>& instructions() const { return instructions_; }
  const std::vector<double>& constants() const { return constants_; }

 private:
  class Block;
  int first_result() const { return static_cast<int>(inputs_ + constants_.size()); }
  int last_value() const { return first_result() + static_cast<int>(instructions_.size()) - 1; }
  void find_gradients();
  void find_needed();
  double cost() const;

  std::vector<Instruction> instructions_;
  std::vector<double> constants_;
  size_t inputs_;
  std::vector<bool> differentiable_;  // of values: whether a gradient flows from the result to it
  std::vector<bool> needed_;          // of values: whether the gradient reads it
};

}  // namespace nnfast
