#include "plan/nodes/elementwise.h"

#include <cmath>
#include <limits>
#include <optional>

#include "ops/activation.h"
#include "ops/tensor/broadcast.h"

namespace nnfast::plan {
namespace {

// Attributes: "function"; "alpha" of an activation; "constant", a number in place of the operand "constant_at".
Instruction instruction_of(const NodeSpec& node) {
  const std::string& function = node.string("function");
  Instruction made;
  if (const std::optional<Unary> unary = find_unary(function)) {
    made.kind = Instruction::Kind::unary;
    made.unary = *unary;
  } else if (const std::optional<Binary> binary = find_binary(function)) {
    made.kind = Instruction::Kind::binary;
    made.binary = *binary;
  } else if (function == "where") {
    made.kind = Instruction::Kind::where;
  } else {
    made.kind = Instruction::Kind::activation;
    made.activation = parse_activation(
        function, node.number_or("alpha", std::numeric_limits<double>::quiet_NaN()), node.name);
    require(!works_on_rows(made.activation.kind), node.name,
            ": expected an element-wise function, got ", function);
  }
  return made;
}

const char* name_of(const Instruction& of) {
  switch (of.kind) {
    case Instruction::Kind::unary:
      return nnfast::name_of(of.unary);
    case Instruction::Kind::binary:
      return nnfast::name_of(of.binary);
    case Instruction::Kind::where:
      return "where";
    default:
      return activation_names()[static_cast<size_t>(of.activation.kind)].c_str();
  }
}

int operand_count(Instruction::Kind kind) {
  if (kind == Instruction::Kind::where) return 3;
  return kind == Instruction::Kind::binary ? 2 : 1;
}

Inference infer(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  parse_elementwise(node, inputs.size());
  return inference_of(node, {broadcast_shapes(node, inputs)});
}

}  // namespace

ElementwiseNode parse_elementwise(const NodeSpec& node, size_t inputs) {
  ElementwiseNode parsed{instruction_of(node), {}, inputs};
  const int operands = operand_count(parsed.instruction.kind);
  int constant = -1;
  if (node.has("constant")) {
    parsed.constants.push_back(node.number("constant"));
    constant = static_cast<int>(node.integer("constant_at"));
    require(constant >= 0 && constant < operands, node.name, ": expected constant_at from 0 to ",
            operands - 1, ", got ", constant);
  }
  require(inputs > 0 && inputs + parsed.constants.size() == static_cast<size_t>(operands),
          node.name, ": expected ", operands, operands == 1 ? " operand of " : " operands of ",
          node.string("function"), ", got ", inputs + parsed.constants.size());
  int next = 0;
  for (int i = 0; i < operands; ++i)
    parsed.instruction.operands.push_back(i == constant ? static_cast<int>(inputs) : next++);
  return parsed;
}

namespace {

template <class T>
class ExpressionOp final : public Op<T> {
 public:
  ExpressionOp(const NodeSpec& node, const ExpressionSpec& spec)
      : Op<T>(node), expression_(spec.instructions, spec.constants, spec.inputs) {
    for (const Instruction& each : spec.instructions)
      functions_ += (functions_.empty() ? "" : ", ") + std::string(name_of(each));
  }

  void forward(const Run& run) override {
    Operand operands[Expression<T>::kMaxInputs];
    read_operands(run, operands);
    expression_.forward(this->output->value, dims_of(*this->output, run), operands);
  }

  void backward(const Run& run) override {
    Operand operands[Expression<T>::kMaxInputs];
    read_operands(run, operands);
    const Dims dims = dims_of(*this->output, run);
    T* gradients[Expression<T>::kMaxInputs] = {};
    T* scratch = this->backward_scratch;
    for (size_t i = 0; i < this->inputs.size(); ++i) {
      gradients[i] = this->d_inputs[i];
      if (!gradients[i] || operands[i].dims == dims) continue;
      gradients[i] = scratch;
      scratch += dims.elements();
    }
    expression_.backward(gradients, this->d_output, this->output->value, dims, operands);
    for (size_t i = 0; i < this->inputs.size(); ++i) {
      if (this->d_inputs[i] && gradients[i] != this->d_inputs[i])
        sum_to(this->d_inputs[i], operands[i].dims, gradients[i], dims, scratch);
    }
  }

  // The gradients of operands that are broadcast, before they are summed.
  index_t backward_scratch_size(index_t rows) const override {
    const Run run{rows, true, 0, 0};
    const Dims dims = dims_of(*this->output, run);
    index_t size = 0, sums = 0;
    for (size_t i = 0; i < this->inputs.size(); ++i) {
      const Dims own = dims_of(*this->inputs[i], run);
      if (own == dims || !has_gradient(i)) continue;
      size += dims.elements();
      sums = std::max(sums, sum_to_scratch(own, dims));
    }
    return size + sums;
  }

  bool backward_reads_inputs() const override { return expression_.reads_inputs(); }
  bool backward_reads_output() const override { return expression_.reads_output(); }
  bool is_differentiable() const override {
    for (size_t i = 0; i < expression_.input_count(); ++i) {
      if (has_gradient(i)) return true;
    }
    return false;
  }
  bool has_gradient(size_t input) const override { return expression_.has_gradient(input); }
  const char* algorithm() const override { return functions_.c_str(); }
  double flops_per_row() const override {
    return static_cast<double>(expression_.instructions().size()) * Op<T>::flops_per_row();
  }

 private:
  using Operand = typename Expression<T>::Operand;

  void read_operands(const Run& run, Operand* operands) const {
    for (size_t i = 0; i < this->inputs.size(); ++i)
      operands[i] = {this->inputs[i]->value, dims_of(*this->inputs[i], run)};
  }

  Expression<T> expression_;
  std::string functions_;
};

// Its inputs follow from the function and the constant.
template <class T>
std::unique_ptr<Op<T>> make_alone(const NodeSpec& node) {
  const size_t inputs = static_cast<size_t>(operand_count(instruction_of(node).kind)) -
                        (node.has("constant") ? 1 : 0);
  const ElementwiseNode parsed = parse_elementwise(node, inputs);
  return make_expression<T>(node, {{parsed.instruction}, parsed.constants, inputs});
}

const Registered<OpKind> registered({"elementwise", "function alpha constant constant_at", nullptr,
                                     make_alone<float>, make_alone<double>, Trait::elementwise,
                                     infer});

}  // namespace

template <class T>
std::unique_ptr<Op<T>> make_expression(const NodeSpec& node, const ExpressionSpec& spec) {
  return std::make_unique<ExpressionOp<T>>(node, spec);
}
template std::unique_ptr<Op<float>> make_expression(const NodeSpec&, const ExpressionSpec&);
template std::unique_ptr<Op<double>> make_expression(const NodeSpec&, const ExpressionSpec&);

}  // namespace nnfast::plan
