// Elements at places that another tensor holds: take, take_along_axis and one_hot.
#include "ops/tensor/gather.h"

#include <cmath>
#include <limits>

#include "plan/nodes/tensor.h"

namespace nnfast::plan {
namespace {

// Attribute: "axis" of the first input, the batch counted.
int axis_of_input(const NodeSpec& node, const TensorShape& input) {
  return static_cast<int>(axis_of(node, node.integer("axis"), input));
}

Inference infer_take(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  require_inputs(node, inputs, 2);
  const Shape x = full_shape(inputs[0]), indices = full_shape(inputs[1]);
  const int axis = axis_of_input(node, inputs[0]);
  require(axis == 0 || !inputs[1].batched, node.name,
          ": expected indices without the batch axis, which would not stay the first one, got ",
          shape_text(inputs[1]), " for axis ", axis, " of ", shape_text(inputs[0]),
          "; for other places in each row use nf.ops.take_along_axis");
  Shape full(x.begin(), x.begin() + axis);
  full.insert(full.end(), indices.begin(), indices.end());
  full.insert(full.end(), x.begin() + axis + 1, x.end());
  return inference_of(node, {full});
}

Inference infer_take_along_axis(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  require_inputs(node, inputs, 2);
  Shape x = full_shape(inputs[0]);
  const Shape indices = full_shape(inputs[1]);
  const auto axis = static_cast<size_t>(axis_of_input(node, inputs[0]));
  if (axis < indices.size()) x[axis] = indices[axis];
  require(x == indices, node.name, ": expected indices of the shape of the tensor but for axis ",
          axis, ", got ", shape_text(inputs[0]), " and ", shape_text(inputs[1]));
  return inference_of(node, {indices});
}

Inference infer_one_hot(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  require_inputs(node, inputs, 1);
  const int64_t classes = node.integer("classes");
  require(classes > 0, node.name, ": expected 1 class or more, got ", classes);
  Shape full = full_shape(inputs[0]);
  full.push_back(classes);
  return inference_of(node, {full});
}

// "(1, 4)": where element i stands.
std::string position_text(const Dims& dims, index_t i) {
  Shape position(static_cast<size_t>(dims.rank));
  for (int k = dims.rank; k-- > 0; i /= dims.size[k])
    position[static_cast<size_t>(k)] = i % dims.size[k];
  return shape_text({position, false});
}

// An op that reads indices, which are its last input, once they are checked.
template <class T>
class IndexingOp : public Op<T> {
 public:
  using Op<T>::Op;
  index_t scratch_size(index_t rows) const override { return indices().elements(rows); }
  bool has_gradient(size_t input) const override { return input + 1 < this->inputs.size(); }
  bool backward_reads_output() const override { return false; }
  double flops_per_row() const override { return 0; }

 protected:
  const Tensor<T>& indices() const { return *this->inputs.back(); }

  // The indices as places along an axis of n, at `scratch`, whose elements are large enough. Negative ones count from
  // the end, if `least` allows them.
  const int32_t* places_of(T* scratch, const Run& run, index_t least, index_t n) const {
    constexpr index_t exact = index_t(1) << std::min(std::numeric_limits<T>::digits, 30);
    require(n <= exact, this->name, ": expected an axis of at most ", exact,
            " elements, whose numbers are exact, got ", n);
    auto* places = reinterpret_cast<int32_t*>(scratch);
    const T* given = indices().value;
    const index_t bad = find_places(places, given, indices().elements(run.rows), least, n);
    if (bad < 0) return places;
    const double value = static_cast<double>(given[bad]);
    const bool is_whole = value == std::floor(value) && std::abs(value) < 0x1p62;
    const std::string got = is_whole ? text(static_cast<int64_t>(value)) : text(value);
    throw ValueError(text(this->name, ": expected whole numbers from ", least, " to ", n - 1,
                          " as indices, got ", got, " at ",
                          position_text(dims_of(indices(), run), bad), remedy()));
  }

 private:
  virtual const char* remedy() const {
    return "; keep them within the axis, for example with nf.ops.clip";
  }
};

// take and take_along_axis, which differ in the functions that they call.
template <class T>
class TakeOp final : public IndexingOp<T> {
 public:
  explicit TakeOp(const NodeSpec& node)
      : IndexingOp<T>(node), node_(node), is_along_(node.op == "take_along_axis") {}

  void forward(const Run& run) override {
    const AxisView view = view_of(run);
    const int32_t* places = this->places_of(this->scratch, run, -view.n, view.n);
    const auto function = is_along_ ? take_along<T> : take<T>;
    function(this->output->value, this->inputs[0]->value, places, count(run), view);
  }
  void backward(const Run& run) override {
    if (!this->d_inputs[0]) return;
    const AxisView view = view_of(run);
    const int32_t* places = this->places_of(this->backward_scratch, run, -view.n, view.n);
    const auto function = is_along_ ? take_along_backward<T> : take_backward<T>;
    function(this->d_inputs[0], this->d_output, places, count(run), view);
  }
  index_t backward_scratch_size(index_t rows) const override { return this->scratch_size(rows); }
  // Along the batch.
  bool mixes_rows() const override { return this->inputs[0]->batched && axis() == 0; }

 private:
  int axis() const {
    return axis_of_input(node_, {this->inputs[0]->shape, this->inputs[0]->batched});
  }
  AxisView view_of(const Run& run) const {
    return view_along(dims_of(*this->inputs[0], run), axis());
  }
  // Places along the axis of the output.
  index_t count(const Run& run) const {
    const Dims dims = dims_of(this->indices(), run);
    return is_along_ ? dims.size[axis()] : dims.elements();
  }

  NodeSpec node_;
  bool is_along_;
};

template <class T>
class OneHotOp final : public IndexingOp<T> {
 public:
  explicit OneHotOp(const NodeSpec& node)
      : IndexingOp<T>(node), classes_(static_cast<index_t>(node.integer("classes"))) {}

  void forward(const Run& run) override {
    const int32_t* places = this->places_of(this->scratch, run, 0, classes_);
    one_hot(this->output->value, places, this->indices().elements(run.rows), classes_);
  }
  void backward(const Run&) override {}
  bool is_differentiable() const override { return false; }
  bool backward_reads_inputs() const override { return false; }

 private:
  const char* remedy() const override { return "; give more classes, or keep the numbers below"; }

  index_t classes_;
};

const Registered<OpKind> take_kind(tensor_kind<TakeOp>("take", "axis", infer_take));
const Registered<OpKind> take_along_kind(tensor_kind<TakeOp>("take_along_axis", "axis",
                                                             infer_take_along_axis));
const Registered<OpKind> one_hot_kind(tensor_kind<OneHotOp>("one_hot", "classes", infer_one_hot));

}  // namespace
}  // namespace nnfast::plan
