// Attention (Vaswani et al. 2017, arXiv:1706.03762) between its matrix products: weights are the
// softmax of scaled scores over the keys that a query sees. Keys come in blocks, with a running
// maximum and a running sum (Milakov, Gimelshein 2018, arXiv:1805.02867; Rabe, Staats 2021,
// arXiv:2112.05682). A key that is not seen gets the weight 0, whatever its score.
#pragma once

// The number of keys of the block that come into question for query r.
template <class T>
NNF_INLINE index_t keys_seen(const AttentionBlock<T>& p, index_t r) {
  const index_t n = p.seen + r;
  return n < 0 ? 0 : n < p.keys ? n : p.keys;
}

// Calls body(first key, count) for the vectors of query r's scores up to the n-th; scores are read
// and written as whole vectors.
template <class T, class Body>
NNF_INLINE void for_each_score(index_t n, const Body& body) {
  constexpr int lanes = Vec<T>::lanes;
  for (index_t i = 0; i < n; i += lanes) body(i, n - i < lanes ? static_cast<int>(n - i) : lanes);
}

// The scaled score; -inf where it is masked.
template <class T, bool MASKED>
NNF_INLINE Vec<T> masked_score(const T* x, const T* mask, index_t i, int count, Vec<T> scale) {
  const Vec<T> score = load(x + i) * scale;
  if (!MASKED) return score;
  const Mask<T> hidden = equal(load_n(mask + i, count), zero<T>());
  return select(hidden, broadcast<T>(-MathConstants<T>::infinity), score);
}

template <class T>
NNF_INLINE void clear_scores(T* x, index_t begin, index_t end) {
  for_each_vector<T>(end - begin,
                     [=](index_t i, int count) { store_n(x + begin + i, zero<T>(), count); });
}

// Rescales what query r has summed up to a new largest score.
template <class T>
NNF_INLINE void rescale_query(const AttentionWeights<T>& p, index_t r, T before, T now) {
  if (before == now) return;
  const T factor = first_lane(exp_nonpositive(broadcast<T>(before - now)));
  p.sum[r] *= factor;
  if (!p.y) return;
  T* y = p.y + r * p.y_row;
  for_each_vector<T>(p.d, [=](index_t i, int count) {
    store_n(y + i, load_n(y + i, count) * broadcast<T>(factor), count);
  });
}

template <class T, bool MASKED>
NNF_INLINE void weigh_query(const AttentionWeights<T>& p, index_t r) {
  constexpr T infinity = MathConstants<T>::infinity;
  const index_t n = keys_seen(p.block, r);
  T* x = p.weights + r * p.block.row;
  const T* mask = p.block.mask + r * p.block.mask_row;
  const Vec<T> scale = broadcast<T>(static_cast<T>(p.block.scale));
  // NaN is left to the sum.
  Vec<T> most = broadcast<T>(-infinity);
  for_each_score<T>(n, [&](index_t i, int count) NNF_INLINE_LAMBDA {
    Vec<T> score = masked_score<T, MASKED>(x, mask, i, count, scale);
    if (count < Vec<T>::lanes) score = select(first_lanes<T>(count), score, most);
    most = max(score, most);
  });
  const T before = p.largest[r];
  T now = fold_lanes(most, [](Vec<T> a, Vec<T> b) NNF_INLINE_LAMBDA { return max(a, b); });
  now = before > now ? before : now;
  rescale_query(p, r, before, now);
  p.largest[r] = now;
  const Vec<T> shift = broadcast<T>(now == -infinity ? T(0) : now);
  p.sum[r] += lane_sum<T>(n, [=](index_t i, int count) NNF_INLINE_LAMBDA {
    const Vec<T> score = masked_score<T, MASKED>(x, mask, i, count, scale);
    const Vec<T> weight = keep_first(exp_nonpositive(score - shift), count);
    store(x + i, weight);
    return weight;
  });
  clear_scores(x, n, p.block.keys);
}

// weights (queries, keys) = exp(scale * score - largest), where `largest` is the largest scaled
// score so far; `sum` and y, which count from an older largest one, are rescaled, and the weights are
// added to `sum`.
template <class T>
void attention_weights(const AttentionWeights<T>& p) {
  for (index_t r = 0; r < p.block.queries; ++r) {
    p.block.mask ? weigh_query<T, true>(p, r) : weigh_query<T, false>(p, r);
  }
}

// y (queries, d) /= sum, and log_sum = largest + log(sum): the end of a query. Where no key was seen
// y is 0 and log_sum infinite, so that all weights computed from it are 0.
template <class T>
void attention_sums(const AttentionSums<T>& p) {
  for (index_t r = 0; r < p.queries; ++r) {
    T* y = p.y + r * p.y_row;
    const Vec<T> factor = broadcast<T>(p.sum[r] == T(0) ? T(0) : T(1) / p.sum[r]);
    for_each_vector<T>(
        p.d, [=](index_t i, int count) { store_n(y + i, load_n(y + i, count) * factor, count); });
  }
  if (!p.log_sum) return;
  for_each_vector<T>(p.queries, [&](index_t r, int count) {
    const Vec<T> sum = load_n(p.sum + r, count), largest = load_n(p.largest + r, count);
    const Mask<T> none = equal(sum, zero<T>());
    const Vec<T> log_sum = largest + log(select(none, broadcast<T>(T(1)), sum));
    store_n(p.log_sum + r, select(none, broadcast<T>(MathConstants<T>::infinity), log_sum), count);
  });
}

template <class T, bool MASKED>
NNF_INLINE void differentiate_query(const AttentionGradients<T>& p, index_t r) {
  const index_t n = keys_seen(p.block, r);
  T *x = p.weights + r * p.block.row, *d = p.d_weights + r * p.block.row;
  const T* mask = p.block.mask + r * p.block.mask_row;
  const T *y = p.y + r * p.y_row, *dy = p.dy + r * p.y_row;
  const Vec<T> scale = broadcast<T>(static_cast<T>(p.block.scale));
  const Vec<T> log_sum = broadcast<T>(p.log_sum[r]);
  const Vec<T> mean = broadcast<T>(lane_sum<T>(
      p.d, [=](index_t i, int count) { return load_n(dy + i, count) * load_n(y + i, count); }));
  for_each_score<T>(n, [&](index_t i, int count) NNF_INLINE_LAMBDA {
    const Vec<T> score = masked_score<T, MASKED>(x, mask, i, count, scale);
    const Vec<T> weight = exp_nonpositive(score - log_sum);
    Vec<T> gradient = weight * (load(d + i) - mean) * scale;
    if (MASKED) {
      const Mask<T> hidden = equal(load_n(mask + i, count), zero<T>());
      gradient = select(hidden, zero<T>(), gradient);
    }
    store(x + i, keep_first(weight, count));
    store(d + i, keep_first(gradient, count));
  });
  clear_scores(x, n, p.block.keys);
  clear_scores(d, n, p.block.keys);
}

// weights w = exp(scale * score - log_sum), once more, and d_weights = scale w (d_weights - sum of
// all w d_weights); this sum is that of dy y (Dao et al. 2022, arXiv:2205.14135).
template <class T>
void attention_gradients(const AttentionGradients<T>& p) {
  for (index_t r = 0; r < p.block.queries; ++r) {
    p.block.mask ? differentiate_query<T, true>(p, r) : differentiate_query<T, false>(p, r);
  }
}
