// PReLU: a leaky ReLU whose slopes are parameters.
#include "ops/prelu.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/aligned.h"
#include "plan/nodes/node.h"

namespace nnfast::plan {
namespace {

// Attribute: "shared_axes" (optional), along which one slope serves all; the batch is not counted.
Shape alpha_shape(const NodeSpec& node, const Shape& input) {
  Shape shape = input;
  if (!node.has("shared_axes")) return shape;
  for (const int64_t axis : node.integers("shared_axes")) {
    require(axis >= 0 && axis < static_cast<int64_t>(input.size()), node.name,
            ": expected shared axes among those of ", batch_shape_text(input),
            " besides the batch, got axis ", axis + 1);
    shape[static_cast<size_t>(axis)] = 1;
  }
  return shape;
}

Inference infer(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  require(!inputs[0].empty(), node.name, ": expected an input of (N, ..., C), got (N,)");
  return {inputs[0], {{"alpha", alpha_shape(node, inputs[0])}}};
}

// A row of the input is divided into lines of its last axes. Each element of a line has its own slope: that of the
// parameter itself or, if more axes are shared, a copy.
template <class T>
class PreluOp final : public Op<T> {
 public:
  using Op<T>::Op;

  void forward(const Run& run) override {
    if (width_ == 0) settle();
    prelu_forward(this->output->value, this->inputs[0]->value, slopes(), lines(run), width_);
  }
  void backward(const Run& run) override {
    T* gradient = alpha().gradient;
    const bool copied = !source_.empty();
    T* sums = gradient && copied ? line_gradient_.data() : gradient;
    prelu_backward(this->d_inputs[0], sums, this->d_output, this->inputs[0]->value, slopes(),
                   lines(run), width_);
    if (!gradient || !copied) return;
    std::fill(totals_.begin(), totals_.end(), 0.0);
    for (size_t i = 0; i < source_.size(); ++i) totals_[source_[i]] += static_cast<double>(sums[i]);
    for (size_t i = 0; i < totals_.size(); ++i) gradient[i] = static_cast<T>(totals_[i]);
  }
  bool backward_reads_output() const override { return false; }

 private:
  Parameter<T>& alpha() const { return *this->parameters[0]; }
  index_t lines(const Run& run) const { return run.rows * (this->output->size / width_); }

  const T* slopes() {
    if (source_.empty()) return alpha().value;
    for (size_t i = 0; i < source_.size(); ++i) line_.data()[i] = alpha().value[source_[i]];
    return line_.data();
  }

  // Once, when the input is known. Lines take in axes until they fill vectors.
  void settle() {
    constexpr index_t kMinWidth = 64;
    const Shape &in = this->inputs[0]->shape, &shape = alpha().shape;
    size_t shared = 0;  // of the first axes, those with one slope for all
    while (shared < in.size() && shape[shared] == 1) ++shared;
    size_t first = in.size();
    index_t width = 1;
    while (first > 0 && (width < kMinWidth || first > shared))
      width *= static_cast<index_t>(in[--first]);
    if (width != alpha().size) {
      for (index_t i = 0; i < width; ++i) source_.push_back(place_in_alpha(i, first, in, shape));
      line_ = AlignedBuffer<T>(source_.size());
      line_gradient_ = AlignedBuffer<T>(source_.size());
      totals_.resize(static_cast<size_t>(alpha().size));
    }
    width_ = width;
  }

  static size_t place_in_alpha(index_t element, size_t first, const Shape& in, const Shape& shape) {
    size_t place = 0, step = 1;
    for (size_t axis = in.size(); axis-- > first;) {
      const auto size = static_cast<index_t>(in[axis]);
      if (shape[axis] != 1) place += static_cast<size_t>(element % size) * step;
      step *= static_cast<size_t>(shape[axis]);
      element /= size;
    }
    return place;
  }

  index_t width_ = 0;  // of a line; 0 before the first pass
  std::vector<size_t>
      source_;  // of each slope in a line, its place in the parameter; none: the parameter itself
  AlignedBuffer<T> line_, line_gradient_;
  std::vector<double> totals_;
};

const Registered<OpKind> registered(op_kind<PreluOp>("prelu", "shared_axes", infer));

}  // namespace
}  // namespace nnfast::plan
