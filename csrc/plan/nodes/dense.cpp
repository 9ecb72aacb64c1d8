// Dense: y (M, O) = f(x (M, D) kernel (D, O) + bias (O)), M = rows times the axes before the last.
#include "ops/activation.h"
#include "ops/gemm/gemm.h"
#include "ops/reduce.h"
#include "plan/nodes/activation.h"
#include "plan/nodes/node.h"

namespace nnfast::plan {
namespace {

// Whether the kernel is stored transposed, as (O, D), because it belongs to another layer.
bool is_transposed(const NodeSpec& node) { return node.integer_or("transposed", 0) != 0; }

Inference infer(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  const Shape& in = inputs[0];
  require(!in.empty(), node.name, ": expected an input of (N, ..., D), got (N,)");
  const int64_t units = node.integer("units");
  require(units > 0, node.name, ": expected units of 1 or more, got ", units);
  activation_of(node);
  Shape shape = in;
  shape.back() = units;
  Shape kernel = {in.back(), units};
  if (is_transposed(node)) std::swap(kernel[0], kernel[1]);
  Inference result{shape, {{"kernel", kernel}}};
  if (node.integer_or("use_bias", 1) != 0) result.parameters.push_back({"bias", {units}});
  return result;
}

template <class T>
class DenseOp final : public Op<T> {
 public:
  explicit DenseOp(const NodeSpec& node)
      : Op<T>(node),
        activation_(activation_of(node)),
        has_bias_(node.integer_or("use_bias", 1) != 0),
        transposed_(is_transposed(node)) {}

  void forward(const Run& run) override {
    const index_t m = rows(run);
    Gemm<T> p;
    p.m = m;
    p.n = units();
    p.k = depth();
    p.a = this->inputs[0]->value;
    p.a_row = depth();
    p.a_k = 1;
    p.b = kernel().value;
    p.b_k = transposed_ ? 1 : units();
    p.b_n = transposed_ ? depth() : 1;
    p.c = this->output->value;
    p.c_row = units();
    p.bias = bias() ? bias()->value : nullptr;
    if (this->scaled) p.scaled = this->scaled();
    p.activation = activation_;
    gemm(p);
  }

  void backward(const Run& run) override {
    const index_t m = rows(run);
    T* dz = this->d_output;
    const T* y = this->output->value;
    if (activation_.kind != Activation::identity) {
      activation_backward(dz, dz, static_cast<const T*>(nullptr), y, m, units(), activation_);
    }
    kernel_gradient_is_moderate_ = !kernel().gradient || gemm(kernel_gradient(dz, m));
    if (bias() && bias()->gradient) sum_columns(bias()->gradient, dz, m, units());
    if (this->d_inputs[0]) gemm(input_gradient(dz, m));
  }

  Magnitude check_gradients() const override {
    const bool has_bias = bias() && bias()->gradient;
    const bool moderate =
        kernel_gradient_is_moderate_ && (!has_bias || all_moderate(bias()->gradient, bias()->size));
    return moderate ? Magnitude::moderate : Op<T>::check_gradients();
  }
  bool backward_reads_inputs() const override { return kernel().gradient != nullptr; }
  bool backward_reads_output() const override { return activation_.kind != Activation::identity; }
  double flops_per_row() const override {
    return 2.0 * static_cast<double>(this->inputs[0]->size) * static_cast<double>(units());
  }

 private:
  Gemm<T> kernel_gradient(const T* dz, index_t m) const {  // (D, O) = x^T dz, or (O, D) = dz^T x
    const T* x = this->inputs[0]->value;
    Gemm<T> p;
    p.m = transposed_ ? units() : depth();
    p.n = transposed_ ? depth() : units();
    p.k = m;
    p.a = transposed_ ? dz : x;
    p.a_row = 1;
    p.a_k = p.m;
    p.b = transposed_ ? x : dz;
    p.b_k = p.n;
    p.b_n = 1;
    p.c = kernel().gradient;
    p.c_row = p.n;
    p.check = p.tiled = true;
    return p;
  }
  Gemm<T> input_gradient(const T* dz, index_t m) const {  // (M, D) = dz kernel^T
    Gemm<T> p;
    p.m = m;
    p.n = depth();
    p.k = units();
    p.a = dz;
    p.a_row = units();
    p.a_k = 1;
    p.b = kernel().value;
    p.b_k = transposed_ ? depth() : 1;
    p.b_n = transposed_ ? 1 : units();
    p.c = this->d_inputs[0];
    p.c_row = depth();
    return p;
  }

  Parameter<T>& kernel() const { return *this->parameters[0]; }
  Parameter<T>* bias() const { return has_bias_ ? this->parameters[1] : nullptr; }
  index_t depth() const { return static_cast<index_t>(kernel().shape[transposed_ ? 1 : 0]); }
  index_t units() const { return static_cast<index_t>(kernel().shape[transposed_ ? 0 : 1]); }
  index_t rows(const Run& run) const { return run.rows * (this->inputs[0]->size / depth()); }

  ActivationParams activation_;
  bool has_bias_, transposed_;
  bool kernel_gradient_is_moderate_ = true;
};

const Registered<OpKind> registered(
    op_kind<DenseOp>("dense", "units use_bias activation alpha transposed", infer,
                     Trait::multiplies | Trait::ends_in_activation | Trait::takes_relu));

}  // namespace

}  // namespace nnfast::plan
