// Random numbers: a function of the run's seed and step, the node's stream and the place of the
// element.
#include <cmath>

#include "base/thread_pool.h"
#include "plan/nodes/tensor.h"

namespace nnfast::plan {
namespace {

// Attribute: "shape", the sizes of all axes; a first size of -1 is the batch.
Inference infer_numbers(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  require_inputs(node, inputs, 0);
  return inference_of(node, {node.integers("shape")});
}

// Calls body(elements, index of the first, count) for stretches of y on all threads. In parts of
// data, indices go on, so that predictions do not depend on the parts.
template <class T, class Body>
void for_each_stretch(const Tensor<T>& y, const Run& run, const Body& body) {
  const index_t n = dims_of(y, run).elements(), before = y.batched ? run.first_row * y.size : 0;
  parallel_ranges(n, 64, 4 * static_cast<double>(n), [&](index_t begin, index_t end) {
    constexpr index_t stretch = 1024;  // stays in the cache between the passes
    for (index_t i = begin; i < end; i += stretch)
      body(y.value + i, before + i, end - i < stretch ? end - i : stretch);
  });
}

// Attributes: "mean", "stddev".
Inference infer_normal(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  const double mean = node.number("mean"), stddev = node.number("stddev");
  require(std::isfinite(mean), node.name, ": expected a finite mean, got ", mean);
  require(std::isfinite(stddev) && stddev >= 0, node.name,
          ": expected a finite stddev of 0 or more, got ", stddev);
  return infer_numbers(node, inputs);
}

template <class T>
class RandomNormalOp final : public Op<T> {
 public:
  explicit RandomNormalOp(const NodeSpec& node)
      : Op<T>(node), mean_(node.number("mean")), stddev_(node.number("stddev")) {}

  void forward(const Run& run) override {
    const RandomStream stream{run.seed, run.step, this->stream};
    for_each_stretch(*this->output, run, [&](T* y, index_t first, index_t n) {
      kernels<T>().random_normal(y, first, n, stream);
      kernels<T>().scale_shift(y, y, n, stddev_, mean_);
    });
  }
  void backward(const Run&) override {}
  bool is_differentiable() const override { return false; }

 private:
  double mean_, stddev_;
};

// Attributes: "minval", "maxval".
Inference infer_uniform(const NodeSpec& node, const std::vector<TensorShape>& inputs) {
  const double low = node.number("minval"), high = node.number("maxval");
  require(std::isfinite(low) && std::isfinite(high) && low < high, node.name,
          ": expected finite bounds with minval < maxval, got ", low, " and ", high);
  return infer_numbers(node, inputs);
}

template <class T>
class RandomUniformOp final : public Op<T> {
 public:
  explicit RandomUniformOp(const NodeSpec& node)
      : Op<T>(node), low_(node.number("minval")), high_(node.number("maxval")) {}

  void forward(const Run& run) override {
    const RandomStream stream{run.seed, run.step, this->stream};
    const T low = static_cast<T>(low_), high = static_cast<T>(high_);
    // Where low + u (high - low) is rounded to the upper bound, which does not belong to the
    // interval.
    const T most = std::nextafter(high, low);
    for_each_stretch(*this->output, run, [&](T* y, index_t first, index_t n) {
      kernels<T>().random_uniform(y, first, n, stream);
      kernels<T>().scale_shift(y, y, n, high_ - low_, low_);
      kernels<T>().clip(y, y, n, static_cast<double>(low), static_cast<double>(most));
    });
  }
  void backward(const Run&) override {}
  bool is_differentiable() const override { return false; }

 private:
  double low_, high_;
};

const Registered<OpKind> normal(tensor_kind<RandomNormalOp>("random_normal", "shape mean stddev",
                                                            infer_normal));
const Registered<OpKind> uniform(tensor_kind<RandomUniformOp>("random_uniform",
                                                              "shape minval maxval",
                                                              infer_uniform));

}  // namespace
}  // namespace nnfast::plan
