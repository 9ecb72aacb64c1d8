// The numbers along the last axis in order, all of them or the first k, and where they stood.
#include "ops/tensor/sort.h"

#include <limits>

#include "plan/nodes/tensor.h"

namespace nnfast::plan {
namespace {

// Attributes: "descending" (optional, 0); "k" (optional, all).
Inference infer(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  require_inputs(node, inputs, 1);
  Shape full = full_shape(inputs[0]);
  require(!inputs[0].shape.empty(), node.name,
          ": expected a tensor with an axis besides the batch, got ", shape_text(inputs[0]));
  node.integer_or("descending", 0);
  const int64_t n = full.back(), k = node.integer_or("k", n);
  require(k >= 1 && k <= n, node.name, ": expected a k from 1 to the ", n,
          " elements of the last axis of ", shape_text(inputs[0]), ", got ", k);
  full.back() = k;
  return inference_of(node, {full, full});
}

// Outputs: values, indices.
template <class T>
class SortOp final : public Op<T> {
 public:
  explicit SortOp(const NodeSpec& node)
      : Op<T>(node), descending_(node.integer_or("descending", 0) != 0) {}

  void forward(const Run& run) override {
    constexpr index_t exact = index_t(1) << std::min(std::numeric_limits<T>::digits, 30);
    require(axis() <= exact, this->name, ": expected an axis of at most ", exact,
            " elements, whose numbers are exact, got ", axis());
    sort_rows(this->outputs[0]->value, this->outputs[1]->value, this->inputs[0]->value, rows(run),
              axis(), k(), descending_);
  }
  void backward(const Run& run) override {
    if (this->d_inputs[0])
      sort_rows_backward(this->d_inputs[0], this->d_outputs[0], this->outputs[1]->value, rows(run),
                         axis(), k());
  }
  bool backward_reads_inputs() const override { return false; }
  double flops_per_row() const override { return static_cast<double>(this->inputs[0]->size); }

 private:
  index_t axis() const { return static_cast<index_t>(this->inputs[0]->shape.back()); }
  index_t k() const { return static_cast<index_t>(this->output->shape.back()); }
  index_t rows(const Run& run) const { return this->inputs[0]->elements(run.rows) / axis(); }

  bool descending_;
};

const Registered<OpKind> registered(tensor_kind<SortOp>("sort", "descending k", infer));

}  // namespace
}  // namespace nnfast::plan
