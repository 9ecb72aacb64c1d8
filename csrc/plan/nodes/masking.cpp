// Steps of a sequence (N, T, D) that are padding: all of their numbers are the mask value.
#include <algorithm>

#include "base/thread_pool.h"
#include "plan/nodes/node.h"

namespace nnfast::plan {
namespace {

constexpr double kCost = 0.3;  // of a number, in nanoseconds

Inference infer_masking(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  require(inputs[0].size() >= 2, node.name, ": expected an input of (N, T, ..., D), got ",
          batch_shape_text(inputs[0]));
  node.number("mask_value");
  return {inputs[0], {}};
}

Inference infer_mask(const NodeSpec& node, const std::vector<Shape>& inputs) {
  infer_masking(node, inputs);
  return {Shape(inputs[0].begin(), inputs[0].end() - 1), {}};
}

// f(i, whether step i of x (steps, n) is padding)
template <class T, class F>
void for_steps(const T* x, index_t steps, index_t n, T mask_value, const F& f) {
  const double cost = kCost * static_cast<double>(steps * n);
  parallel_ranges(steps, 1, cost, [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      const T* step = x + i * n;
      f(i, std::all_of(step, step + n, [mask_value](T v) { return v == mask_value; }));
    }
  });
}

// y = x, and 0 in padding, through which no gradient passes.
template <class T>
class MaskingOp final : public Op<T> {
 public:
  explicit MaskingOp(const NodeSpec& node)
      : Op<T>(node), mask_value_(static_cast<T>(node.number("mask_value"))) {}

  void forward(const Run& run) override {
    copy_steps(run, this->output->value, this->inputs[0]->value);
  }
  void backward(const Run& run) override {
    if (this->d_inputs[0]) copy_steps(run, this->d_inputs[0], this->d_output);
  }
  bool backward_reads_output() const override { return false; }

 private:
  void copy_steps(const Run& run, T* to, const T* from) const {
    const index_t n = static_cast<index_t>(this->output->shape.back());
    const index_t steps = run.rows * this->output->size / n;
    for_steps(this->inputs[0]->value, steps, n, mask_value_, [=](index_t i, bool is_padding) {
      if (is_padding) {
        std::fill_n(to + i * n, n, T(0));
      } else {
        std::copy_n(from + i * n, n, to + i * n);
      }
    });
  }

  T mask_value_;
};

// y (N, T) = 0 in padding, else 1
template <class T>
class MaskOp final : public Op<T> {
 public:
  explicit MaskOp(const NodeSpec& node)
      : Op<T>(node), mask_value_(static_cast<T>(node.number("mask_value"))) {}

  void forward(const Run& run) override {
    const index_t n = static_cast<index_t>(this->inputs[0]->shape.back());
    T* y = this->output->value;
    for_steps(this->inputs[0]->value, run.rows * this->output->size, n, mask_value_,
              [y](index_t i, bool is_padding) { y[i] = is_padding ? T(0) : T(1); });
  }
  void backward(const Run&) override {}
  bool is_differentiable() const override { return false; }

 private:
  T mask_value_;
};

const Registered<OpKind> masking(op_kind<MaskingOp>("masking", "mask_value", infer_masking));
const Registered<OpKind> mask(op_kind<MaskOp>("mask", "mask_value", infer_mask));

}  // namespace
}  // namespace nnfast::plan
