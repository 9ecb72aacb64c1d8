// Convolution over one or two axes, y (N, OH, OW, O) = f(x (N, H, W, C) * kernel (KH, KW, C / groups, O)
// + bias (O)), and its transpose, whose kernel is (KH, KW, O, C).
#include "ops/conv/conv.h"

#include <algorithm>

#include "ops/activation.h"
#include "ops/conv/choose.h"
#include "ops/reduce.h"
#include "plan/nodes/activation.h"
#include "plan/nodes/node.h"
#include "plan/nodes/window.h"

namespace nnfast::plan {
namespace {

constexpr const char* kSize = "kernel_size";

void add_bias(const NodeSpec& node, Inference& result) {
  if (node.integer_or("use_bias", 1) != 0)
    result.parameters.push_back({"bias", {result.shape.back()}});
  activation_of(node);
}

int64_t filters_of(const NodeSpec& node) {
  const int64_t filters = node.integer("filters");
  require(filters > 0, node.name, ": expected filters of 1 or more, got ", filters);
  return filters;
}

// The channels of the third axis of the kernel, and of the fourth; both axes differ for depthwise
// kernels.
Shape kernel_shape(const NodeSpec& node, int64_t in, int64_t out) {
  Shape shape = node.integers(kSize);
  shape.push_back(in);
  shape.push_back(out);
  return shape;
}

Inference infer_conv(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  const Window window = window_of(node, inputs[0], kSize);
  require_bounded_padding(node.name, window);
  const int64_t channels = inputs[0].back(), filters = filters_of(node);
  const int64_t groups = node.integer_or("groups", 1);
  require(groups > 0 && channels % groups == 0 && filters % groups == 0, node.name,
          ": expected groups that divide ", channels, " channels and ", filters, " filters, got ",
          groups);
  Inference result{window_shape(window, inputs[0], filters), {}};
  const bool depthwise = node.integer_or("depthwise", 0) != 0;
  const int64_t in = depthwise ? channels : channels / groups;
  const int64_t out = depthwise ? filters / channels : filters;
  result.parameters.push_back({"kernel", kernel_shape(node, in, out)});
  add_bias(node, result);
  return result;
}

// The size along an axis that a convolution would map to `out`: as in Keras, and with explicit
// padding as in PyTorch.
int64_t transposed_size(int64_t out, const WindowAxis& a, bool same, bool valid) {
  const int64_t stride = a.stride, span = a.span();
  if (same) return out * stride;
  if (valid) return out * stride + std::max<int64_t>(span - stride, 0);
  return (out - 1) * stride + span - a.before - a.after;
}

// The window of the convolution of which the node is the transpose: it maps the node's output to
// its input.
Window transposed_window(const NodeSpec& node, const Shape& input) {
  // Padding does not affect the shape of the kernel, and a large input fits every kernel.
  const Shape& kernel = node.integers(kSize);
  Shape generous = input;
  require(input.size() == kernel.size() + 1, node.name, ": expected an input of ",
          kernel.size() == 2 ? "(N, H, W, C)" : "(N, T, C)", ", got ", batch_shape_text(input));
  for (size_t i = 0; i < kernel.size(); ++i) {
    require(input[i] < int64_t(1) << 30, node.name,
            ": expected an input of less than 2^30 along each axis, got ", batch_shape_text(input));
    generous[i] = 1 << 29;
  }
  const Window free = window_of(node, generous, kSize);
  const bool named =
      node.has("padding") && std::holds_alternative<std::string>(node.attributes.at("padding"));
  const bool same = named && node.string("padding") == "same";
  const bool valid = !node.has("padding") || (named && !same);
  Shape image = input;
  const size_t axes = kernel.size();
  for (size_t i = 0; i < axes; ++i) {
    const WindowAxis& axis = axes == 2 && i == 0 ? free.h : free.w;
    image[i] = transposed_size(input[i], axis, same, valid);
    require(image[i] > 0, node.name, ": expected padding that leaves an output, got a size of ",
            image[i]);
  }
  return window_of(node, image, kSize);
}

Inference infer_transpose(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  const Window window = transposed_window(node, inputs[0]);
  require_bounded_padding(node.name, window);
  const int64_t filters = filters_of(node);
  Inference result;
  if (inputs[0].size() == 3) result.shape.push_back(window.h.in);
  result.shape.push_back(window.w.in);
  result.shape.push_back(filters);
  result.parameters.push_back({"kernel", kernel_shape(node, filters, inputs[0].back())});
  add_bias(node, result);
  return result;
}

// Code shared by both. The geometry is that of the convolution, in which `wide` is the tensor with
// in_channels and `narrow` that with out_channels.
template <class T>
class ConvBase : public Op<T> {
 public:
  explicit ConvBase(const NodeSpec& node)
      : Op<T>(node),
        node_(node),
        activation_(activation_of(node)),
        has_bias_(node.integer_or("use_bias", 1) != 0) {}

  void forward(const Run& run) override {
    settle();
    multiply(run.rows);
  }

  void backward(const Run& run) override {
    T* dz = this->d_output;
    const index_t pixels = run.rows * (this->output->size / filters());
    if (activation_.kind != Activation::identity) {
      activation_backward(dz, dz, static_cast<const T*>(nullptr), this->output->value, pixels,
                          filters(), activation_);
    }
    T* d_bias = bias() ? bias()->gradient : nullptr;
    kernel_gradient_is_moderate_ = true;
    if (kernel().gradient) {
      kernel_gradient_is_moderate_ = differentiate_kernel(d_bias, dz, run.rows);
    } else if (d_bias) {
      sum_columns(d_bias, dz, pixels, filters());
    }
    if (this->d_inputs[0]) differentiate_input(dz, run.rows);
  }

  Magnitude check_gradients() const override {
    const bool has_bias = bias() && bias()->gradient;
    const bool moderate =
        kernel_gradient_is_moderate_ && (!has_bias || all_moderate(bias()->gradient, bias()->size));
    return moderate ? Magnitude::moderate : Op<T>::check_gradients();
  }
  bool backward_reads_inputs() const override { return kernel().gradient != nullptr; }
  bool backward_reads_output() const override { return activation_.kind != Activation::identity; }
  double flops_per_row() const override { return shape().operations(); }
  const char* algorithm() const override { return algorithm_name(forward_algorithm(shape())); }

 protected:
  virtual ConvShape shape() const = 0;
  virtual ConvAlgorithm forward_algorithm(const ConvShape& s) const = 0;
  virtual void multiply(index_t rows) = 0;
  virtual bool differentiate_kernel(T* d_bias, const T* dz, index_t rows) = 0;
  virtual void differentiate_input(const T* dz, index_t rows) = 0;

  Parameter<T>& kernel() const { return *this->parameters[0]; }
  Parameter<T>* bias() const { return has_bias_ ? this->parameters[1] : nullptr; }
  const T* bias_value() const { return bias() ? bias()->value : nullptr; }
  index_t filters() const { return static_cast<index_t>(this->output->shape.back()); }
  index_t channels() const { return static_cast<index_t>(this->inputs[0]->shape.back()); }
  // The geometry is computed in the first pass, when the tensors are known.
  void settle() {
    if (geometry_.in_channels == 0) geometry_ = shape();
  }

  const NodeSpec node_;
  const ActivationParams activation_;
  ConvShape geometry_{{}, 0, 0, 0};
  ConvKernelGradient<T> kernel_gradient_;

 private:
  bool has_bias_;
  bool kernel_gradient_is_moderate_ = true;
};

template <class T>
class ConvOp final : public ConvBase<T> {
 public:
  using ConvBase<T>::ConvBase;

 private:
  ConvShape shape() const override {
    return {window_of(this->node_, this->inputs[0]->shape, kSize), this->channels(),
            this->filters(), static_cast<index_t>(this->node_.integer_or("groups", 1))};
  }
  ConvAlgorithm forward_algorithm(const ConvShape& s) const override {
    return choose_forward<T>(s);
  }
  void multiply(index_t rows) override {
    const ColumnScale<T> scaled = this->scaled ? this->scaled() : ColumnScale<T>{};
    conv_forward(this->output->value, this->inputs[0]->value, this->kernel().value,
                 this->bias_value(), rows, this->geometry_, this->activation_, scaled);
  }
  bool differentiate_kernel(T* d_bias, const T* dz, index_t rows) override {
    return this->kernel_gradient_(this->kernel().gradient, d_bias, this->inputs[0]->value, dz, rows,
                                  this->geometry_);
  }
  void differentiate_input(const T* dz, index_t rows) override {
    conv_input_gradient<T>(this->d_inputs[0], dz, this->kernel().value, nullptr, rows,
                           this->geometry_, {Activation::identity, 0});
  }
};

template <class T>
class ConvTransposeOp final : public ConvBase<T> {
 public:
  using ConvBase<T>::ConvBase;

 private:
  ConvShape shape() const override {
    return {transposed_window(this->node_, this->inputs[0]->shape), this->filters(),
            this->channels(), 1};
  }
  ConvAlgorithm forward_algorithm(const ConvShape& s) const override {
    return choose_input_gradient(s, this->bias() != nullptr);
  }
  void multiply(index_t rows) override {
    conv_input_gradient(this->output->value, this->inputs[0]->value, this->kernel().value,
                        this->bias_value(), rows, this->geometry_, this->activation_);
  }
  bool differentiate_kernel(T* d_bias, const T* dz, index_t rows) override {
    if (d_bias)
      sum_columns(d_bias, dz, rows * (this->output->size / this->filters()), this->filters());
    return this->kernel_gradient_(this->kernel().gradient, nullptr, dz, this->inputs[0]->value,
                                  rows, this->geometry_);
  }
  void differentiate_input(const T* dz, index_t rows) override {
    conv_forward<T>(this->d_inputs[0], dz, this->kernel().value, nullptr, rows, this->geometry_,
                    {Activation::identity, 0});
  }
};

#define NNF_CONV_ATTRIBUTES \
  "filters kernel_size strides padding dilation_rate use_bias activation alpha"

const Registered<OpKind> conv(op_kind<ConvOp>("conv", NNF_CONV_ATTRIBUTES " groups depthwise",
                                              infer_conv,
                                              Trait::multiplies | Trait::ends_in_activation |
                                                  Trait::takes_relu));
const Registered<OpKind> conv_transpose(
    op_kind<ConvTransposeOp>("conv_transpose", NNF_CONV_ATTRIBUTES, infer_transpose,
                             Trait::ends_in_activation | Trait::takes_relu));

}  // namespace

}  // namespace nnfast::plan
