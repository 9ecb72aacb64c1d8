// Batch, layer, root mean square and group normalization along the last axis; ops/norm/norm.h has
// the references.
#include "ops/norm/norm.h"

#include <cmath>
#include <memory>
#include <vector>

#include "base/aligned.h"
#include "ops/activation.h"
#include "ops/reduce.h"
#include "plan/nodes/activation.h"
#include "plan/nodes/node.h"

namespace nnfast::plan {
namespace {

bool has_gamma(const NodeSpec& node) { return node.integer_or("scale", 1) != 0; }
bool has_beta(const NodeSpec& node) { return node.integer_or("center", 1) != 0; }

Inference infer_normalization(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, 1);
  require(!inputs[0].empty(), node.name, ": expected an input of (N, ..., C), got (N,)");
  const double epsilon = node.number("epsilon");
  require(std::isfinite(epsilon) && epsilon > 0, node.name,
          ": expected a finite epsilon above 0, got ", epsilon);
  Inference result{inputs[0], {}};
  const Shape channels = {inputs[0].back()};
  if (has_gamma(node)) result.parameters.push_back({"gamma", channels});
  if (has_beta(node)) result.parameters.push_back({"beta", channels});
  return result;
}

Inference infer_batch(const NodeSpec& node, const std::vector<Shape>& inputs) {
  Inference result = infer_normalization(node, inputs);
  const double momentum = node.number("momentum");
  require(momentum >= 0 && momentum < 1, node.name, ": expected 0 <= momentum < 1, got ", momentum);
  const Activation activation = activation_of(node).kind;
  require(activation == Activation::identity || activation == Activation::relu, node.name,
          ": expected the activation identity or relu, got '",
          node.has("activation") ? node.string("activation") : "", "'");
  result.parameters.push_back({"moving_mean", {inputs[0].back()}, false});
  result.parameters.push_back({"moving_variance", {inputs[0].back()}, false});
  return result;
}

Inference infer_rms(const NodeSpec& node, const std::vector<Shape>& inputs) {
  Inference result = infer_normalization(node, inputs);
  result.parameters.pop_back();  // beta
  return result;
}

Inference infer_group(const NodeSpec& node, const std::vector<Shape>& inputs) {
  Inference result = infer_normalization(node, inputs);
  const int64_t groups = node.integer("groups"), channels = inputs[0].back();
  require(groups > 0 && channels % groups == 0, node.name,
          ": expected groups that divide the input's ", channels, " channels, got ", groups);
  return result;
}

// Converts the averages to double; refuses negative variances.
template <class T>
void take_moving_averages(std::vector<double>& mean, std::vector<double>& variance,
                          const Parameter<T>& moving_mean, const Parameter<T>& moving_variance) {
  for (size_t c = 0; c < mean.size(); ++c) {
    mean[c] = static_cast<double>(moving_mean.value[c]);
    variance[c] = static_cast<double>(moving_variance.value[c]);
    require(variance[c] >= 0, moving_variance.name, ": expected variances of 0 or more, got ",
            variance[c], " in channel ", c, "; set it to what training found");
  }
}

// Code shared by all kinds.
template <class T>
class NormalizationOp : public Op<T> {
 public:
  explicit NormalizationOp(const NodeSpec& node, bool may_have_beta = true)
      : Op<T>(node),
        epsilon_(node.number("epsilon")),
        has_gamma_(has_gamma(node)),
        has_beta_(may_have_beta && has_beta(node)) {}
  bool backward_reads_output() const override { return false; }
  double flops_per_row() const override { return 4 * static_cast<double>(this->output->size); }

 protected:
  Parameter<T>* gamma() const { return has_gamma_ ? this->parameters[0] : nullptr; }
  Parameter<T>* beta() const { return has_beta_ ? this->parameters[has_gamma_ ? 1 : 0] : nullptr; }
  index_t channels() const { return static_cast<index_t>(this->output->shape.back()); }
  index_t positions() const { return this->output->size / channels(); }
  Normalization<T> normalization(index_t rows) const {
    return normalization(rows, channels(), this->parameters);
  }
  // Of each position separately.
  Normalization<T> by_position(const Run& run) const {
    return normalization(run.rows * positions());
  }
  Normalization<T> normalization(index_t rows, index_t n,
                                 const std::vector<Parameter<T>*>& parameters) const {
    Normalization<T> p;
    p.rows = rows;
    p.n = n;
    if (has_gamma_) p.gamma = parameters[0]->value;
    if (has_beta_) p.beta = parameters[has_gamma_ ? 1 : 0]->value;
    p.epsilon = epsilon_;
    return p;
  }
  NormalizationGradients<T> gradients() const {
    NormalizationGradients<T> out;
    out.dx = this->d_inputs[0];
    if (gamma()) out.d_gamma = gamma()->gradient;
    if (beta()) out.d_beta = beta()->gradient;
    return out;
  }

 private:
  double epsilon_;
  bool has_gamma_, has_beta_;
};

// Training uses the statistics of the batch, which moving averages follow, unless these are frozen.
// Prediction, and training with frozen averages, uses the moving averages.
template <class T>
class BatchNormalizationOp final : public NormalizationOp<T> {
 public:
  explicit BatchNormalizationOp(const NodeSpec& node)
      : NormalizationOp<T>(node),
        momentum_(node.number("momentum")),
        relu_(activation_of(node).kind == Activation::relu) {}

  void forward(const Run& run) override {
    const T* x = this->inputs[0]->value;
    make_room();
    if (takes_statistics(run)) {
      batch_statistics(mean_.data(), variance_.data(), x, rows(run), this->channels());
    } else {
      take_moving_averages(mean_, variance_, moving_mean(), moving_variance());
    }
    batch_norm_forward(this->output->value, x, mean_.data(), variance_.data(), settings(run));
  }

  void backward(const Run& run) override {
    batch_norm_backward(this->gradients(), this->d_output, this->inputs[0]->value, mean_.data(),
                        variance_.data(), !takes_statistics(run), settings(run));
  }

  Magnitude check_gradients() const override {
    const bool finite = all_finite(mean_.data(), this->channels()) &&
                        all_finite(variance_.data(), this->channels());
    return finite ? Op<T>::check_gradients() : Magnitude::not_finite;
  }

  void add_statistics(std::vector<Statistic>* all) override {
    make_room();
    for (std::vector<double>* found : {&mean_, &variance_})
      all->push_back({found->data(), found->size()});
  }

  void commit(const Run& run) override {
    if (!takes_statistics(run)) return;
    move(moving_mean(), mean_);
    move(moving_variance(), variance_);
  }

  std::function<ColumnScale<T>()> column_scale(
      const std::vector<Parameter<T>*>& parameters) const override {
    struct Memory {
      std::vector<double> mean, variance;
      AlignedBuffer<T> center, scale, shift;
    };
    const Parameter<T>& moving_mean = *parameters[parameters.size() - 2];
    const Parameter<T>& moving_variance = *parameters.back();
    const Normalization<T> p = this->normalization(0, moving_mean.size, parameters);
    const size_t n = static_cast<size_t>(p.n);
    const auto memory = std::make_shared<Memory>();
    memory->mean.resize(n);
    memory->variance.resize(n);
    memory->center = AlignedBuffer<T>(n);
    memory->scale = AlignedBuffer<T>(n);
    memory->shift = AlignedBuffer<T>(n);
    return [p, memory, &moving_mean, &moving_variance]() -> ColumnScale<T> {
      Memory& m = *memory;
      take_moving_averages(m.mean, m.variance, moving_mean, moving_variance);
      batch_norm_scale(m.center.data(), m.scale.data(), m.shift.data(), m.mean.data(),
                       m.variance.data(), p);
      return {m.center.data(), m.scale.data(), m.shift.data()};
    };
  }

 private:
  Parameter<T>& moving_mean() const { return *this->parameters[this->parameters.size() - 2]; }
  Parameter<T>& moving_variance() const { return *this->parameters.back(); }
  index_t rows(const Run& run) const { return run.rows * this->positions(); }
  // The first time only: steps allocate nothing.
  void make_room() {
    if (!mean_.empty()) return;
    mean_.resize(static_cast<size_t>(this->channels()));
    variance_.resize(mean_.size());
  }
  bool takes_statistics(const Run& run) const {
    return run.training && (moving_mean().moves || moving_variance().moves);
  }
  Normalization<T> settings(const Run& run) const {
    Normalization<T> p = this->normalization(rows(run));
    p.relu = relu_;
    return p;
  }
  void move(const Parameter<T>& average, const std::vector<double>& batch) const {
    if (!average.moves) return;
    for (size_t c = 0; c < batch.size(); ++c) {
      average.value[c] = static_cast<T>(momentum_ * static_cast<double>(average.value[c]) +
                                        (1 - momentum_) * batch[c]);
    }
  }

  double momentum_;
  bool relu_;
  std::vector<double> mean_, variance_;  // used by the last forward pass
};

template <class T>
class LayerNormalizationOp final : public NormalizationOp<T> {
 public:
  using NormalizationOp<T>::NormalizationOp;
  void forward(const Run& run) override {
    layer_norm_forward(this->output->value, this->inputs[0]->value, this->by_position(run));
  }
  void backward(const Run& run) override {
    layer_norm_backward(this->gradients(), this->d_output, this->inputs[0]->value,
                        this->by_position(run));
  }
};

template <class T>
class RmsNormalizationOp final : public NormalizationOp<T> {
 public:
  explicit RmsNormalizationOp(const NodeSpec& node) : NormalizationOp<T>(node, false) {}
  void forward(const Run& run) override {
    rms_norm_forward(this->output->value, this->inputs[0]->value, this->by_position(run));
  }
  void backward(const Run& run) override {
    rms_norm_backward(this->gradients(), this->d_output, this->inputs[0]->value,
                      this->by_position(run));
  }
};

template <class T>
class GroupNormalizationOp final : public NormalizationOp<T> {
 public:
  explicit GroupNormalizationOp(const NodeSpec& node)
      : NormalizationOp<T>(node), groups_(static_cast<index_t>(node.integer("groups"))) {}
  void forward(const Run& run) override {
    group_norm_forward(this->output->value, this->inputs[0]->value, run.rows, groups_,
                       this->normalization(this->positions()));
  }
  void backward(const Run& run) override {
    group_norm_backward(this->gradients(), this->d_output, this->inputs[0]->value, run.rows,
                        groups_, this->normalization(this->positions()));
  }

 private:
  index_t groups_;
};

const Registered<OpKind> batch_normalization(op_kind<BatchNormalizationOp>(
    "batch_normalization", "epsilon center scale momentum activation alpha", infer_batch,
    Trait::scales_columns | Trait::takes_relu));
const Registered<OpKind> layer_normalization(op_kind<LayerNormalizationOp>("layer_normalization",
                                                                           "epsilon center scale",
                                                                           infer_normalization));
const Registered<OpKind> rms_norm(op_kind<RmsNormalizationOp>("rms_norm", "epsilon", infer_rms));
const Registered<OpKind> group_normalization(op_kind<GroupNormalizationOp>(
    "group_normalization", "epsilon center scale groups", infer_group));

}  // namespace

}  // namespace nnfast::plan
