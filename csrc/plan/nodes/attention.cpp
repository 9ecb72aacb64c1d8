// Attention of queries to keys and values. Inputs: q (T, H d), k (S, G d), v (S, G d_value) and, if
// has_mask, a mask (S) or (T, S) of zeros and ones. Output: (T, H d_value). Attributes: heads (H),
// key_value_heads (G, which divides H), causal, scale of the scores (by default 1 / sqrt(d)), dropout
// (the rate for the weights) and has_mask.
#include "ops/attention/attention.h"

#include <cmath>

#include "ops/dropout.h"
#include "plan/nodes/node.h"

namespace nnfast::plan {
namespace {

bool has_mask(const NodeSpec& node) { return node.integer_or("has_mask", 0) != 0; }

// Sizes, checked.
struct Sizes {
  int64_t queries, keys, heads, groups, d, d_value;
};

Sizes sizes_of(const NodeSpec& node, const std::vector<Shape>& inputs) {
  const Shape &q = inputs[0], &k = inputs[1], &v = inputs[2];
  require(q.size() == 2 && k.size() == 2 && v.size() == 2, node.name,
          ": expected queries, keys and values of (N, time, features), got ", batch_shape_text(q),
          ", ", batch_shape_text(k), " and ", batch_shape_text(v));
  require(k[0] == v[0] && k[0] > 0, node.name,
          ": expected keys and values of the same length of 1 or more, got ", batch_shape_text(k),
          " and ", batch_shape_text(v));
  const int64_t heads = node.integer("heads"), groups = node.integer_or("key_value_heads", heads);
  require(heads > 0 && q[1] % heads == 0, node.name, ": expected heads that divide the ", q[1],
          " features of the queries, got ", heads);
  require(groups > 0 && heads % groups == 0, node.name,
          ": expected key_value_heads that divide the ", heads, " heads, got ", groups);
  require(k[1] % groups == 0 && q[1] / heads == k[1] / groups, node.name,
          ": expected keys with as many features for each of the ", groups,
          " key_value_heads as queries have for each of the ", heads, " heads, ",
          q[1] / heads * groups, " in all, got ", k[1]);
  require(v[1] % groups == 0, node.name, ": expected key_value_heads that divide the ", v[1],
          " features of the values, got ", groups);
  return {q[0], k[0], heads, groups, q[1] / heads, v[1] / groups};
}

Inference infer(const NodeSpec& node, const std::vector<Shape>& inputs) {
  require_inputs(node, inputs, has_mask(node) ? 4 : 3);
  const Sizes sizes = sizes_of(node, inputs);
  const double scale = node.number_or("scale", 1), rate = node.number_or("dropout", 0);
  require(std::isfinite(scale), node.name, ": expected a finite scale, got ", scale);
  require(rate >= 0 && rate < 1, node.name, ": expected 0 <= dropout < 1, got ", rate);
  if (has_mask(node)) {
    const Shape by_key = {sizes.keys}, by_query = {sizes.queries, sizes.keys};
    require(inputs[3] == by_key || inputs[3] == by_query, node.name, ": expected a mask of shape ",
            batch_shape_text(by_key), " or ", batch_shape_text(by_query), ", got ",
            batch_shape_text(inputs[3]));
  }
  return {{sizes.queries, sizes.heads * sizes.d_value}, {}};
}

template <class T>
class AttentionOp final : public Op<T> {
 public:
  explicit AttentionOp(const NodeSpec& node)
      : Op<T>(node), node_(node), rate_(node.number_or("dropout", 0)) {}

  void forward(const Run& run) override {
    if (attention_.keys == 0) attention_ = described();  // the first time
    attention_forward(this->output->value, this->kept, of_run(run));
  }
  void backward(const Run& run) override {
    attention_backward<T>({this->d_inputs[0], this->d_inputs[1], this->d_inputs[2]}, this->d_output,
                          this->output->value, this->kept, of_run(run));
  }
  // For each query and head the logarithm of the sum of its weights.
  index_t kept_size(index_t rows) const override {
    const Attention<T> p = described();
    return rows * p.heads * p.queries;
  }
  bool has_gradient(size_t input) const override { return input < 3; }
  double flops_per_row() const override { return described().flops(); }

 private:
  // Of one row.
  Attention<T> described() const {
    std::vector<Shape> shapes;
    for (const Tensor<T>* input : this->inputs) shapes.push_back(input->shape);
    const Sizes sizes = sizes_of(node_, shapes);
    Attention<T> p{};
    p.rows = 1;
    p.queries = static_cast<index_t>(sizes.queries);
    p.keys = static_cast<index_t>(sizes.keys);
    p.heads = static_cast<index_t>(sizes.heads);
    p.groups = static_cast<index_t>(sizes.groups);
    p.d = static_cast<index_t>(sizes.d);
    p.d_value = static_cast<index_t>(sizes.d_value);
    p.mask_by_query = shapes.size() > 3 && shapes[3].size() == 2;
    p.causal = node_.integer_or("causal", 0) != 0;
    p.scale = node_.number_or("scale", 1 / std::sqrt(static_cast<double>(sizes.d)));
    return p;
  }

  Attention<T> of_run(const Run& run) {
    Attention<T> p = attention_;
    p.rows = run.rows;
    p.q = this->inputs[0]->value;
    p.k = this->inputs[1]->value;
    p.v = this->inputs[2]->value;
    if (this->inputs.size() > 3) p.mask = this->inputs[3]->value;
    dropout_ = dropout_of(rate_, {run.seed, run.step, this->stream});
    if (run.training && rate_ > 0) p.dropout = &dropout_;
    return p;
  }

  NodeSpec node_;
  double rate_;
  Attention<T> attention_{};
  DropoutParams dropout_{};
};

const Registered<OpKind> registered(op_kind<AttentionOp>(
    "attention", "heads key_value_heads causal scale dropout has_mask", infer));

}  // namespace
}  // namespace nnfast::plan
