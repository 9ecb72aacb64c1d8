// Normalization. Batch and group normalization operate on a matrix (rows, n) whose columns are
// channels; if there are few channels, ops/norm/norm.cpp treats several rows as one row of a wider
// matrix. Layer and root mean square normalization operate along rows.

// sum (n) += sum over rows of x - shift, square (n) += that of (x - shift)^2, one chain per column.
// x (rows, n), with a stride of `row` elements between rows. If square is null, shift is taken as
// 0.
template <class T>
void column_moments(T* sum, T* square, const T* x, const T* shift, index_t row, index_t rows,
                    index_t n) {
  for_each_strip<T>(n, [=](index_t j, auto vectors, int count) {
    constexpr int V = decltype(vectors)::value, lanes = Vec<T>::lanes;
    Vec<T> s[V];
    for (int v = 0; v < V; ++v) s[v] = load_n(sum + j + v * lanes, count);
    if (!square) {
      for (index_t r = 0; r < rows; ++r) {
        const T* from = x + r * row + j;
        for (int v = 0; v < V; ++v) s[v] = s[v] + load_n(from + v * lanes, count);
      }
    } else {
      Vec<T> q[V], m[V];
      for (int v = 0; v < V; ++v) {
        q[v] = load_n(square + j + v * lanes, count);
        m[v] = load_n(shift + j + v * lanes, count);
      }
      for (index_t r = 0; r < rows; ++r) {
        const T* from = x + r * row + j;
        for (int v = 0; v < V; ++v) {
          const Vec<T> d = load_n(from + v * lanes, count) - m[v];
          s[v] = s[v] + d;
          q[v] = fma(d, d, q[v]);
        }
      }
      for (int v = 0; v < V; ++v) store_n(square + j + v * lanes, q[v], count);
    }
    for (int v = 0; v < V; ++v) store_n(sum + j + v * lanes, s[v], count);
  });
}

constexpr index_t kShortRow = 128;

// y (rows, n) = x normalized according to `by`, with max(0, .) if relu. y may be x.
template <class T>
void normalize_columns(T* y, const T* x, const ColumnScale<T>& by, index_t rows, index_t n,
                       bool relu) {
  const T *center = by.center, *scale = by.scale, *shift = by.shift;
  // Short rows in pairs halve the reads of the columns' parameters. For long rows, the hardware
  // prefetcher would not recognize two streams: 32x14x14x256 took 1.6 times as long.
  const auto some_rows = [=](index_t r, auto together, auto f) NNF_INLINE_LAMBDA {
    for_each_vector<T>(n, [=](index_t j, int count) {
      const Vec<T> c = load_n(center + j, count);
      const Vec<T> s = load_n(scale + j, count), o = load_n(shift + j, count);
      for (int i = 0; i < together; ++i) {
        const index_t at = (r + i) * n + j;
        store_n(y + at, f(fma(load_n(x + at, count) - c, s, o)), count);
      }
    });
  };
  const auto pass = [=](auto f) {
    index_t r = 0;
    for (; r + 2 <= rows && n <= kShortRow; r += 2) some_rows(r, Constant<2>(), f);
    for (; r < rows; ++r) some_rows(r, Constant<1>(), f);
  };
  if (relu) {
    pass([](Vec<T> v) { return max(zero<T>(), v); });
  } else {
    pass([](Vec<T> v) { return v; });
  }
}

// dy where the activation is active. y > 0 is recomputed from x - mean, which is cheaper than
// reading y.
template <class T, bool RELU>
NNF_INLINE Vec<T> passed_gradient(const NormGradient<T>& p, index_t at, index_t j, Vec<T> distance,
                                  int count) {
  const Vec<T> dy = load_n(p.dy + at, count);
  if (!RELU) return dy;
  const Vec<T> y = fma(distance, load_n(p.scale + j, count), load_n(p.shift + j, count));
  return select(less(zero<T>(), y), dy, zero<T>());
}

template <class T, bool RELU>
NNF_INLINE void gradient_sums_of(T* sum, T* product, const NormGradient<T>& p) {
  for_each_strip<T>(p.n, [&](index_t j, auto vectors, int count) {
    constexpr int V = decltype(vectors)::value, lanes = Vec<T>::lanes;
    Vec<T> s[V], q[V];
    for (int v = 0; v < V; ++v) {
      s[v] = load_n(sum + j + v * lanes, count);
      q[v] = load_n(product + j + v * lanes, count);
    }
    for (index_t r = 0; r < p.rows; ++r) {
      for (int v = 0; v < V; ++v) {
        const index_t column = j + v * lanes, at = r * p.row + column;
        const Vec<T> distance = load_n(p.x + at, count) - load_n(p.mean + column, count);
        const Vec<T> g = passed_gradient<T, RELU>(p, at, column, distance, count);
        s[v] = s[v] + g;
        q[v] = fma(g, distance, q[v]);
      }
    }
    for (int v = 0; v < V; ++v) {
      store_n(sum + j + v * lanes, s[v], count);
      store_n(product + j + v * lanes, q[v], count);
    }
  });
}

// sum (n) += sum over rows of g, product (n) += that of g (x - mean), one chain per column; g as in
// NormGradient. Does not read x_factor and offset; reads scale and shift only with relu.
template <class T>
void column_gradient_sums(T* sum, T* product, const NormGradient<T>& p) {
  if (p.relu) return gradient_sums_of<T, true>(sum, product, p);
  gradient_sums_of<T, false>(sum, product, p);
}

template <class T, bool RELU>
NNF_INLINE void input_gradient_of(const NormGradient<T>& p) {
  for (index_t r = 0; r < p.rows; ++r) {
    for_each_vector<T>(p.n, [&](index_t j, int count) {
      const index_t at = r * p.row + j;
      const Vec<T> distance = load_n(p.x + at, count) - load_n(p.mean + j, count);
      const Vec<T> g = passed_gradient<T, RELU>(p, at, j, distance, count);
      const Vec<T> own = fma(g, load_n(p.scale + j, count), load_n(p.offset + j, count));
      store_n(p.dx + at, fma(distance, load_n(p.x_factor + j, count), own), count);
    });
  }
}

// dx of NormGradient. dx may be dy.
template <class T>
void normalize_columns_backward(const NormGradient<T>& p) {
  if (p.relu) return input_gradient_of<T, true>(p);
  input_gradient_of<T, false>(p);
}

// lane_sum of two terms at once: term(i, count, a, b) returns both, with lanes past count 0.
template <class T, class Term>
NNF_INLINE void two_lane_sums(index_t n, T& first, T& second, Term term) {
  constexpr int lanes = Vec<T>::lanes, parts = LaneSum<T>::parts;
  double first_total = 0, second_total = 0;
  for (index_t i = 0;;) {
    const index_t end = n - i <= kSumTile ? n : i + kSumTile;
    LaneSum<T> one, other;
    const auto add = [&](int p, index_t at, int count) {
      Vec<T> a, b;
      term(at, count, a, b);
      one.part[p] = one.part[p] + a;
      other.part[p] = other.part[p] + b;
    };
    for (; i + LaneSum<T>::virtual_lanes <= end; i += LaneSum<T>::virtual_lanes) {
      for (int p = 0; p < parts; ++p) add(p, i + p * lanes, lanes);
    }
    for (int p = 0; p < parts && i < end; ++p, i += lanes) {
      add(p, i, end - i < lanes ? static_cast<int>(end - i) : lanes);
    }
    first_total += static_cast<double>(one.total());
    second_total += static_cast<double>(other.total());
    if (end == n) break;
  }
  first = static_cast<T>(first_total);
  second = static_cast<T>(second_total);
}

template <class T>
struct RowMoments {
  Vec<T> mean, inverse;  // 1 / sqrt(variance + epsilon)
};

// Two passes: the second sums around the first one's mean, which also corrects it.
template <class T>
NNF_INLINE RowMoments<T> row_moments(const T* x, index_t n, double epsilon) {
  const T share = T(1) / static_cast<T>(n);
  const T rough =
      lane_sum<T>(n, [=](index_t i, int count) { return load_n(x + i, count); }) * share;
  const Vec<T> around = broadcast<T>(rough);
  T sum, square;
  two_lane_sums<T>(n, sum, square, [=](index_t i, int count, Vec<T>& a, Vec<T>& b) {
    a = keep_first(load_n(x + i, count) - around, count);
    b = a * a;
  });
  const T rest = sum * share, variance = square * share - rest * rest;
  const T positive = variance > T(0) || variance != variance ? variance : T(0);
  const T deviation = first_lane(sqrt(broadcast<T>(positive + static_cast<T>(epsilon))));
  // NaN if the variance overflows, as in the other normalizations: a row of zeros would look like a
  // result.
  const T nan_or_zero = deviation - deviation;
  return {broadcast<T>(rough + rest), broadcast<T>(T(1) / deviation + nan_or_zero)};
}

template <class T>
NNF_INLINE Vec<T> load_or(const T* p, index_t i, int count, Vec<T> otherwise) {
  return p ? load_n(p + i, count) : otherwise;
}

// y of LayerNorm (Ba, Kiros, Hinton 2016, arXiv:1607.06450). y may be x.
template <class T>
void layer_norm_forward(const LayerNorm<T>& p) {
  const Vec<T> one = broadcast<T>(T(1));
  for (index_t r = 0; r < p.rows; ++r) {
    const T* x = p.x + r * p.n;
    T* y = p.y + r * p.n;
    const RowMoments<T> m = row_moments(x, p.n, p.epsilon);
    for_each_vector<T>(p.n, [&](index_t i, int count) {
      const Vec<T> unit = (load_n(x + i, count) - m.mean) * m.inverse;
      store_n(y + i,
              fma(unit, load_or(p.gamma, i, count, one), load_or(p.beta, i, count, zero<T>())),
              count);
    });
  }
}

// With u = (x - mean) / sqrt(variance + epsilon) and g = dy gamma: dx = (g - mean(g) - u mean(g u))
// / sqrt(variance + epsilon), overwritten; d_gamma += sum over rows of dy u, d_beta += that of dy.
// The moments are recomputed. dx may be dy.
template <class T>
void layer_norm_backward(const LayerNormGradient<T>& p) {
  const Vec<T> one = broadcast<T>(T(1));
  const T share = T(1) / static_cast<T>(p.n);
  for (index_t r = 0; r < p.rows; ++r) {
    const T* x = p.x + r * p.n;
    const T* dy = p.dy + r * p.n;
    const RowMoments<T> m = row_moments(x, p.n, p.epsilon);
    T sum, product;
    two_lane_sums<T>(p.n, sum, product, [&](index_t i, int count, Vec<T>& a, Vec<T>& b) {
      const Vec<T> d = load_n(dy + i, count), unit = (load_n(x + i, count) - m.mean) * m.inverse;
      store_n(p.d_gamma + i, fma(d, unit, load_n(p.d_gamma + i, count)), count);
      store_n(p.d_beta + i, load_n(p.d_beta + i, count) + d, count);
      a = d * load_or(p.gamma, i, count, one);
      b = a * unit;
    });
    if (!p.dx) continue;
    const Vec<T> mean_g = broadcast<T>(sum * share), mean_gu = broadcast<T>(product * share);
    T* dx = p.dx + r * p.n;
    for_each_vector<T>(p.n, [&](index_t i, int count) {
      const Vec<T> unit = (load_n(x + i, count) - m.mean) * m.inverse;
      const Vec<T> g = load_n(dy + i, count) * load_or(p.gamma, i, count, one);
      store_n(dx + i, fnma(unit, mean_gu, g - mean_g) * m.inverse, count);
    });
  }
}

// 1 / sqrt(mean of x^2 + epsilon), NaN if a square overflows.
template <class T>
NNF_INLINE Vec<T> inverse_magnitude(const T* x, index_t n, double epsilon) {
  const T square = lane_sum<T>(n, [=](index_t i, int count) {
    const Vec<T> v = load_n(x + i, count);
    return v * v;
  });
  const T mean = square * (T(1) / static_cast<T>(n));
  const T magnitude = first_lane(sqrt(broadcast<T>(mean + static_cast<T>(epsilon))));
  return broadcast<T>(T(1) / magnitude + (magnitude - magnitude));
}

// y (rows, n) = x / sqrt(mean of the row's x^2 + epsilon) * gamma (Zhang, Sennrich 2019,
// arXiv:1910.07467); beta is ignored. y may be x.
template <class T>
void rms_norm_forward(const LayerNorm<T>& p) {
  const Vec<T> one = broadcast<T>(T(1));
  for (index_t r = 0; r < p.rows; ++r) {
    const T* x = p.x + r * p.n;
    T* y = p.y + r * p.n;
    const Vec<T> inverse = inverse_magnitude(x, p.n, p.epsilon);
    for_each_vector<T>(p.n, [&](index_t i, int count) {
      const Vec<T> unit = load_n(x + i, count) * inverse;
      store_n(y + i, unit * load_or(p.gamma, i, count, one), count);
    });
  }
}

// With u = x / sqrt(mean of x^2 + epsilon) and g = dy gamma: dx = (g - u mean(g u)) / sqrt(mean of
// x^2 + epsilon), overwritten; d_gamma += sum over rows of dy u. d_beta is ignored. dx may be dy.
template <class T>
void rms_norm_backward(const LayerNormGradient<T>& p) {
  const Vec<T> one = broadcast<T>(T(1));
  const T share = T(1) / static_cast<T>(p.n);
  for (index_t r = 0; r < p.rows; ++r) {
    const T* x = p.x + r * p.n;
    const T* dy = p.dy + r * p.n;
    const Vec<T> inverse = inverse_magnitude(x, p.n, p.epsilon);
    const T product = lane_sum<T>(p.n, [&](index_t i, int count) {
      const Vec<T> d = load_n(dy + i, count), unit = load_n(x + i, count) * inverse;
      store_n(p.d_gamma + i, fma(d, unit, load_n(p.d_gamma + i, count)), count);
      return d * load_or(p.gamma, i, count, one) * unit;
    });
    if (!p.dx) continue;
    const Vec<T> mean_gu = broadcast<T>(product * share);
    T* dx = p.dx + r * p.n;
    for_each_vector<T>(p.n, [&](index_t i, int count) {
      const Vec<T> unit = load_n(x + i, count) * inverse;
      const Vec<T> g = load_n(dy + i, count) * load_or(p.gamma, i, count, one);
      store_n(dx + i, fnma(unit, mean_gu, g) * inverse, count);
    });
  }
}
