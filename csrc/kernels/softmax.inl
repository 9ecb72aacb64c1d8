// Softmax over rows, shifted by the maximum of the row so that no exponential overflows.
#include "kernels/reduce.inl"

// The vector of exp(x - shift) at position i, 0 in the lanes past the row.
template <class T>
NNF_INLINE Vec<T> shifted_exp(const T* x, index_t i, int count, Vec<T> shift) {
  return keep_first(exp_nonpositive(load_n(x + i, count) - shift), count);
}

template <class T>
NNF_INLINE T log_of(T s) {
  return first_lane(log(broadcast<T>(s)));
}

// y (n) = exp(x (n)) / sum exp(x). y may be x.
template <class T>
NNF_INLINE void softmax_row(T* y, const T* x, index_t n) {
  const Vec<T> shift = broadcast<T>(row_max(x, n));
  Vec<T> rest;  // a partial vector at the end stays in a register
  const Vec<T> sum = broadcast<T>(lane_sum<T>(n, [&](index_t i, int count) {
    const Vec<T> e = shifted_exp(x, i, count, shift);
    if (count == Vec<T>::lanes) {
      store(y + i, e);
    } else {
      rest = e;
    }
    return e;
  }));
  for_each_vector<T>(n, [&](index_t i, int count) {
    store_n(y + i, (count == Vec<T>::lanes ? load(y + i) : rest) / sum, count);
  });
}

// y (rows, n) = x - log sum exp(x) for at most as many rows as a vector has lanes, with one
// logarithm for all of them. y may be x.
template <class T>
NNF_INLINE void log_softmax_rows(T* y, const T* x, index_t rows, index_t n) {
  T shift[Vec<T>::lanes] = {}, sum[Vec<T>::lanes] = {};
  for (index_t r = 0; r < rows; ++r) {
    const T* from = x + r * n;
    shift[r] = row_max(from, n);
    const Vec<T> s = broadcast<T>(shift[r]);
    sum[r] = lane_sum<T>(n, [=](index_t i, int count) { return shifted_exp(from, i, count, s); });
  }
  store(sum, log(load(sum)));
  for (index_t r = 0; r < rows; ++r) {
    const Vec<T> s = broadcast<T>(shift[r]), log_sum = broadcast<T>(sum[r]);
    for_each_vector<T>(n, [=](index_t i, int count) {
      const index_t at = r * n + i;
      store_n(y + at, (load_n(x + at, count) - s) - log_sum, count);
    });
  }
}

// y (rows, n) = softmax of the rows of x (rows, n), or its logarithm. y may be x.
template <class T>
void softmax_forward(T* y, const T* x, index_t rows, index_t n, bool log) {
  if (log) {
    for_each_vector<T>(
        rows, [=](index_t r, int count) { log_softmax_rows(y + r * n, x + r * n, count, n); });
  } else {
    for (index_t r = 0; r < rows; ++r) softmax_row(y + r * n, x + r * n, n);
  }
}

// dx (rows, n), from y = softmax: y (dy - sum(dy y)); from y = log softmax: dy - exp(y) sum(dy).
// dx may be dy.
template <class T>
void softmax_backward(T* dx, const T* dy, const T* y, index_t rows, index_t n, bool log) {
  for (index_t r = 0; r < rows; ++r) {
    const T* g = dy + r * n;
    const T* out = y + r * n;
    T* to = dx + r * n;
    if (log) {
      const Vec<T> sum =
          broadcast<T>(lane_sum<T>(n, [=](index_t i, int count) { return load_n(g + i, count); }));
      for_each_vector<T>(n, [=](index_t i, int count) {
        store_n(to + i, fnma(exp(load_n(out + i, count)), sum, load_n(g + i, count)), count);
      });
    } else {
      const Vec<T> dot = broadcast<T>(lane_sum<T>(
          n, [=](index_t i, int count) { return load_n(g + i, count) * load_n(out + i, count); }));
      for_each_vector<T>(n, [=](index_t i, int count) {
        store_n(to + i, load_n(out + i, count) * (load_n(g + i, count) - dot), count);
      });
    }
  }
}

// value = (log sum exp(x)) sum t - sum t x; d = (softmax(x) sum t - t) scale, with smoothed targets
// t = (1 - e) t + e / K. A class of t = 0 adds nothing to the value, even if x is -inf. d_logits
// may be logits; it is 0 in rows whose row_scale is 0, whatever their values.
template <class T>
void softmax_cross_entropy(const SoftmaxCrossEntropy<T>& p) {
  const index_t n = p.classes;
  const Vec<T> keep = broadcast<T>(static_cast<T>(1 - p.label_smoothing));
  const Vec<T> spread = broadcast<T>(static_cast<T>(p.label_smoothing / static_cast<double>(n)));
  for (index_t r = 0; r < p.rows; ++r) {
    const T* x = p.logits + r * n;
    const Vec<T> s = broadcast<T>(row_max(x, n));
    const index_t label = p.labels ? static_cast<index_t>(p.labels[r]) : -1;
    // The vector of smoothed targets at position i; lanes past the row are 0.
    const auto target = [&](index_t i, int count) {
      Vec<T> t;
      if (p.labels) {
        const Vec<T> lane = broadcast<T>(static_cast<T>(label - i));
        t = select(equal(load(LaneNumbers<T>::c), lane), broadcast<T>(T(1)), zero<T>());
      } else {
        t = load_n(p.targets + r * n + i, count);
      }
      return keep_first(fma(keep, t, spread), count);
    };
    const T sum = lane_sum<T>(n, [=](index_t i, int count) { return shifted_exp(x, i, count, s); });
    const T mass = lane_sum<T>(n, target);
    if (p.value) {
      const T fit = lane_sum<T>(n, [&](index_t i, int count) {
        const Vec<T> t = target(i, count);
        return select(equal(t, zero<T>()), zero<T>(), t * (load_n(x + i, count) - s));
      });
      p.value[r] = log_of(sum) * mass - fit;
    }
    if (p.d_logits) {
      const T factor = static_cast<T>(p.scale), row = p.row_scale ? p.row_scale[r] : T(1);
      T* d = p.d_logits + r * n;
      if (factor * row == 0) {
        fill_zero(d, n);
        continue;
      }
      const Vec<T> scale = broadcast<T>(factor * row);
      const Vec<T> weight = broadcast<T>(mass / sum);
      for_each_vector<T>(n, [&](index_t i, int count) {
        const Vec<T> e = shifted_exp(x, i, count, s);
        store_n(d + i, fma(e, weight, -target(i, count)) * scale, count);
      });
    }
  }
}
