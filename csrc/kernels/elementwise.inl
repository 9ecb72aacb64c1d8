// Element-wise operations in one pass. Outputs may be inputs.
#pragma once

// y (n) = a + b
template <class T>
void add(T* y, const T* a, const T* b, index_t n) {
  for_each_vector<T>(n, [=](index_t i, int count) {
    store_n(y + i, load_n(a + i, count) + load_n(b + i, count), count);
  });
}

// y (n) = a - b
template <class T>
void subtract(T* y, const T* a, const T* b, index_t n) {
  for_each_vector<T>(n, [=](index_t i, int count) {
    store_n(y + i, load_n(a + i, count) - load_n(b + i, count), count);
  });
}

// y (n) = the larger of a and b; NaN where either is
template <class T>
void maximum(T* y, const T* a, const T* b, index_t n) {
  for_each_vector<T>(n, [=](index_t i, int count) {
    const Vec<T> left = load_n(a + i, count), right = load_n(b + i, count);
    store_n(y + i, select(is_nan(left), left, max(left, right)), count);
  });
}

// y (n) = the smaller of a and b; NaN where either is
template <class T>
void minimum(T* y, const T* a, const T* b, index_t n) {
  for_each_vector<T>(n, [=](index_t i, int count) {
    const Vec<T> left = load_n(a + i, count), right = load_n(b + i, count);
    store_n(y + i, select(is_nan(left), left, min(left, right)), count);
  });
}

// dx (n) = dy where x is y or NaN, else 0; and there dy = 0: what one input of a maximum takes is not left for the
// next ones. dx may be null.
template <class T>
void take_where_equal(T* dx, T* dy, const T* x, const T* y, index_t n) {
  for_each_vector<T>(n, [=](index_t i, int count) {
    const Vec<T> v = load_n(x + i, count);
    const Mask<T> same = equal(v, load_n(y + i, count)) | is_nan(v);
    const Vec<T> gradient = load_n(dy + i, count);
    if (dx) store_n(dx + i, select(same, gradient, zero<T>()), count);
    store_n(dy + i, select(same, zero<T>(), gradient), count);
  });
}

// y (n) = a * b
template <class T>
void multiply(T* y, const T* a, const T* b, index_t n) {
  for_each_vector<T>(n, [=](index_t i, int count) {
    store_n(y + i, load_n(a + i, count) * load_n(b + i, count), count);
  });
}

// y (n) = x * scale + offset; x itself if that is the identity, because fma(x, 1, 0) turns -0 into
// 0.
template <class T>
void scale_shift(T* y, const T* x, index_t n, double scale, double offset) {
  if (scale == 1 && offset == 0) {
    for_each_vector<T>(n,
                       [=](index_t i, int count) { store_n(y + i, load_n(x + i, count), count); });
    return;
  }
  const Vec<T> s = broadcast<T>(static_cast<T>(scale)), o = broadcast<T>(static_cast<T>(offset));
  for_each_vector<T>(
      n, [=](index_t i, int count) { store_n(y + i, fma(load_n(x + i, count), s, o), count); });
}

// y (n) = a + scale * b, rounded once
template <class T>
void add_scaled(T* y, const T* a, const T* b, index_t n, double scale) {
  const Vec<T> s = broadcast<T>(static_cast<T>(scale));
  for_each_vector<T>(n, [=](index_t i, int count) {
    store_n(y + i, fma(load_n(b + i, count), s, load_n(a + i, count)), count);
  });
}

// y (n) = x, or the nearer of the two limits where x is beyond it; for numbers that are not NaN
template <class T>
void clip(T* y, const T* x, index_t n, double least, double most) {
  const Vec<T> low = broadcast<T>(static_cast<T>(least)), high = broadcast<T>(static_cast<T>(most));
  for_each_vector<T>(n, [=](index_t i, int count) {
    store_n(y + i, min(max(load_n(x + i, count), low), high), count);
  });
}

// y (count, n): row i is row rows[i] of x (any, n), times scale plus offset; rows null: rows 0, 1, ...
template <class T>
void gather_rows(T* y, const T* x, const int64_t* rows, index_t count, index_t n, double scale,
                 double offset) {
  for (index_t i = 0; i < count; ++i) {
    const index_t row = rows ? static_cast<index_t>(rows[i]) : i;
    scale_shift(y + i * n, x + row * n, n, scale, offset);
  }
}

// The same for bytes.
template <class T>
void gather_byte_rows(T* y, const uint8_t* x, const int64_t* rows, index_t count, index_t n,
                      double scale, double offset) {
  const Vec<T> s = broadcast<T>(static_cast<T>(scale)), o = broadcast<T>(static_cast<T>(offset));
  for (index_t r = 0; r < count; ++r) {
    const index_t row = rows ? static_cast<index_t>(rows[r]) : r;
    T* to = y + r * n;
    const uint8_t* from = x + row * n;
    for_each_vector<T>(n, [=](index_t i, int width) {
      store_n(to + i, fma(widen_bytes<T>(from + i, width), s, o), width);
    });
  }
}

template <class T, class F>
NNF_INLINE void map(T* y, const T* x, index_t n, F f) {
  for_each_vector<T>(n,
                     [=](index_t i, int count) { store_n(y + i, f(load_n(x + i, count)), count); });
}

// y (n) = the function of simd/math.h of x
template <class T>
void math(T* y, const T* x, index_t n, MathFunction function) {
  using V = Vec<T>;
  switch (function) {
    case MathFunction::exp:
      return map<T>(y, x, n, [](V v) { return exp(v); });
    case MathFunction::expm1:
      return map<T>(y, x, n, [](V v) { return expm1(v); });
    case MathFunction::log:
      return map<T>(y, x, n, [](V v) { return log(v); });
    case MathFunction::log1p:
      return map<T>(y, x, n, [](V v) { return log1p(v); });
    case MathFunction::tanh:
      return map<T>(y, x, n, [](V v) { return tanh(v); });
    case MathFunction::sigmoid:
      return map<T>(y, x, n, [](V v) { return sigmoid(v); });
    case MathFunction::erf:
      return map<T>(y, x, n, [](V v) { return erf(v); });
    case MathFunction::softplus:
      return map<T>(y, x, n, [](V v) { return softplus(v); });
  }
}
