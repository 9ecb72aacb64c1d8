// Input, rescaling, and ops that only change the shape.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/thread_pool.h"
#include "plan/nodes/tensor.h"

namespace nnfast::plan {

namespace {

Inference infer_input(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 0);
  const Shape& shape = node.integers("shape");
  element_count(shape, node.name);
  return {shape, {}};
}

Inference infer_rescaling(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  const double scale = node.number("scale"), offset = node.number_or("offset", 0);
  require(std::isfinite(scale) && std::isfinite(offset), node.name,
          ": expected a finite scale and offset, got ", scale, " and ", offset);
  return {inputs[0], {}};
}

Inference infer_flatten(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  return {{element_count(inputs[0], node.name)}, {}};
}

// Attribute: "shape" of a row, or of a tensor without the batch; -1 for one size that follows from the others.
Inference infer_reshape(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  require_inputs(node, inputs, 1);
  const bool batched = inputs[0].batched;
  Shape shape = node.integers("shape");
  const auto given = shape_text({shape, batched});
  require(shape.size() + batched <= kMaxAxes, node.name, ": expected at most ", kMaxAxes,
          " axes, got ", given);
  const int64_t size = element_count(inputs[0].shape, node.name);
  int64_t known = 1;
  int64_t* open = nullptr;
  for (int64_t& extent : shape) {
    if (extent == -1) {
      require(open == nullptr, node.name, ": expected at most one -1 in the shape, got more");
      open = &extent;
    } else {
      require(extent > 0 && known <= size / extent + 1, node.name, ": expected a shape of ", size,
              " elements in all, got ", given);
      known *= extent;
    }
  }
  if (open && size % known == 0) *open = size / known;
  require(open ? size % known == 0 : known == size, node.name, ": expected a shape of ", size,
          " elements in all, as the input ", shape_text(inputs[0]), " has, got ", given,
          open ? "" : "; -1 for one of the sizes works it out");
  return {shape, {}, {}, batched};
}

// Input, flatten and reshape: the output shares the input's memory.
template <class T>
class ViewOp final : public Op<T> {
 public:
  using Op<T>::Op;
  void forward(const Run&) override {}
  void backward(const Run&) override {}
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }
  bool is_view() const override { return true; }
  double flops_per_row() const override { return 0; }
};

template <class T>
class RescalingOp final : public Op<T> {
 public:
  explicit RescalingOp(const NodeSpec& node)
      : Op<T>(node), scale_(node.number("scale")), offset_(node.number_or("offset", 0)) {}
  void forward(const Run& run) override {
    apply(run, this->output->value, this->inputs[0]->value, offset_);
  }
  void backward(const Run& run) override {
    if (this->d_inputs[0]) apply(run, this->d_inputs[0], this->d_output, 0);
  }
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }

 private:
  void apply(const Run& run, T* y, const T* x, double offset) const {
    const index_t n = run.rows * this->output->size;
    parallel_ranges(n, 64, 0.1 * static_cast<double>(n), [&](index_t begin, index_t end) {
      kernels<T>().scale_shift(y + begin, x + begin, end - begin, scale_, offset);
    });
  }

  double scale_, offset_;
};

// The input, through which no gradient passes.
template <class T>
class StopGradientOp final : public Op<T> {
 public:
  using Op<T>::Op;
  void forward(const Run&) override {}
  void backward(const Run&) override {}
  bool is_view() const override { return true; }
  bool is_differentiable() const override { return false; }
  double flops_per_row() const override { return 0; }
};

Inference infer_stop_gradient(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  require_inputs(node, inputs, 1);
  return inference_of(node, {full_shape(inputs[0])});
}

// The outputs of a layer that is composed of others: copies of its inputs.
template <class T>
class TupleOp final : public Op<T> {
 public:
  using Op<T>::Op;
  void forward(const Run& run) override {
    for (size_t i = 0; i < this->inputs.size(); ++i)
      copy(this->outputs[i]->value, this->inputs[i]->value, this->inputs[i]->elements(run.rows));
  }
  void backward(const Run& run) override {
    for (size_t i = 0; i < this->inputs.size(); ++i) {
      if (!this->d_inputs[i]) continue;
      const index_t n = this->inputs[i]->elements(run.rows);
      if (this->d_outputs[i]) {
        copy(this->d_inputs[i], this->d_outputs[i], n);
      } else {
        std::fill_n(this->d_inputs[i], n, T(0));
      }
    }
  }
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }
  double flops_per_row() const override { return 0; }

 private:
  static void copy(T* y, const T* x, index_t n) {
    parallel_ranges(n, 64, 0.15 * static_cast<double>(n), [&](index_t begin, index_t end) {
      std::memcpy(y + begin, x + begin, sizeof(T) * static_cast<size_t>(end - begin));
    });
  }
};

Inference infer_tuple(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  require(!inputs.empty(), node.name, ": expected one input or more, got 0");
  std::vector<Shape> shapes;
  for (const TensorShape& input : inputs) {
    require(input.batched == inputs[0].batched, node.name,
            ": expected outputs that all have the batch axis or all lack it, got ",
            shape_text(inputs[0]), " and ", shape_text(input));
    shapes.push_back(full_shape(input));
  }
  return inference_of(node, shapes);
}

const Registered<OpKind> tuple(tensor_kind<TupleOp>("tuple", "", infer_tuple));
const Registered<OpKind> stop_gradient(tensor_kind<StopGradientOp>("stop_gradient", "",
                                                                   infer_stop_gradient));
const Registered<OpKind> input(op_kind<ViewOp>("input", "shape", infer_input, Trait::input));
const Registered<OpKind> integer_input(op_kind<ViewOp>("integer_input", "shape", infer_input,
                                                       Trait::input | Trait::integers));
const Registered<OpKind> rescaling(op_kind<RescalingOp>("rescaling", "scale offset",
                                                        infer_rescaling, Trait::rescales));
const Registered<OpKind> flatten(op_kind<ViewOp>("flatten", "", infer_flatten));
const Registered<OpKind> reshape(tensor_kind<ViewOp>("reshape", "shape", infer_reshape));

}  // namespace

}  // namespace nnfast::plan
