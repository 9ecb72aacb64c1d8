// Losses that are sums over the elements of a row. term() is the contribution of one element,
// slope() its derivative with respect to the prediction p; t is the target.

struct SquaredError {
  template <class T>
  static NNF_INLINE Vec<T> term(Vec<T> p, Vec<T> t, T) {
    const Vec<T> e = p - t;
    return e * e;
  }
  template <class T>
  static NNF_INLINE Vec<T> slope(Vec<T> p, Vec<T> t, T) {
    return broadcast<T>(T(2)) * (p - t);
  }
};

struct HalfSquaredError {
  template <class T>
  static NNF_INLINE Vec<T> term(Vec<T> p, Vec<T> t, T) {
    const Vec<T> e = p - t;
    return broadcast<T>(T(0.5)) * (e * e);
  }
  template <class T>
  static NNF_INLINE Vec<T> slope(Vec<T> p, Vec<T> t, T) {
    return p - t;
  }
};

// The derivative is 0 at p = t, a subgradient.
struct AbsoluteError {
  template <class T>
  static NNF_INLINE Vec<T> term(Vec<T> p, Vec<T> t, T) {
    return abs(p - t);
  }
  template <class T>
  static NNF_INLINE Vec<T> slope(Vec<T> p, Vec<T> t, T) {
    const Vec<T> e = p - t;
    const Vec<T> sign = copysign(broadcast<T>(T(1)), e);
    return select(is_nan(e), e, select(equal(e, zero<T>()), zero<T>(), sign));
  }
};

// Huber 1964, DOI 10.1214/aoms/1177703732: e^2/2 up to |e| = delta, then delta (|e| - delta/2).
struct HuberError {
  template <class T>
  static NNF_INLINE Vec<T> term(Vec<T> p, Vec<T> t, T delta) {
    const Vec<T> e = abs(p - t), d = broadcast<T>(delta), half = broadcast<T>(T(0.5));
    return select(less(d, e), d * (e - half * d), half * (e * e));
  }
  template <class T>
  static NNF_INLINE Vec<T> slope(Vec<T> p, Vec<T> t, T delta) {
    const Vec<T> e = p - t, d = broadcast<T>(delta);
    return max(-d, min(d, e));
  }
};

// -(t log p + (1 - t) log(1 - p)). The logarithms are bounded below by that of the smallest normal
// number, so that 0 log 0 is 0.
struct BinaryCrossEntropy {
  template <class T>
  static NNF_INLINE Vec<T> floor() {
    return broadcast<T>(sizeof(T) == 4 ? T(1.1754943508222875e-38) : T(2.2250738585072014e-308));
  }
  template <class T>
  static NNF_INLINE Vec<T> log_floor() {
    return broadcast<T>(sizeof(T) == 4 ? T(-87.3365447505531) : T(-708.3964185322641));
  }
  template <class T>
  static NNF_INLINE Vec<T> term(Vec<T> p, Vec<T> t, T) {
    const Vec<T> one = broadcast<T>(T(1)), rest = max(log_floor<T>(), log1p(-min(one, p)));
    const Vec<T> yes = t * log(max(floor<T>(), p)), no = (one - t) * rest;
    return -(yes + no);
  }
  template <class T>
  static NNF_INLINE Vec<T> slope(Vec<T> p, Vec<T> t, T) {
    const Vec<T> one = broadcast<T>(T(1));
    return (one - t) / max(floor<T>(), one - p) - t / max(floor<T>(), p);
  }
};

// The same for the logit z, with p = sigmoid(z): softplus(z) - t z, with the derivative p - t. Both
// are written in terms of |z| and the weight w of the other class, 1 - t for z > 0 and t otherwise,
// as softplus(-|z|) + w |z| and +-(sigmoid(-|z|) - w): differences of large numbers would cancel
// the tail of positive rows.
struct BinaryCrossEntropyLogits {
  template <class T>
  static NNF_INLINE Vec<T> other_share(Vec<T> z, Vec<T> t) {
    return select(less(zero<T>(), z), broadcast<T>(T(1)) - t, t);
  }
  template <class T>
  static NNF_INLINE Vec<T> term(Vec<T> z, Vec<T> t, T) {
    const Vec<T> w = other_share(z, t), size = abs(z);
    const Vec<T> wrong = select(equal(w, zero<T>()), zero<T>(), w * size);  // also for infinite z
    return wrong + log1p_finite(exp_nonpositive(-size));
  }
  template <class T>
  static NNF_INLINE Vec<T> slope(Vec<T> z, Vec<T> t, T) {
    const Vec<T> d = sigmoid(-abs(z)) - other_share(z, t);
    return select(less(zero<T>(), z), -d, d);
  }
};

// -t log p over the classes of a row.
struct CrossEntropy {
  template <class T>
  static NNF_INLINE Vec<T> term(Vec<T> p, Vec<T> t, T) {
    const Vec<T> share = -(t * log(max(BinaryCrossEntropy::floor<T>(), p)));
    return select(equal(t, zero<T>()), zero<T>() * p, share);
  }
  template <class T>
  static NNF_INLINE Vec<T> slope(Vec<T> p, Vec<T> t, T) {
    return -(t / max(BinaryCrossEntropy::floor<T>(), p));
  }
};

template <class T, class F>
void loss_values(T* value, const T* prediction, const T* target, index_t rows, index_t n, T delta,
                 bool mean) {
  if (n == 1) {  // same result as below, where 0 would make the sum of -0 +0
    return for_each_vector<T>(rows, [=](index_t i, int count) {
      const Vec<T> p = load_n(prediction + i, count), t = load_n(target + i, count);
      store_n(value + i, F::template term<T>(p, t, delta) + zero<T>(), count);
    });
  }
  for (index_t r = 0; r < rows; ++r) {
    const T* p = prediction + r * n;
    const T* t = target + r * n;
    const T sum = lane_sum<T>(n, [=](index_t i, int count) {
      const Vec<T> term = F::template term<T>(load_n(p + i, count), load_n(t + i, count), delta);
      return keep_first(term, count);
    });
    value[r] = mean ? sum / static_cast<T>(n) : sum;
  }
}

template <class T, class F>
void loss_slopes(T* d, const T* prediction, const T* target, const T* row_scale, T scale,
                 index_t rows, index_t n, T delta) {
  if (!row_scale) {
    n *= rows;
    rows = rows > 0;
  }
  for (index_t r = 0; r < rows; ++r) {
    const T* p = prediction + r * n;
    const T* t = target + r * n;
    T* to = d + r * n;
    const T row = row_scale ? row_scale[r] : T(1);
    // A row of weight 0 contributes nothing, even if its slope overflows.
    if (row == 0) {
      fill_zero(to, n);
      continue;
    }
    const Vec<T> s = broadcast<T>(scale * row);
    for_each_vector<T>(n, [=](index_t i, int count) {
      const Vec<T> slope = F::template slope<T>(load_n(p + i, count), load_n(t + i, count), delta);
      store_n(to + i, slope * s, count);
    });
  }
}

// The losses: enumerator, terms, and whether the value of a row is the mean or the sum of its
// terms.
#define NNF_LOSSES(CASE)                                            \
  CASE(mse, SquaredError, true)                                     \
  CASE(half_squared_error, HalfSquaredError, false)                 \
  CASE(mae, AbsoluteError, true)                                    \
  CASE(sum_absolute_error, AbsoluteError, false)                    \
  CASE(huber, HuberError, true)                                     \
  CASE(binary_cross_entropy, BinaryCrossEntropy, true)              \
  CASE(binary_cross_entropy_logits, BinaryCrossEntropyLogits, true) \
  CASE(cross_entropy, CrossEntropy, false)

// value (rows), from prediction and target (rows, n)
template <class T>
void loss_forward(T* value, const T* prediction, const T* target, index_t rows, index_t n,
                  const LossParams& p) {
  const T delta = static_cast<T>(p.delta);
  switch (p.kind) {
#define NNF_VALUES(kind, Function, mean) \
  case Loss::kind:                       \
    return loss_values<T, Function>(value, prediction, target, rows, n, delta, mean);
    NNF_LOSSES(NNF_VALUES)
#undef NNF_VALUES
  }
}

// d_prediction (rows, n) = d value / d prediction * scale * row_scale (rows, or null for 1).
// d_prediction may be prediction. 0 in rows whose row_scale is 0, whatever their values.
template <class T>
void loss_backward(T* d_prediction, const T* prediction, const T* target, const T* row_scale,
                   double scale, index_t rows, index_t n, const LossParams& p) {
  const T delta = static_cast<T>(p.delta);
  switch (p.kind) {
#define NNF_SLOPES(kind, Function, mean)             \
  case Loss::kind:                                   \
    return loss_slopes<T, Function>(                 \
        d_prediction, prediction, target, row_scale, \
        static_cast<T>((mean) ? scale / static_cast<double>(n) : scale), rows, n, delta);
    NNF_LOSSES(NNF_SLOPES)
#undef NNF_SLOPES
  }
}
#undef NNF_LOSSES
