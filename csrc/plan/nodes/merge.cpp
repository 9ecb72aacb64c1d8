// Sums, products and concatenations of several inputs.
#include <algorithm>
#include <cstring>

#include "base/thread_pool.h"
#include "ops/activation.h"
#include "plan/nodes/activation.h"
#include "plan/nodes/node.h"

namespace nnfast::plan {
namespace {

Inference infer_same(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_same_shapes(node, inputs);
  return {inputs[0], {}};
}

int64_t concatenation_axis(const NodeSpec& node, const Shape& shape) {
  const int64_t rank = static_cast<int64_t>(shape.size());
  const int64_t axis = node.integer_or("axis", -1);
  require(axis >= -rank && axis < rank, node.name, ": expected an axis of ", -rank, " to ",
          rank - 1, " (the batch is not counted), got ", axis);
  return axis < 0 ? axis + rank : axis;
}

Inference infer_concatenate(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require(inputs.size() >= 2, node.name, ": expected two inputs or more, got ", inputs.size());
  Shape shape = inputs[0];
  const size_t axis = static_cast<size_t>(concatenation_axis(node, shape));
  for (size_t i = 1; i < inputs.size(); ++i) {
    Shape other = inputs[i];
    const bool same_rank = other.size() == shape.size();
    const int64_t extent = same_rank ? other[axis] : 0;
    if (same_rank) other[axis] = shape[axis];
    require(same_rank && other == shape, node.name,
            ": expected inputs that agree but for one axis, got ", batch_shape_text(inputs[0]),
            " and ", batch_shape_text(inputs[i]));
    shape[axis] += extent;
    element_count(shape, node.name);  // so that the sum of many stays in range
  }
  return {shape, {}};
}

template <class T>
using Combine = void (*)(T* y, const T* a, const T* b, index_t n);

template <class T>
void combine(const Run& run, index_t size, Combine<T> kernel, T* y, const T* a, const T* b) {
  const index_t n = run.rows * size;
  parallel_ranges(n, 64, 0.15 * static_cast<double>(n), [&](index_t begin, index_t end) {
    kernel(y + begin, a + begin, b + begin, end - begin);
  });
}

// With a ReLU of the sum where the builder found one.
template <class T>
class AddOp final : public Op<T> {
 public:
  explicit AddOp(const NodeSpec& node)
      : Op<T>(node), relu_(activation_of(node).kind == Activation::relu) {}

  void forward(const Run& run) override {
    for_each_block(run, [this](index_t at, index_t n) {
      const Kernels<T>& table = kernels<T>();
      T* y = this->output->value + at;
      for (size_t i = 1; i < this->inputs.size(); ++i) {
        table.add(y, i == 1 ? this->inputs[0]->value + at : y, this->inputs[i]->value + at, n);
      }
      if (relu_) table.activation_forward(y, y, n, kRelu);
    });
  }
  void backward(const Run& run) override {
    const bool copies = std::any_of(this->d_inputs.begin(), this->d_inputs.end(),
                                    [](const T* dx) { return dx != nullptr; });
    if (!relu_ && !copies) return;
    for_each_block(run, [this](index_t at, index_t n) {
      T* dy = this->d_output + at;
      if (relu_) {
        const T* y = this->output->value + at;
        kernels<T>().activation_backward(dy, dy, y, y, n, kRelu);
      }
      for (T* dx : this->d_inputs) {
        if (dx) std::memcpy(dx + at, dy, sizeof(T) * static_cast<size_t>(n));
      }
    });
  }
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return relu_; }
  bool passes_gradient() const override { return true; }

 private:
  static constexpr ActivationParams kRelu = {Activation::relu, 0};

  // body(first element, elements): blocks stay in the first-level cache from one kernel to the next.
  template <class Body>
  void for_each_block(const Run& run, const Body& body) const {
    constexpr index_t kBlock = 2048;
    const index_t n = run.rows * this->output->size;
    const double cost =
        0.15 * static_cast<double>(n) * static_cast<double>(this->inputs.size() - 1);
    parallel_ranges(n, 64, cost, [&](index_t begin, index_t end) {
      for (index_t at = begin; at < end; at += kBlock) body(at, std::min(kBlock, end - at));
    });
  }

  bool relu_;
};

template <class T>
class MultiplyOp final : public Op<T> {
 public:
  using Op<T>::Op;
  void forward(const Run& run) override {
    T* y = this->output->value;
    for (size_t i = 1; i < this->inputs.size(); ++i) {
      const T* product = i == 1 ? this->inputs[0]->value : y;
      combine(run, this->output->size, kernels<T>().multiply, y, product, this->inputs[i]->value);
    }
  }
  // dx_i = dy times the other inputs: exact also where one of them is 0.
  void backward(const Run& run) override {
    for (size_t i = 0; i < this->inputs.size(); ++i) {
      T* dx = this->d_inputs[i];
      if (!dx) continue;
      const T* product = this->d_output;
      for (size_t j = 0; j < this->inputs.size(); ++j) {
        if (j == i) continue;
        combine(run, this->output->size, kernels<T>().multiply, dx, product,
                this->inputs[j]->value);
        product = dx;
      }
    }
  }
  bool backward_reads_output() const override { return false; }
};

template <class T>
class ConcatenateOp final : public Op<T> {
 public:
  explicit ConcatenateOp(const NodeSpec& node) : Op<T>(node), node_(node) {}

  void forward(const Run& run) override {
    for_each_part(run, [this](size_t i, index_t part, index_t at, index_t width) {
      std::memcpy(this->output->value + at, this->inputs[i]->value + part,
                  sizeof(T) * static_cast<size_t>(width));
    });
  }
  void backward(const Run& run) override {
    for_each_part(run, [this](size_t i, index_t part, index_t at, index_t width) {
      if (!this->d_inputs[i]) return;
      std::memcpy(this->d_inputs[i] + part, this->d_output + at,
                  sizeof(T) * static_cast<size_t>(width));
    });
  }
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }

 private:
  // body(input, offset in it, offset in the output, elements) for every contiguous stretch.
  template <class Body>
  void for_each_part(const Run& run, const Body& body) const {
    const Shape& shape = this->output->shape;
    const size_t axis = static_cast<size_t>(concatenation_axis(node_, shape));
    index_t outer = run.rows, inner = 1;
    for (size_t i = 0; i < axis; ++i) outer *= static_cast<index_t>(shape[i]);
    for (size_t i = axis + 1; i < shape.size(); ++i) inner *= static_cast<index_t>(shape[i]);
    const index_t stride = inner * static_cast<index_t>(shape[axis]);
    index_t at = 0;
    for (size_t i = 0; i < this->inputs.size(); ++i) {
      const index_t width = inner * static_cast<index_t>(this->inputs[i]->shape[axis]);
      for (index_t o = 0; o < outer; ++o) body(i, o * width, o * stride + at, width);
      at += width;
    }
  }

  NodeSpec node_;
};

const Registered<OpKind> add(op_kind<AddOp>("add", "", infer_same, Trait::takes_relu));
const Registered<OpKind> multiply(op_kind<MultiplyOp>("multiply", "", infer_same));
const Registered<OpKind> concatenate(op_kind<ConcatenateOp>("concatenate", "axis",
                                                            infer_concatenate));

}  // namespace

}  // namespace nnfast::plan
