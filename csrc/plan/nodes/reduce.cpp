// Reductions of tensors over any axes, and the places of their largest and smallest numbers.
#include "ops/tensor/reduce.h"

#include <optional>

#include "ops/tensor/arg_reduce.h"
#include "plan/nodes/tensor.h"

namespace nnfast::plan {
namespace {

// The attributes of both kinds: "function"; "axes", without which all axes are reduced, and
// "keepdims", whether they stay, of size 1.
struct Axes {
  explicit Axes(const NodeSpec& node) : all(!node.has("axes")) {
    if (!all) axes = node.integers("axes");
  }

  AxisSet of_rank(int rank) const {
    AxisSet set = 0;
    for (int i = 0; all && i < rank; ++i) set |= AxisSet(1) << i;
    for (const int64_t axis : axes) set |= AxisSet(1) << (axis < 0 ? axis + rank : axis);
    return set;
  }
  template <class T>
  AxisSet of(const Tensor<T>& x) const {
    return of_rank(static_cast<int>(x.shape.size()) + (x.batched ? 1 : 0));
  }

  bool all;
  std::vector<int64_t> axes;
};

Inference infer_axes(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  require_inputs(node, inputs, 1);
  const Axes axes(node);
  const Shape full = full_shape(inputs[0]);
  AxisSet reduced = axes.all ? axes.of_rank(static_cast<int>(full.size())) : 0;
  for (const int64_t axis : axes.axes) {
    const AxisSet bit = AxisSet(1) << axis_of(node, axis, inputs[0]);
    require((reduced & bit) == 0, node.name, ": expected axes that differ, got axis ", axis,
            " twice");
    reduced |= bit;
  }
  const bool keeps = node.integer_or("keepdims", 0) != 0;
  Shape shape;
  for (size_t i = 0; i < full.size(); ++i) {
    const bool is_reduced = (reduced >> i & 1) != 0;
    if (!is_reduced) {
      shape.push_back(full[i]);
    } else if (keeps) {
      shape.push_back(1);
    }
  }
  return inference_of(node, {shape});
}

std::optional<Reduction> find_reduction(const std::string& name) {
  constexpr const char* names[] = {"sum", "mean", "max", "min", "prod"};
  for (int i = 0; i < 5; ++i) {
    if (name == names[i]) return static_cast<Reduction>(i);
  }
  return std::nullopt;
}

Reduction reduction_of(const NodeSpec& node) {
  const std::optional<Reduction> found = find_reduction(node.string("function"));
  require(found.has_value(), node.name, ": expected sum, mean, max, min or prod, got '",
          node.string("function"), "'");
  return *found;
}

Inference infer_reduce(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  reduction_of(node);
  return infer_axes(node, inputs);
}

template <class T>
class ReduceOp final : public Op<T> {
 public:
  explicit ReduceOp(const NodeSpec& node)
      : Op<T>(node),
        function_(reduction_of(node)),
        axes_(node),
        ddof_(static_cast<index_t>(node.integer_or("ddof", 0))) {}

  void forward(const Run& run) override {
    reduce(run).forward(this->output->value, this->inputs[0]->value, this->scratch);
  }
  void backward(const Run& run) override {
    if (!this->d_inputs[0]) return;
    reduce(run).backward(this->d_inputs[0], this->d_output, this->inputs[0]->value,
                         this->output->value);
  }
  index_t scratch_size(index_t rows) const override {
    return reduce({rows, false, 0, 0}).scratch_size();
  }
  bool backward_reads_inputs() const override { return compares() || function_ == Reduction::prod; }
  bool backward_reads_output() const override { return compares(); }
  bool mixes_rows() const override {
    return this->inputs[0]->batched && (axes_.of(*this->inputs[0]) & 1) != 0;
  }
  double flops_per_row() const override { return static_cast<double>(this->inputs[0]->size); }

 private:
  bool compares() const { return function_ == Reduction::max || function_ == Reduction::min; }
  Reduce reduce(const Run& run) const {
    const Tensor<T>& x = *this->inputs[0];
    return Reduce(function_, dims_of(x, run), axes_.of(x), ddof_);
  }

  Reduction function_;
  Axes axes_;
  index_t ddof_;  // of a mean
};

bool finds_largest(const NodeSpec& node) {
  const std::string& function = node.string("function");
  require(function == "argmax" || function == "argmin", node.name,
          ": expected argmax or argmin, got '", function, "'");
  return function == "argmax";
}

Inference infer_arg_reduce(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  finds_largest(node);
  return infer_axes(node, inputs);
}

template <class T>
class ArgReduceOp final : public Op<T> {
 public:
  explicit ArgReduceOp(const NodeSpec& node)
      : Op<T>(node), largest_(finds_largest(node)), axes_(node) {}

  void forward(const Run& run) override {
    reduce(run).forward(this->output->value, this->inputs[0]->value, this->scratch);
  }
  void backward(const Run&) override {}
  index_t scratch_size(index_t rows) const override {
    return reduce({rows, false, 0, 0}).scratch_size();
  }
  bool is_differentiable() const override { return false; }
  bool has_gradient(size_t) const override { return false; }
  bool mixes_rows() const override {
    return this->inputs[0]->batched && (axes_.of(*this->inputs[0]) & 1) != 0;
  }
  double flops_per_row() const override { return static_cast<double>(this->inputs[0]->size); }

 private:
  ArgReduce reduce(const Run& run) const {
    const Tensor<T>& x = *this->inputs[0];
    return ArgReduce(largest_, dims_of(x, run), axes_.of(x));
  }

  bool largest_;
  Axes axes_;
};

const Registered<OpKind> reduce(tensor_kind<ReduceOp>("reduce", "function axes keepdims ddof",
                                                      infer_reduce));
const Registered<OpKind> arg_reduce(tensor_kind<ArgReduceOp>("arg_reduce", "function axes keepdims",
                                                             infer_arg_reduce));

}  // namespace
}  // namespace nnfast::plan
