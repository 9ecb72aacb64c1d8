// Rotary positions. Inputs: x (T, H d) and, if has_offset, the position of the first step, one
// number for each row. Attributes: heads (H), base, interleaved (pairs (2 i, 2 i + 1), else
// (i, i + d / 2)) and has_offset.
#include "ops/attention/rotary.h"

#include <cmath>
#include <optional>

#include "plan/nodes/node.h"

namespace nnfast::plan {
namespace {

bool has_offset(const NodeSpec& node) { return node.integer_or("has_offset", 0) != 0; }

Inference infer(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, has_offset(node) ? 2 : 1);
  const Shape& x = inputs[0];
  require(x.size() == 2, node.name, ": expected an input of (N, time, features), got ",
          batch_shape_text(x));
  const int64_t heads = node.integer("heads");
  require(heads > 0 && x[1] % heads == 0, node.name, ": expected heads that divide the ", x[1],
          " features, got ", heads);
  require(x[1] / heads % 2 == 0, node.name,
          ": expected an even number of features for each head, got ", x[1], " for ", heads,
          " heads");
  const double base = node.number_or("base", 10000);
  require(std::isfinite(base) && base > 0, node.name, ": expected a finite base above 0, got ",
          base);
  require(inputs.size() == 1 || element_count(inputs[1], node.name) == 1, node.name,
          ": expected one offset for each row, of shape (N,) or (N, 1), got ",
          batch_shape_text(inputs.back()));
  return {x, {}};
}

template <class T>
class RotaryOp final : public Op<T> {
 public:
  explicit RotaryOp(const NodeSpec& node)
      : Op<T>(node),
        heads_(static_cast<index_t>(node.integer("heads"))),
        base_(node.number_or("base", 10000)),
        interleaved_(node.integer_or("interleaved", 0) != 0) {}

  void forward(const Run& run) override {
    rotate(this->output->value, this->inputs[0]->value, run, false);
  }
  void backward(const Run& run) override {
    if (this->d_inputs[0]) rotate(this->d_inputs[0], this->d_output, run, true);
  }
  bool has_gradient(size_t input) const override { return input == 0; }
  // The offsets.
  bool backward_reads_inputs() const override { return this->inputs.size() > 1; }
  bool backward_reads_output() const override { return false; }
  double flops_per_row() const override { return 3 * static_cast<double>(this->output->size); }

 private:
  void rotate(T* y, const T* x, const Run& run, bool inverse) {
    const index_t positions = static_cast<index_t>(this->output->shape[0]);
    const index_t d = static_cast<index_t>(this->output->shape[1]) / heads_;
    if (!rotary_) rotary_.emplace(positions, heads_, d, base_, interleaved_);  // the first time
    const T* offsets = this->inputs.size() > 1 ? this->inputs[1]->value : nullptr;
    rotary_->rotate(y, x, run.rows, offsets, inverse);
  }

  index_t heads_;
  double base_;
  bool interleaved_;
  std::optional<Rotary<T>> rotary_;
};

const Registered<OpKind> registered(op_kind<RotaryOp>("rotary", "heads base interleaved has_offset",
                                                      infer));

}  // namespace
}  // namespace nnfast::plan
