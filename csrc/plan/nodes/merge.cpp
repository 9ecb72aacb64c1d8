// Several inputs made into one, element by element.
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

template <class T>
using Combine = void (*)(T* y, const T* a, const T* b, index_t n);

constexpr index_t kBlock = 2048;

// What merges of inputs of one shape have in common.
template <class T>
class MergeOp : public Op<T> {
 public:
  using Op<T>::Op;

 protected:
  // body(first element, elements): blocks stay in the first-level cache from one kernel to the next.
  template <class Body>
  void for_each_block(const Run& run, const Body& body) const {
    const index_t n = run.rows * this->output->size;
    const double cost =
        0.15 * static_cast<double>(n) * static_cast<double>(this->inputs.size() - 1);
    parallel_ranges(n, 64, cost, [&](index_t begin, index_t end) {
      for (index_t at = begin; at < end; at += kBlock) body(at, std::min(kBlock, end - at));
    });
  }

  // y of the block = all inputs, one after the other.
  void combine_inputs(Combine<T> kernel, index_t at, index_t n) const {
    T* y = this->output->value + at;
    for (size_t i = 1; i < this->inputs.size(); ++i)
      kernel(y, i == 1 ? this->inputs[0]->value + at : y, this->inputs[i]->value + at, n);
  }

  bool wants_gradient() const {
    return std::any_of(this->d_inputs.begin(), this->d_inputs.end(),
                       [](const T* dx) { return dx != nullptr; });
  }
};

// With a ReLU of the sum where the builder found one.
template <class T>
class AddOp final : public MergeOp<T> {
 public:
  explicit AddOp(const NodeSpec& node)
      : MergeOp<T>(node), relu_(activation_of(node).kind == Activation::relu) {}

  void forward(const Run& run) override {
    this->for_each_block(run, [this](index_t at, index_t n) {
      this->combine_inputs(kernels<T>().add, at, n);
      T* y = this->output->value + at;
      if (relu_) kernels<T>().activation_forward(y, y, n, kRelu);
    });
  }
  void backward(const Run& run) override {
    if (!relu_ && !this->wants_gradient()) return;
    this->for_each_block(run, [this](index_t at, index_t n) {
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

  bool relu_;
};

template <class T>
class AverageOp final : public MergeOp<T> {
 public:
  using MergeOp<T>::MergeOp;
  void forward(const Run& run) override {
    this->for_each_block(run, [this](index_t at, index_t n) {
      this->combine_inputs(kernels<T>().add, at, n);
      T* y = this->output->value + at;
      kernels<T>().scale_shift(y, y, n, share(), 0);
    });
  }
  void backward(const Run& run) override {
    if (!this->wants_gradient()) return;
    this->for_each_block(run, [this](index_t at, index_t n) {
      for (T* dx : this->d_inputs) {
        if (dx) kernels<T>().scale_shift(dx + at, this->d_output + at, n, share(), 0);
      }
    });
  }
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }

 private:
  double share() const { return 1 / static_cast<double>(this->inputs.size()); }
};

Inference infer_subtract(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 2);
  return infer_same(node, inputs);
}

template <class T>
class SubtractOp final : public MergeOp<T> {
 public:
  using MergeOp<T>::MergeOp;
  void forward(const Run& run) override {
    this->for_each_block(
        run, [this](index_t at, index_t n) { this->combine_inputs(kernels<T>().subtract, at, n); });
  }
  void backward(const Run& run) override {
    if (!this->wants_gradient()) return;
    this->for_each_block(run, [this](index_t at, index_t n) {
      const T* dy = this->d_output + at;
      T *da = this->d_inputs[0], *db = this->d_inputs[1];
      if (da) std::memcpy(da + at, dy, sizeof(T) * static_cast<size_t>(n));
      if (db) kernels<T>().scale_shift(db + at, dy, n, -1, 0);
    });
  }
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }
};

// Of equal inputs the first gets the gradient, as in pooling.
template <class T, bool LARGEST>
class ExtremeOp : public MergeOp<T> {
 public:
  using MergeOp<T>::MergeOp;
  void forward(const Run& run) override {
    this->for_each_block(run, [this](index_t at, index_t n) {
      this->combine_inputs(LARGEST ? kernels<T>().maximum : kernels<T>().minimum, at, n);
    });
  }
  void backward(const Run& run) override {
    if (!this->wants_gradient()) return;
    this->for_each_block(run, [this](index_t at, index_t n) {
      T left[kBlock];  // of the gradient, for the inputs to come
      std::memcpy(left, this->d_output + at, sizeof(T) * static_cast<size_t>(n));
      for (size_t i = 0; i < this->inputs.size(); ++i) {
        T* dx = this->d_inputs[i];
        kernels<T>().take_where_equal(dx ? dx + at : nullptr, left, this->inputs[i]->value + at,
                                      this->output->value + at, n);
      }
    });
  }
};
template <class T>
using MaximumOp = ExtremeOp<T, true>;
template <class T>
using MinimumOp = ExtremeOp<T, false>;

template <class T>
class MultiplyOp final : public MergeOp<T> {
 public:
  using MergeOp<T>::MergeOp;
  void forward(const Run& run) override {
    this->for_each_block(
        run, [this](index_t at, index_t n) { this->combine_inputs(kernels<T>().multiply, at, n); });
  }
  // dx_i = dy times the other inputs: exact also where one of them is 0.
  void backward(const Run& run) override {
    if (!this->wants_gradient()) return;
    this->for_each_block(run, [this](index_t at, index_t n) {
      for (size_t i = 0; i < this->inputs.size(); ++i) {
        if (this->d_inputs[i]) differentiate(i, at, n);
      }
    });
  }
  bool backward_reads_output() const override { return false; }

 private:
  void differentiate(size_t i, index_t at, index_t n) const {
    T* dx = this->d_inputs[i] + at;
    const T* product = this->d_output + at;
    for (size_t j = 0; j < this->inputs.size(); ++j) {
      if (j == i) continue;
      kernels<T>().multiply(dx, product, this->inputs[j]->value + at, n);
      product = dx;
    }
  }
};

const Registered<OpKind> add(op_kind<AddOp>("add", "", infer_same, Trait::takes_relu));
const Registered<OpKind> subtract(op_kind<SubtractOp>("subtract", "", infer_subtract));
const Registered<OpKind> average(op_kind<AverageOp>("average", "", infer_same));
const Registered<OpKind> maximum(op_kind<MaximumOp>("maximum", "", infer_same));
const Registered<OpKind> minimum(op_kind<MinimumOp>("minimum", "", infer_same));
const Registered<OpKind> multiply(op_kind<MultiplyOp>("multiply", "", infer_same));

}  // namespace

}  // namespace nnfast::plan
