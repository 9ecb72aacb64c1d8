// Slices, rolled and padded tensors: a map of places for some of the axes. Attribute "axes": which, the batch counted;
// the other attributes have an entry for each of them.
#include "ops/tensor/remap.h"

#include <optional>

#include "plan/nodes/tensor.h"

namespace nnfast::plan {
namespace {

using Runs = std::vector<PlaceRun>;

// Entry i of an attribute.
int64_t entry(const NodeSpec& node, const char* key, size_t i) {
  const std::vector<int64_t>& list = node.integers(key);
  require(list.size() == node.integers("axes").size(), node.name, ": expected as many numbers in '",
          key, "' as axes, ", node.integers("axes").size(), ", got ", list.size());
  return list[i];
}

// Attributes: "starts", "steps", "sizes".
Runs slice_runs(const NodeSpec& node, size_t i, int64_t extent) {
  const int64_t start = entry(node, "starts", i), step = entry(node, "steps", i),
                size = entry(node, "sizes", i);
  require(size > 0, node.name, ": expected a slice of one element or more of an axis of size ",
          extent, ", got none");
  bool fits = start >= 0 && start < extent;
  if (size > 1) {
    fits = fits && step != 0 && step >= -extent && step <= extent &&
           size - 1 <= (step > 0 ? (extent - 1 - start) / step : start / -step);
  }
  require(fits, node.name, ": expected a slice within an axis of size ", extent, ", got ", size,
          " elements from ", start, " with a step of ", step);
  return {{start, size > 1 ? step : 1, size}};
}

// Attribute "shifts".
Runs roll_runs(const NodeSpec& node, size_t i, int64_t extent) {
  const int64_t wrapped = entry(node, "shifts", i) % extent,
                first = wrapped < 0 ? -wrapped : (extent - wrapped) % extent;
  return {{first, 1, extent - first}, {0, 1, first}};
}

// Attributes: "before", "after"; "mode"; "value" of the mode "constant".
Runs pad_runs(const NodeSpec& node, size_t i, int64_t extent) {
  const int64_t before = entry(node, "before", i), after = entry(node, "after", i);
  require(before >= 0 && after >= 0, node.name, ": expected to pad by 0 or more, got ", before,
          " and ", after);
  element_count({before + 1}, node.name);
  element_count({after + 1}, node.name);
  const std::string& mode = node.string("mode");
  const auto require_at_most = [&](int64_t limit) {
    require(before <= limit && after <= limit, node.name, ": expected to pad an axis of size ",
            extent, " in mode '", mode, "' by at most ", limit, ", got ", before, " and ", after,
            "; mode 'edge' and 'constant' pad by any number");
  };
  const PlaceRun all{0, 1, extent};
  if (mode == "constant") return {{-1, 0, before}, all, {-1, 0, after}};
  if (mode == "edge") return {{0, 0, before}, all, {extent - 1, 0, after}};
  if (mode == "reflect") {
    require_at_most(extent - 1);
    return {{before, -1, before}, all, {extent - 2, -1, after}};
  }
  require(mode == "symmetric" || mode == "wrap", node.name,
          ": expected a mode of constant, edge, reflect, symmetric, wrap; got '", mode, "'");
  require_at_most(extent);
  if (mode == "wrap") return {{extent - before, 1, before}, all, {0, 1, after}};
  return {{before - 1, -1, before}, all, {extent - 1, -1, after}};
}

// The runs of each axis of an input; none where it stays as it is.
std::vector<Runs> runs_of(const NodeSpec& node, const TensorShape& input) {
  const Shape full = full_shape(input);
  std::vector<Runs> runs(full.size());
  const std::vector<int64_t>& axes = node.integers("axes");
  for (size_t i = 0; i < axes.size(); ++i) {
    const size_t axis = axis_of(node, axes[i], input);
    require(full[axis] != kBatch, node.name, ": expected axes other than the batch, got axis ",
            axes[i], " of ", shape_text(input));
    require(runs[axis].empty(), node.name, ": expected different axes, got axis ", axis, " of ",
            shape_text(input), " twice");
    runs[axis] = node.op == "slice"  ? slice_runs(node, i, full[axis])
                 : node.op == "roll" ? roll_runs(node, i, full[axis])
                                     : pad_runs(node, i, full[axis]);
  }
  return runs;
}

Inference infer(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  require_inputs(node, inputs, 1);
  if (node.op == "pad") node.number("value");
  Shape full = full_shape(inputs[0]);
  const std::vector<Runs> runs = runs_of(node, inputs[0]);
  for (size_t axis = 0; axis < full.size(); ++axis) {
    if (runs[axis].empty()) continue;
    full[axis] = 0;
    for (const PlaceRun& run : runs[axis]) full[axis] += run.length;
  }
  return inference_of(node, {full});
}

template <class T>
class RemapOp final : public Op<T> {
 public:
  explicit RemapOp(const NodeSpec& node)
      : Op<T>(node), node_(node), constant_(static_cast<T>(node.number_or("value", 0))) {}

  void forward(const Run& run) override {
    const Tensor<T>& x = *this->inputs[0];
    if (!remap_) remap_.emplace(runs_of(node_, {x.shape, x.batched}));  // not known before
    remap_->forward(this->output->value, x.value, dims_of(x, run), constant_);
  }
  void backward(const Run& run) override {
    if (this->d_inputs[0])
      remap_->backward(this->d_inputs[0], this->d_output, dims_of(*this->inputs[0], run));
  }
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }
  double flops_per_row() const override { return 0; }

 private:
  NodeSpec node_;
  T constant_;
  std::optional<Remap> remap_;
};

const Registered<OpKind> slice(tensor_kind<RemapOp>("slice", "axes starts steps sizes", infer));
const Registered<OpKind> roll(tensor_kind<RemapOp>("roll", "axes shifts", infer));
const Registered<OpKind> pad(tensor_kind<RemapOp>("pad", "axes before after mode value", infer));

}  // namespace
}  // namespace nnfast::plan
