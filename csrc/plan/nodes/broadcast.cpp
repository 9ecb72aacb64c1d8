// A tensor repeated along axes of size 1, or new ones in front. Attribute: "shape", the sizes of
// all axes; a first size of -1 is the batch.
#include "ops/tensor/broadcast.h"

#include "plan/nodes/tensor.h"

namespace nnfast::plan {
namespace {

Inference infer(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  require_inputs(node, inputs, 1);
  const Shape& to = node.integers("shape");
  const Shape from = full_shape(inputs[0]);
  const Inference inferred = inference_of(node, {to});
  bool fits = from.size() <= to.size();
  for (size_t i = 0; fits && i < from.size(); ++i) {
    const int64_t size = to[to.size() - from.size() + i];
    fits = from[i] == size || from[i] == 1;
  }
  require(fits, node.name, ": expected a shape to which ", shape_text(inputs[0]),
          " can be broadcast, with the same sizes from the last axis backwards except where they "
          "are 1, got ",
          shape_text({inferred.shape, inferred.batched}));
  return inferred;
}

template <class T>
class BroadcastOp final : public Op<T> {
 public:
  using Op<T>::Op;
  void forward(const Run& run) override {
    const Tensor<T>& x = *this->inputs[0];
    broadcast_to(this->output->value, dims_of(*this->output, run), x.value, dims_of(x, run));
  }
  void backward(const Run& run) override {
    if (!this->d_inputs[0]) return;
    sum_to(this->d_inputs[0], dims_of(*this->inputs[0], run), this->d_output,
           dims_of(*this->output, run), this->backward_scratch);
  }
  index_t backward_scratch_size(index_t rows) const override {
    const Run run{rows, true, 0, 0};
    return sum_to_scratch(dims_of(*this->inputs[0], run), dims_of(*this->output, run));
  }
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }
  double flops_per_row() const override { return 0; }
};

const Registered<OpKind> registered(tensor_kind<BroadcastOp>("broadcast_to", "shape", infer));

}  // namespace
}  // namespace nnfast::plan
