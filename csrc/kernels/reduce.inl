// Reductions. Sums along a row use 16 (float) or 8 (double) virtual lanes and one tree
// (simd/vec.h); sums down columns are one chain over the rows in ascending order, which
// ops/reduce.cpp keeps short.
#pragma once

// out (rows) = sum over j of x (rows, n)
template <class T>
void sum_rows(T* out, const T* x, index_t rows, index_t n) {
  for (index_t r = 0; r < rows; ++r) {
    const T* row = x + r * n;
    out[r] = lane_sum<T>(n, [=](index_t i, int count) { return load_n(row + i, count); });
  }
}

// sum over i of x_i^2
template <class T>
T sum_of_squares(const T* x, index_t n) {
  return lane_sum<T>(n, [=](index_t i, int count) {
    const Vec<T> v = load_n(x + i, count);
    return v * v;
  });
}

// The larger; NaN if either is, unlike max().
template <class T>
NNF_INLINE Vec<T> nan_max(Vec<T> largest, Vec<T> v) {
  return select(is_nan(largest), largest, max(largest, v));
}

// The maximum of n >= 1 numbers; NaN if any is NaN.
template <class T>
NNF_INLINE T row_max(const T* x, index_t n) {
  constexpr int lanes = Vec<T>::lanes;
  Vec<T> largest;
  if (n >= lanes) {
    largest = load(x);
    for (index_t i = lanes; i + lanes <= n; i += lanes) largest = nan_max(largest, load(x + i));
    // The last vector may overlap the one before, which does not change a maximum.
    largest = nan_max(largest, load(x + n - lanes));
  } else {
    const int count = static_cast<int>(n);
    largest = select(first_lanes<T>(count), load_partial(x, count), broadcast<T>(x[0]));
  }
  return fold_lanes(largest, [](Vec<T> a, Vec<T> b) NNF_INLINE_LAMBDA { return nan_max(a, b); });
}

// out (rows) = max over j of x (rows, n), n >= 1
template <class T>
void max_rows(T* out, const T* x, index_t rows, index_t n) {
  for (index_t r = 0; r < rows; ++r) out[r] = row_max(x + r * n, n);
}

// Whether running sums of x (n) times scale stay finite. With a scale of 0: whether x contains no
// infinity or NaN. With 2^e: true only if all are below MAX / 2^(e - 1), and false if one times
// scale overflows, or sums of large numbers do.
template <class T>
bool all_below(const T* x, index_t n, T scale) {
  const Vec<T> s = broadcast<T>(scale);
  Vec<T> sum = zero<T>();
  for_each_vector<T>(n, [&](index_t i, int count) { sum = fma(load_n(x + i, count), s, sum); });
  return !any(is_nan(sum * zero<T>()));
}

// The first NaN of n >= 1 numbers, or else the first maximum.
template <class T>
index_t careful_argmax(const T* row, index_t n) {
  index_t best = 0;
  for (index_t i = 0; i < n; ++i) {
    if (row[i] != row[i]) return i;
    if (row[i] > row[best]) best = i;
  }
  return best;
}

// out (rows) = the index of the first maximum of x (rows, n), n >= 1, or of the first NaN. Checking
// all numbers for NaN beforehand saves a check for each row.
template <class T>
void argmax_rows(int32_t* out, const T* x, index_t rows, index_t n) {
  const bool plain = all_below(x, rows * n, T(0));  // all finite
  for (index_t r = 0; r < rows; ++r) {
    const T* row = x + r * n;
    index_t best = 0;
    if (plain) {
      for (index_t i = 1; i < n; ++i) best = row[i] > row[best] ? i : best;
    } else {
      best = careful_argmax(row, n);
    }
    out[r] = static_cast<int32_t>(best);
  }
}

// out (n) += sum over rows of x (rows, n), with a stride of `row` elements between rows: one chain,
// added as a whole
template <class T>
void accumulate_columns(T* out, const T* x, index_t row, index_t rows, index_t n) {
  for_each_strip<T>(n, [=](index_t j, auto vectors, int count) {
    constexpr int V = decltype(vectors)::value, lanes = Vec<T>::lanes;
    Vec<T> sum[V];
    for (int v = 0; v < V; ++v) sum[v] = zero<T>();
    for (index_t r = 0; r < rows; ++r) {
      const T* from = x + r * row + j;
      for (int v = 0; v < V; ++v) sum[v] = sum[v] + load_n(from + v * lanes, count);
    }
    for (int v = 0; v < V; ++v) {
      T* to = out + j + v * lanes;
      store_n(to, load_n(to, count) + sum[v], count);
    }
  });
}

// out (n) = max over rows of x (rows, n), rows >= 1; NaN for columns that contain NaN
template <class T>
void max_columns(T* out, const T* x, index_t rows, index_t n) {
  for_each_vector<T>(n, [=](index_t j, int count) {
    Vec<T> largest = load_n(x + j, count);
    for (index_t r = 1; r < rows; ++r) {
      largest = nan_max(largest, load_n(x + r * n + j, count));
    }
    store_n(out + j, largest, count);
  });
}
