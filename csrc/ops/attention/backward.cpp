#include "base/interrupt.h"
#include "ops/attention/blocks.h"

namespace nnfast {
namespace attention {
namespace {

// What a block is asked for.
struct Wanted {
  bool queries, keys;
};

template <class T>
class Backward {
 public:
  Backward(const AttentionInputGradients<T>& out, const T* dy, const T* y, const T* log_sums,
           const Attention<T>& p)
      : out_(out), dy_(dy), y_(y), log_sums_(log_sums), p_(p) {
    stride_ = stride_of(std::min(p.keys, kKeys));
    const index_t queries = std::min(p.queries, kQueries);
    weights_ = scratch_of<T>(stride_ * (2 * queries + p.d + p.d_value) + std::max(p.d, p.d_value));
    d_weights_ = weights_ + queries * stride_;
    k_.packed = d_weights_ + queries * stride_;
    v_.packed = k_.packed + p.d * stride_;
    line_ = v_.packed + p.d_value * stride_;
  }

  // A group of heads of a row with all its queries and keys.
  void run_group(index_t row, index_t group) {
    const auto run = [&](bool careful) {
      bool moderate = true;
      for (index_t key = 0; key < p_.keys; key += kKeys)
        moderate &= run_keys(row, group, key, {true, true}, careful);
      return moderate;
    };
    if (!run(false) && hides_keys(p_)) run(true);
  }

  // The gradients of a block of keys.
  void run_keys(index_t row, index_t group, index_t key) {
    const Wanted wanted = {false, true};
    if (!run_keys(row, group, key, wanted, false) && hides_keys(p_))
      run_keys(row, group, key, wanted, true);
  }

  // The gradients of a block of queries.
  void run_queries(index_t row, index_t head, index_t query) {
    const auto run = [&](bool careful) {
      bool moderate = true;
      for (index_t key = 0; key < p_.keys; key += kKeys) {
        const Block b = block_at(p_, row, head, query, key);
        moderate &= run_block(b, {true, false}, false, careful);
      }
      return moderate;
    };
    if (!run(false) && hides_keys(p_)) run(true);
  }

 private:
  bool run_keys(index_t row, index_t group, index_t key, Wanted wanted, bool careful) {
    const index_t heads = p_.heads / p_.groups;
    bool moderate = true, more = false;
    for (index_t head = group * heads; head < (group + 1) * heads; ++head) {
      for (index_t query = 0; query < p_.queries; query += kQueries) {
        const Block b = block_at(p_, row, head, query, key);
        moderate &= run_block(b, wanted, more, careful);
        more |= b.keys > 0;
      }
    }
    return moderate;
  }

  // `more`: the gradients of the keys are added to those of other queries.
  bool run_block(const Block& b, Wanted wanted, bool more, bool careful) {
    const index_t group = group_of(p_, b.head);
    const T* q = head_at(p_.q, b.row, p_.queries, b.first_query, p_.heads, b.head, p_.d);
    const T* k = head_at(p_.k, b.row, p_.keys, b.first_key, p_.groups, group, p_.d);
    const T* v = head_at(p_.v, b.row, p_.keys, b.first_key, p_.groups, group, p_.d_value);
    const index_t at = (b.row * p_.queries + b.first_query) * p_.heads + b.head;
    const T* dy = dy_ + at * p_.d_value;
    const index_t q_row = p_.heads * p_.d, y_row = p_.heads * p_.d_value;
    const index_t k_row = p_.groups * p_.d;
    watch_.did(6.0 * static_cast<double>(b.queries * b.keys) *
               static_cast<double>(p_.d + p_.d_value) / kFlopsPerUnit);
    if (b.keys > 0) {
      pack(b, k, v);
      multiply_packed<T>(
          {b.queries, b.keys, p_.d, q, q_row, 1, nullptr, 0, weights_, stride_, false}, k_, b.seen);
      multiply_packed<T>(
          {b.queries, b.keys, p_.d_value, dy, y_row, 1, nullptr, 0, d_weights_, stride_, false}, v_,
          b.seen);
      drop_weights(d_weights_, stride_, p_, b);
      const index_t place = (b.row * p_.heads + b.head) * p_.queries + b.first_query;
      kernels<T>().attention_gradients({kernel_block(p_, b, stride_), weights_, d_weights_,
                                        log_sums_ + place, y_ + at * p_.d_value, dy, y_row,
                                        p_.d_value});
      drop_weights(weights_, stride_, p_, b);
    }
    bool moderate = true;
    // A first block writes zeros where it has no terms.
    if (wanted.queries && out_.dq && (b.keys > 0 || b.first_key == 0)) {
      T* dq = out_.dq + at * p_.d;
      const Product<T> product = {b.queries, p_.d,  b.keys, d_weights_, stride_,        1,
                                  k,         k_row, dq,     q_row,      b.first_key > 0};
      if (careful) {
        multiply_used(product, line_,
                      [&](index_t query, index_t key) { return sees(p_, b, query, key); });
      } else {
        moderate &= multiply_queries(product, b.seen);
      }
    }
    if (!wanted.keys || b.keys == 0) return moderate;
    if (out_.dk) moderate &= add_to_keys(out_.dk, p_.d, b, d_weights_, q, more, careful);
    if (out_.dv) moderate &= add_to_keys(out_.dv, p_.d_value, b, weights_, dy, more, careful);
    return moderate;
  }

  // The share of a block's queries in the gradient of its keys or values, d numbers each.
  bool add_to_keys(T* gradient, index_t d, const Block& b, const T* weights, const T* from,
                   bool more, bool careful) {
    const index_t keys = std::min(kKeys, p_.keys - b.first_key), row = p_.groups * d;
    T* to = head_at(gradient, b.row, p_.keys, b.first_key, p_.groups, group_of(p_, b.head), d);
    if (!more) clear_rows(to + b.keys * row, row, keys - b.keys, d);  // no query of the block sees
    const Product<T> product = {b.keys,       d,  b.queries, weights, 1, stride_, from,
                                p_.heads * d, to, row,       more};
    if (!careful) return multiply_keys(product, b.seen);
    multiply_used(product, line_,
                  [&](index_t key, index_t query) { return sees(p_, b, query, key); });
    return true;
  }

  // Unless the last block had the same ones.
  void pack(const Block& b, const T* k, const T* v) {
    const index_t width = Panels<T>::width_for(b.queries);
    if (k == last_keys_ && width == k_.width) return;
    last_keys_ = k;
    const index_t keys = std::min(kKeys, p_.keys - b.first_key);
    k_.width = v_.width = width;
    k_.pack(k, p_.groups * p_.d, p_.d, keys);
    v_.pack(v, p_.groups * p_.d_value, p_.d_value, keys);
  }

  AttentionInputGradients<T> out_;
  const T *dy_, *y_, *log_sums_;
  const Attention<T>& p_;
  index_t stride_;
  T *weights_, *d_weights_, *line_;
  Panels<T> k_{}, v_{};
  const T* last_keys_ = nullptr;
  InterruptWatch watch_;
};

}  // namespace
}  // namespace attention

template <class T>
void attention_backward(const AttentionInputGradients<T>& out, const T* dy, const T* y,
                        const T* log_sums, const Attention<T>& p) {
  using namespace attention;
  if (!out.dq && !out.dk && !out.dv) return;
  const double weights = p.flops() / (2 * static_cast<double>(p.d + p.d_value));
  const double cost = (2.5 * p.flops() / kFlopsPerUnit + weights * kWeightCost) * (sizeof(T) / 4.0);
  const auto share = [&](index_t items, double part, const auto& run) {
    parallel_ranges(items, 1, part * cost, [&](index_t begin, index_t end) {
      Backward<T> pass(out, dy, y, log_sums, p);
      for (index_t i = begin; i < end; ++i) run(pass, i);
    });
  };
  const index_t groups = p.rows * p.groups;
  if (groups >= get_num_threads() || works_alone()) {
    return share(groups, 1,
                 [&](Backward<T>& pass, index_t i) { pass.run_group(i / p.groups, i % p.groups); });
  }
  // Few groups are shared by blocks. The sums are the same; weights are computed twice.
  const index_t keys = blocks_of(p.keys, kKeys), queries = blocks_of(p.queries, kQueries);
  share(groups * keys, 0.8, [&](Backward<T>& pass, index_t i) {
    const index_t group = i / keys;
    pass.run_keys(group / p.groups, group % p.groups, i % keys * kKeys);
  });
  share(p.rows * p.heads * queries, 0.6, [&](Backward<T>& pass, index_t i) {
    const index_t head = i / queries;
    pass.run_queries(head / p.heads, head % p.heads, i % queries * kQueries);
  });
}

template void attention_backward<float>(const AttentionInputGradients<float>&, const float*,
                                        const float*, const float*, const Attention<float>&);
template void attention_backward<double>(const AttentionInputGradients<double>&, const double*,
                                         const double*, const double*, const Attention<double>&);

}  // namespace nnfast
