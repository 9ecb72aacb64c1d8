// A vector several times: (N, D) to (N, times, D).
#include <cstring>

#include "base/thread_pool.h"
#include "ops/reduce.h"
#include "plan/nodes/node.h"

namespace nnfast::plan {
namespace {

Inference infer(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  require(inputs[0].size() == 1, node.name, ": expected an input of (N, D), got ",
          batch_shape_text(inputs[0]), "; add layers.Flatten() before it");
  const int64_t times = node.integer("times");
  require(times > 0, node.name, ": expected to repeat 1 time or more, got ", times);
  return {{times, inputs[0][0]}, {}};
}

template <class T>
class RepeatOp final : public Op<T> {
 public:
  using Op<T>::Op;

  void forward(const Run& run) override {
    for_each_row(run, [this](index_t row, index_t times, index_t n) {
      const T* x = this->inputs[0]->value + row * n;
      T* y = this->output->value + row * times * n;
      for (index_t i = 0; i < times; ++i)
        std::memcpy(y + i * n, x, sizeof(T) * static_cast<size_t>(n));
    });
  }
  void backward(const Run& run) override {
    if (!this->d_inputs[0]) return;
    for_each_row(run, [this](index_t row, index_t times, index_t n) {
      T* dx = this->d_inputs[0] + row * n;
      std::memset(static_cast<void*>(dx), 0, sizeof(T) * static_cast<size_t>(n));
      add_columns(dx, this->d_output + row * times * n, n, times, n);
    });
  }
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }

 private:
  // body(row, times, elements of the vector)
  template <class Body>
  void for_each_row(const Run& run, const Body& body) const {
    const index_t n = this->inputs[0]->size, times = this->output->size / n;
    const double cost = 0.1 * static_cast<double>(run.rows * this->output->size);
    parallel_ranges(run.rows, 1, cost, [&](index_t begin, index_t end) {
      for (index_t row = begin; row < end; ++row) body(row, times, n);
    });
  }
};

const Registered<OpKind> registered(op_kind<RepeatOp>("repeat", "times", infer));

}  // namespace
}  // namespace nnfast::plan
