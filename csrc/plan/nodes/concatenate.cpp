// Tensors side by side along an axis, and the reverse: a tensor cut into parts.
#include <algorithm>
#include <cstring>

#include "base/thread_pool.h"
#include "plan/nodes/tensor.h"

namespace nnfast::plan {
namespace {

// Attribute "axis" (optional, the last): counted without the batch.
size_t row_axis_of(const NodeSpec& node, const Shape& shape) {
  const int64_t rank = static_cast<int64_t>(shape.size());
  const int64_t axis = node.integer_or("axis", -1);
  require(axis >= -rank && axis < rank, node.name, ": expected an axis of ", -rank, " to ",
          rank - 1, " (the batch is not counted), got ", axis);
  return static_cast<size_t>(axis < 0 ? axis + rank : axis);
}

Inference infer_concatenate(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  require(inputs.size() >= 2, node.name, ": expected two inputs or more, got ", inputs.size());
  Shape shape = inputs[0].shape;
  const size_t axis = row_axis_of(node, shape);
  for (size_t i = 1; i < inputs.size(); ++i) {
    Shape other = inputs[i].shape;
    require(inputs[i].batched == inputs[0].batched, node.name,
            ": expected inputs that all have the batch axis or all lack it, got ",
            shape_text(inputs[0]), " and ", shape_text(inputs[i]),
            "; nf.ops.broadcast_to(x, (None, ...)) gives a tensor the batch axis");
    const bool same_rank = other.size() == shape.size();
    const int64_t extent = same_rank ? other[axis] : 0;
    if (same_rank) other[axis] = shape[axis];
    require(same_rank && other == shape, node.name,
            ": expected inputs that agree but for one axis, got ", shape_text(inputs[0]), " and ",
            shape_text(inputs[i]));
    shape[axis] += extent;
    element_count(shape, node.name);  // so that the sum of many stays in range
  }
  return {shape, {}, {}, inputs[0].batched};
}

// Where parts end that begin at 0: by "sections", so many of one size, or "indices", where the parts after the first
// begin.
std::vector<int64_t> ends_of_parts(const NodeSpec& node, int64_t extent) {
  std::vector<int64_t> ends;
  if (node.has("sections")) {
    const int64_t sections = node.integer("sections");
    require(sections >= 2 && sections <= extent && extent % sections == 0, node.name,
            ": expected a number of sections of 2 or more that divides the axis of ", extent,
            ", got ", sections, "; or give the places at which to split");
    for (int64_t i = 1; i < sections; ++i) ends.push_back(extent / sections * i);
  } else {
    ends = node.integers("indices");
    require(!ends.empty(), node.name, ": expected one place or more at which to split, got none");
  }
  ends.push_back(extent);
  for (size_t i = 0; i < ends.size(); ++i) {
    require(ends[i] > (i == 0 ? 0 : ends[i - 1]), node.name,
            ": expected places to split that ascend between 0 and the axis of ", extent, ", got ",
            i + 1 < ends.size() ? ends[i] : ends[i - 1]);
  }
  return ends;
}

Inference infer_split(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  require_inputs(node, inputs, 1);
  const size_t axis = row_axis_of(node, inputs[0].shape);
  Inference result;
  result.batched = inputs[0].batched;
  int64_t begin = 0;
  for (const int64_t end : ends_of_parts(node, inputs[0].shape[axis])) {
    Shape shape = inputs[0].shape;
    shape[axis] = end - begin;
    if (begin == 0) {
      result.shape = std::move(shape);
    } else {
      result.further_shapes.push_back(std::move(shape));
    }
    begin = end;
  }
  return result;
}

// body(part, offset in it, offset in the whole, elements) for every contiguous stretch of `parts`, which stand side by
// side in a tensor.
template <class T, class Body>
void for_each_stretch(const Run& run, const Tensor<T>& tensor, size_t axis,
                      const std::vector<Tensor<T>*>& parts, const Body& body) {
  const Shape& whole = tensor.shape;
  index_t inner = 1;
  for (size_t i = axis + 1; i < whole.size(); ++i) inner *= static_cast<index_t>(whole[i]);
  const index_t stride = inner * static_cast<index_t>(whole[axis]);
  const index_t outer = tensor.elements(run.rows) / stride;
  const double cost = 0.1 * static_cast<double>(outer * stride);
  parallel_ranges(outer, 1, cost, [&](index_t begin, index_t end) {
    index_t at = 0;
    for (size_t i = 0; i < parts.size(); ++i) {
      const index_t width = inner * static_cast<index_t>(parts[i]->shape[axis]);
      for (index_t o = begin; o < end; ++o) body(i, o * width, o * stride + at, width);
      at += width;
    }
  });
}

template <class T>
void copy(T* to, const T* from, index_t n) {
  std::memcpy(to, from, sizeof(T) * static_cast<size_t>(n));
}

template <class T>
class ConcatenateOp final : public Op<T> {
 public:
  explicit ConcatenateOp(const NodeSpec& node) : Op<T>(node), node_(node) {}

  void forward(const Run& run) override {
    for_each_part(run, [this](size_t i, index_t part, index_t at, index_t n) {
      copy(this->output->value + at, this->inputs[i]->value + part, n);
    });
  }
  void backward(const Run& run) override {
    for_each_part(run, [this](size_t i, index_t part, index_t at, index_t n) {
      if (this->d_inputs[i]) copy(this->d_inputs[i] + part, this->d_output + at, n);
    });
  }
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }

 private:
  template <class Body>
  void for_each_part(const Run& run, const Body& body) const {
    const Tensor<T>& whole = *this->output;
    for_each_stretch(run, whole, row_axis_of(node_, whole.shape), this->inputs, body);
  }

  NodeSpec node_;
};

template <class T>
class SplitOp final : public Op<T> {
 public:
  explicit SplitOp(const NodeSpec& node) : Op<T>(node), node_(node) {}

  void forward(const Run& run) override {
    for_each_part(run, [this](size_t i, index_t part, index_t at, index_t n) {
      copy(this->outputs[i]->value + part, this->inputs[0]->value + at, n);
    });
  }
  void backward(const Run& run) override {
    T* dx = this->d_inputs[0];
    if (!dx) return;
    for_each_part(run, [this, dx](size_t i, index_t part, index_t at, index_t n) {
      if (this->d_outputs[i]) {
        copy(dx + at, this->d_outputs[i] + part, n);
      } else {
        std::fill_n(dx + at, n, T(0));
      }
    });
  }
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }
  double flops_per_row() const override { return static_cast<double>(this->inputs[0]->size); }

 private:
  template <class Body>
  void for_each_part(const Run& run, const Body& body) const {
    const Tensor<T>& whole = *this->inputs[0];
    for_each_stretch(run, whole, row_axis_of(node_, whole.shape), this->outputs, body);
  }

  NodeSpec node_;
};

const Registered<OpKind> concatenate(tensor_kind<ConcatenateOp>("concatenate", "axis",
                                                                infer_concatenate));
const Registered<OpKind> split(tensor_kind<SplitOp>("split", "sections indices axis", infer_split));

}  // namespace
}  // namespace nnfast::plan
