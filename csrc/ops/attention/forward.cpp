#include <limits>

#include "base/interrupt.h"
#include "ops/attention/blocks.h"

namespace nnfast {
namespace attention {
namespace {

template <class T>
class Forward {
 public:
  Forward(T* y, T* log_sums, const Attention<T>& p) : y_(y), log_sums_(log_sums), p_(p) {
    stride_ = stride_of(std::min(p.keys, kKeys));
    const index_t queries = std::min(p.queries, kQueries);
    T* at = scratch_of<T>(stride_ * (queries + p.d) + 2 * kQueries + p.d_value);
    weights_ = at;
    packed_.packed = weights_ + queries * stride_;
    largest_ = packed_.packed + p.d * stride_;
    sum_ = largest_ + kQueries;
    line_ = sum_ + kQueries;
  }

  // All keys of a block of queries.
  void run(index_t row, index_t head, index_t query) {
    if (!run(row, head, query, false) && hides_keys(p_)) run(row, head, query, true);
  }

 private:
  // Returns whether the result is moderate. If not, an infinity or a NaN of a key that is not seen
  // may have come into it; `careful` leaves those keys out.
  bool run(index_t row, index_t head, index_t query, bool careful) {
    const index_t y_row = p_.heads * p_.d_value;
    T* y = head_at(y_, row, p_.queries, query, p_.heads, head, p_.d_value);
    std::fill_n(largest_, kQueries, -std::numeric_limits<T>::infinity());
    std::fill_n(sum_, kQueries, T(0));
    bool moderate = true;
    index_t key = 0, queries = 0;
    do {
      const Block b = block_at(p_, row, head, query, key);
      queries = b.queries;
      if (b.keys == 0 && key > 0) break;
      add_block(y, b, careful, &moderate);
      key += kKeys;
    } while (key < p_.keys);
    T* log_sum = log_sums_ ? log_sums_ + (row * p_.heads + head) * p_.queries + query : nullptr;
    kernels<T>().attention_sums({y, y_row, log_sum, largest_, sum_, queries, p_.d_value});
    return moderate;
  }

  void add_block(T* y, const Block& b, bool careful, bool* moderate) {
    const index_t q_row = p_.heads * p_.d, y_row = p_.heads * p_.d_value;
    const T* q = head_at(p_.q, b.row, p_.queries, b.first_query, p_.heads, b.head, p_.d);
    pack_keys(b);
    multiply_packed<T>({b.queries, b.keys, p_.d, q, q_row, 1, nullptr, 0, weights_, stride_, false},
                       packed_, b.seen);
    const bool more = b.first_key > 0;
    kernels<T>().attention_weights({kernel_block(p_, b, stride_), weights_, largest_, sum_,
                                    more ? y : nullptr, y_row, p_.d_value});
    drop_weights(weights_, stride_, p_, b);
    const index_t group = group_of(p_, b.head);
    const T* v = head_at(p_.v, b.row, p_.keys, b.first_key, p_.groups, group, p_.d_value);
    const Product<T> product = {b.queries, p_.d_value, b.keys, weights_,
                                stride_,   1,          v,      p_.groups * p_.d_value,
                                y,         y_row,      more};
    if (careful) {
      multiply_used(product, line_,
                    [&](index_t query, index_t key) { return sees(p_, b, query, key); });
    } else {
      *moderate &= multiply_queries(product, b.seen);
    }
    watch_.did(2.0 * static_cast<double>(b.queries * b.keys) *
               static_cast<double>(p_.d + p_.d_value) / kFlopsPerUnit);
  }

  // Unless the last block had the same ones.
  void pack_keys(const Block& b) {
    const index_t width = Panels<T>::width_for(b.queries), group = group_of(p_, b.head);
    const index_t keys = std::min(kKeys, p_.keys - b.first_key);
    const T* k = head_at(p_.k, b.row, p_.keys, b.first_key, p_.groups, group, p_.d);
    if (k == last_keys_ && width == packed_.width) return;
    last_keys_ = k;
    packed_.width = width;
    packed_.pack(k, p_.groups * p_.d, p_.d, keys);
  }

  T *y_, *log_sums_;
  const Attention<T>& p_;
  index_t stride_;
  T *weights_, *largest_, *sum_, *line_;
  Panels<T> packed_{};
  const T* last_keys_ = nullptr;
  InterruptWatch watch_;
};

}  // namespace
}  // namespace attention

template <class T>
double Attention<T>::flops() const {
  const double pairs = static_cast<double>(rows * heads) * static_cast<double>(queries) *
                       static_cast<double>(keys) * (causal && queries > 1 ? 0.5 : 1);
  return 2 * pairs * static_cast<double>(d + d_value);
}

template <class T>
void attention_forward(T* y, T* log_sums, const Attention<T>& p) {
  using namespace attention;
  const index_t blocks = blocks_of(p.queries, kQueries), heads = p.rows * p.heads;
  const double weights = p.flops() / (2 * static_cast<double>(p.d + p.d_value));
  const double cost = (p.flops() / kFlopsPerUnit + weights * kWeightCost) * (sizeof(T) / 4.0);
  parallel_ranges(heads * blocks, 1, cost, [&](index_t begin, index_t end) {
    Forward<T> pass(y, log_sums, p);
    for (index_t i = begin; i < end; ++i) {
      const index_t head = i / blocks;
      pass.run(head / p.heads, head % p.heads, i % blocks * kQueries);
    }
  });
}

template double Attention<float>::flops() const;
template double Attention<double>::flops() const;
template void attention_forward<float>(float*, float*, const Attention<float>&);
template void attention_forward<double>(double*, double*, const Attention<double>&);

}  // namespace nnfast
