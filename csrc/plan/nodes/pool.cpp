// Pooling over windows ("max_pool", "avg_pool") and over whole images ("global_max_pool",
// "global_avg_pool"), in one and two dimensions.
#include "ops/image/pool.h"

#include <optional>

#include "ops/activation.h"
#include "plan/nodes/activation.h"
#include "plan/nodes/node.h"
#include "plan/nodes/window.h"

namespace nnfast::plan {
namespace {

Window pool_window(const NodeSpec& node, const Shape& input) {
  if (node.has("pool_size")) return window_of(node, input, "pool_size");
  const auto extent = [&](size_t axis) { return static_cast<index_t>(input[axis]); };
  return whole_image(input.size() == 3 ? extent(0) : 1, extent(input.size() - 2));
}

Inference infer(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  const Window window = window_of(node, inputs[0], "pool_size");
  require_pooling(node.name, window);
  return {window_shape(window, inputs[0], inputs[0].back()), {}};
}

// Attributes: "axes", 1 or 2; "keepdims" (optional, 0).
Inference infer_global(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  const bool image = node.integer("axes") == 2;
  require(inputs[0].size() == (image ? 3 : 2), node.name, ": expected an input of ",
          image ? "(N, H, W, C)" : "(N, T, C)", ", got ", batch_shape_text(inputs[0]),
          "; use layers.Reshape to bring it to that");
  Shape shape = {inputs[0].back()};
  if (node.integer_or("keepdims", 0) != 0) shape.insert(shape.begin(), image ? 2 : 1, 1);
  return {shape, {}};
}

template <class T>
class PoolOp : public Op<T> {
 public:
  explicit PoolOp(const NodeSpec& node) : Op<T>(node), node_(node) {}

  double flops_per_row() const override {
    return static_cast<double>(this->output->size) * static_cast<double>(window().h.kernel) *
           static_cast<double>(window().w.kernel);
  }

 protected:
  // Computed once: the input is not known before.
  const Window& window() const {
    if (!window_) window_ = pool_window(node_, this->inputs[0]->shape);
    return *window_;
  }
  index_t channels() const { return static_cast<index_t>(this->inputs[0]->shape.back()); }

 private:
  NodeSpec node_;
  mutable std::optional<Window> window_;
};

template <class T>
class MaxPoolOp final : public PoolOp<T> {
 public:
  explicit MaxPoolOp(const NodeSpec& node)
      : PoolOp<T>(node), relu_(activation_of(node).kind == Activation::relu) {}
  void forward(const Run& run) override {
    if (this->kept) require_numbered(this->name, this->window());
    max_pool_forward<T>(this->output->value, this->kept, this->inputs[0]->value, run.rows,
                        this->channels(), this->window(), relu_);
  }
  void backward(const Run& run) override {
    if (!this->d_inputs[0]) return;
    max_pool_backward<T>(this->d_inputs[0], this->d_output, this->kept, run.rows, this->channels(),
                         this->window());
  }
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }
  // Each window's winner.
  index_t kept_size(index_t rows) const override { return rows * this->output->size; }

 private:
  bool relu_;  // of the preceding convolution
};

template <class T>
class AvgPoolOp final : public PoolOp<T> {
 public:
  using PoolOp<T>::PoolOp;
  void forward(const Run& run) override {
    avg_pool_forward<T>(this->output->value, this->inputs[0]->value, run.rows, this->channels(),
                        this->window());
  }
  void backward(const Run& run) override {
    if (!this->d_inputs[0]) return;
    avg_pool_backward<T>(this->d_inputs[0], this->d_output, run.rows, this->channels(),
                         this->window());
  }
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }
};

const Registered<OpKind> max_pool(op_kind<MaxPoolOp>("max_pool", "pool_size strides padding", infer,
                                                     Trait::max_pools));
const Registered<OpKind> avg_pool(op_kind<AvgPoolOp>("avg_pool", "pool_size strides padding",
                                                     infer));
const Registered<OpKind> global_max_pool(op_kind<MaxPoolOp>("global_max_pool", "axes keepdims",
                                                            infer_global, Trait::max_pools));
const Registered<OpKind> global_avg_pool(op_kind<AvgPoolOp>("global_avg_pool", "axes keepdims",
                                                            infer_global));

}  // namespace

}  // namespace nnfast::plan
