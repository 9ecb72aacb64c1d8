// A parameter as a tensor, without the batch axis: a weight of a user-defined layer, or a constant.
#include <cstring>

#include "base/thread_pool.h"
#include "plan/nodes/tensor.h"

namespace nnfast::plan {
namespace {

// Attributes: "shape"; "parameter", its name; "trains", 0 for a constant.
Inference infer(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  require_inputs(node, inputs, 0);
  const Shape& shape = node.integers("shape");
  element_count(shape, node.name);
  Inference inferred = inference_of(node, {shape});
  inferred.parameters = {
      {node.string_or("parameter", "value"), shape, node.integer_or("trains", 1) != 0}};
  return inferred;
}

template <class T>
class ParameterOp final : public Op<T> {
 public:
  using Op<T>::Op;
  void forward(const Run&) override {}
  void backward(const Run&) override {
    const Parameter<T>& parameter = *this->parameters[0];
    if (!parameter.gradient) return;
    const double cost = 0.15 * static_cast<double>(parameter.size);
    parallel_ranges(parameter.size, 64, cost, [&](index_t begin, index_t end) {
      std::memcpy(parameter.gradient + begin, this->d_output + begin,
                  sizeof(T) * static_cast<size_t>(end - begin));
    });
  }
  bool is_parameter() const override { return true; }
  bool backward_reads_output() const override { return false; }
  double flops_per_row() const override { return 0; }
};

const Registered<OpKind> registered(tensor_kind<ParameterOp>("parameter", "shape parameter trains",
                                                             infer));

}  // namespace
}  // namespace nnfast::plan
