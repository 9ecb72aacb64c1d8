// Products of stacks of matrices, of any two tensors.
#include "ops/tensor/matmul.h"

#include "plan/nodes/tensor.h"

namespace nnfast::plan {
namespace {

// One of the operands: its leading axes, and the sizes of its matrices.
struct Side {
  Shape leading;
  int64_t outer = 1;  // M or N
  int64_t inner = 1;  // K
  bool is_vector = false;
};

Side side_of(const NodeSpec& node, const TensorShape& tensor, bool rows_first) {
  const Shape full = full_shape(tensor);
  require(!full.empty(), node.name,
          ": expected operands of one axis or more, got a single number; multiply by it with *");
  Side side;
  side.is_vector = full.size() == 1;
  side.inner = full.back();
  if (side.is_vector) return side;
  side.leading.assign(full.begin(), full.end() - 2);
  side.outer = full[full.size() - 2];
  if (!rows_first) std::swap(side.outer, side.inner);
  return side;
}

bool transposed(const NodeSpec& node, const char* which) { return node.integer_or(which, 0) != 0; }

// NumPy's rule for the leading axes; false if they do not fit.
bool broadcast_leading(const Shape& a, const Shape& b, Shape* out) {
  *out = Shape(std::max(a.size(), b.size()), 1);
  for (const Shape* shape : {&a, &b}) {
    for (size_t i = 0; i < shape->size(); ++i) {
      int64_t& size = (*out)[out->size() - shape->size() + i];
      const int64_t own = (*shape)[i];
      if (size != 1 && own != 1 && size != own) return false;
      if (size == 1) size = own;
    }
  }
  return true;
}

Inference infer(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  require_inputs(node, inputs, 2);
  const bool a_transposed = transposed(node, "transpose_a"),
             b_transposed = transposed(node, "transpose_b");
  const Side a = side_of(node, inputs[0], !a_transposed),
             b = side_of(node, inputs[1], b_transposed);
  require(!(a.is_vector && a_transposed) && !(b.is_vector && b_transposed), node.name,
          ": expected a transposed operand of two axes or more, got ", shape_text(inputs[0]),
          " and ", shape_text(inputs[1]));
  const auto shapes = [&] { return shape_text(inputs[0]) + " and " + shape_text(inputs[1]); };
  require(a.inner == b.inner, node.name, ": expected shapes (..., ", a_transposed ? "K, M" : "M, K",
          ") and (..., ", b_transposed ? "N, K" : "K, N", ") with the same K, got ", shapes(),
          "; nf.ops.transpose exchanges axes, nf.ops.einsum names those that are summed over");
  Shape y;
  require(
      broadcast_leading(a.leading, b.leading, &y), node.name,
      ": expected axes before the last two that broadcast, with sizes that are equal or 1, got ",
      shapes(), "; add axes of size 1 with nf.ops.expand_dims");
  if (!a.is_vector) y.push_back(a.outer);
  if (!b.is_vector) y.push_back(b.outer);
  return inference_of(node, {y});
}

template <class T>
class MatmulOp final : public Op<T> {
 public:
  explicit MatmulOp(const NodeSpec& node)
      : Op<T>(node),
        a_transposed_(transposed(node, "transpose_a")),
        b_transposed_(transposed(node, "transpose_b")) {}

  void forward(const Run& run) override {
    product(run).forward(this->output->value, a().value, b().value);
  }
  void backward(const Run& run) override {
    const Matmul made = product(run);
    if (this->d_inputs[0]) made.gradient_of_a(this->d_inputs[0], this->d_output, b().value);
    if (this->d_inputs[1]) made.gradient_of_b(this->d_inputs[1], this->d_output, a().value);
  }
  bool backward_reads_output() const override { return false; }
  // Sums over the batch.
  bool mixes_rows() const override {
    return !this->output->batched && (a().batched || b().batched);
  }
  double flops_per_row() const override { return product({1, false, 0, 0}).flops(); }

 private:
  const Tensor<T>& a() const { return *this->inputs[0]; }
  const Tensor<T>& b() const { return *this->inputs[1]; }
  Matmul product(const Run& run) const {
    return Matmul(dims_of(a(), run), a_transposed_, dims_of(b(), run), b_transposed_);
  }

  bool a_transposed_, b_transposed_;
};

const Registered<OpKind> registered(tensor_kind<MatmulOp>("matmul", "transpose_a transpose_b",
                                                          infer));

}  // namespace

}  // namespace nnfast::plan
