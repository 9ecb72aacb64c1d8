// Inverted dropout (Srivastava et al. 2014, JMLR 15:1929): in training, each element is set to 0
// with probability `rate`, and multiplied by 1 / (1 - rate) otherwise; the identity in prediction.
// The mask is not stored but drawn again in the backward pass.
#include "ops/dropout.h"

#include <cstring>

#include "base/thread_pool.h"
#include "plan/nodes/node.h"

namespace nnfast::plan {
namespace {

Inference infer(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  const double rate = node.number("rate");
  require(rate >= 0 && rate < 1, node.name, ": expected a rate of 0 <= rate < 1, got ", rate);
  return {inputs[0], {}};
}

template <class T>
class DropoutOp final : public Op<T> {
 public:
  explicit DropoutOp(const NodeSpec& node) : Op<T>(node), rate_(node.number("rate")) {}

  void forward(const Run& run) override { apply(run, this->output->value, this->inputs[0]->value); }
  void backward(const Run& run) override {
    if (this->d_inputs[0]) apply(run, this->d_inputs[0], this->d_output);
  }
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }

 private:
  void apply(const Run& run, T* y, const T* x) const {
    const index_t n = run.rows * this->output->size;
    if (!run.training || rate_ == 0) {
      std::memcpy(y, x, sizeof(T) * static_cast<size_t>(n));
      return;
    }
    const DropoutParams params = dropout_of(rate_, {run.seed, run.step, this->stream});
    parallel_ranges(n, 64, static_cast<double>(n), [&](index_t begin, index_t end) {
      kernels<T>().dropout(y + begin, x + begin, begin, end - begin, params);
    });
  }

  double rate_;
};

const Registered<OpKind> registered(op_kind<DropoutOp>("dropout", "rate", infer, Trait::noise));

}  // namespace

}  // namespace nnfast::plan
