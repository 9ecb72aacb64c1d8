// Noise in training besides dropout, the identity in prediction: dropout of whole channels, and
// additive noise. Both are drawn again where they are needed again.
#include <cmath>
#include <cstring>

#include "base/thread_pool.h"
#include "ops/dropout.h"
#include "ops/norm/norm.h"
#include "plan/nodes/node.h"

namespace nnfast::plan {
namespace {

Inference infer_spatial_dropout(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  const double rate = node.number("rate");
  require(rate >= 0 && rate < 1, node.name, ": expected a rate of 0 <= rate < 1, got ", rate);
  const int64_t axes = node.integer("axes");
  require(static_cast<int64_t>(inputs[0].size()) == axes + 1, node.name, ": expected an input of ",
          axes == 1 ? "(N, T, C)" : "(N, H, W, C)", ", got ", batch_shape_text(inputs[0]),
          "; use layers.Dropout for other shapes");
  return {inputs[0], {}};
}

Inference infer_noise(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  const double stddev = node.number("stddev");
  require(std::isfinite(stddev) && stddev >= 0, node.name,
          ": expected a finite stddev of 0 or more, got ", stddev);
  return {inputs[0], {}};
}

template <class T>
void copy_rows(const Run& run, const Tensor<T>& tensor, T* y, const T* x) {
  std::memcpy(y, x, sizeof(T) * static_cast<size_t>(run.rows * tensor.size));
}

// Element c of image i's mask has index i C + c in the stream.
template <class T>
class SpatialDropoutOp final : public Op<T> {
 public:
  explicit SpatialDropoutOp(const NodeSpec& node) : Op<T>(node), rate_(node.number("rate")) {}

  void forward(const Run& run) override { apply(run, this->output->value, this->inputs[0]->value); }
  void backward(const Run& run) override {
    if (this->d_inputs[0]) apply(run, this->d_inputs[0], this->d_output);
  }
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }

 private:
  void apply(const Run& run, T* y, const T* x) const {
    if (!run.training || rate_ == 0) return copy_rows(run, *this->output, y, x);
    const index_t channels = static_cast<index_t>(this->output->shape.back());
    const DropoutParams params = dropout_of(rate_, {run.seed, run.step, this->stream});
    dropout_channels(y, x, run.rows, this->output->size / channels, channels, params);
  }

  double rate_;
};

template <class T>
class GaussianNoiseOp final : public Op<T> {
 public:
  explicit GaussianNoiseOp(const NodeSpec& node) : Op<T>(node), stddev_(node.number("stddev")) {}

  void forward(const Run& run) override {
    T* y = this->output->value;
    const T* x = this->inputs[0]->value;
    if (!run.training || stddev_ == 0) return copy_rows(run, *this->output, y, x);
    const index_t n = run.rows * this->output->size;
    const RandomStream stream = {run.seed, run.step, this->stream};
    parallel_ranges(n, 64, 4 * static_cast<double>(n), [&](index_t begin, index_t end) {
      constexpr index_t stretch = 1024;
      T noise[stretch];
      for (index_t i = begin; i < end; i += stretch) {
        const index_t count = end - i < stretch ? end - i : stretch;
        kernels<T>().random_normal(noise, i, count, stream);
        kernels<T>().scale_shift(noise, noise, count, stddev_, 0);
        kernels<T>().add(y + i, x + i, noise, count);
      }
    });
  }
  void backward(const Run& run) override {
    if (this->d_inputs[0]) copy_rows(run, *this->output, this->d_inputs[0], this->d_output);
  }
  bool backward_reads_inputs() const override { return false; }
  bool backward_reads_output() const override { return false; }

 private:
  double stddev_;
};

const Registered<OpKind> spatial_dropout(op_kind<SpatialDropoutOp>("spatial_dropout", "rate axes",
                                                                   infer_spatial_dropout,
                                                                   Trait::noise));
const Registered<OpKind> gaussian_noise(op_kind<GaussianNoiseOp>("gaussian_noise", "stddev",
                                                                 infer_noise, Trait::noise));

}  // namespace

}  // namespace nnfast::plan
