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

// The smaller; NaN if either is, unlike min().
template <class T>
NNF_INLINE Vec<T> nan_min(Vec<T> smallest, Vec<T> v) {
  return select(is_nan(smallest), smallest, min(smallest, v));
}

// out (ROWS) = f of the numbers of each row of x (ROWS, n), like LaneSum: lane j of 16 (float) or 8
// (double) takes numbers j, j + 16, ... So the sign of a zero is the same for every vector width, too.
template <class T, int ROWS, class F>
NNF_INLINE void fold_some_rows(T* out, const T* x, index_t n, T identity, const F& f) {
  constexpr int lanes = Vec<T>::lanes, all = VirtualLanes<T>::value, parts = all / lanes;
  Vec<T> part[ROWS][parts];
  for (int r = 0; r < ROWS; ++r) {
    for (int p = 0; p < parts; ++p) part[r][p] = broadcast<T>(identity);
  }
  index_t i = 0;
  for (; i + all <= n; i += all) {
    for (int r = 0; r < ROWS; ++r) {
      for (int p = 0; p < parts; ++p) part[r][p] = f(part[r][p], load(x + r * n + i + p * lanes));
    }
  }
  for (int p = 0; p < parts && i < n; ++p, i += lanes) {
    const int count = n - i < lanes ? static_cast<int>(n - i) : lanes;
    for (int r = 0; r < ROWS; ++r) {
      const Vec<T> v = load_n(x + r * n + i, count);
      part[r][p] = f(part[r][p], select(first_lanes<T>(count), v, broadcast<T>(identity)));
    }
  }
  for (int r = 0; r < ROWS; ++r) {
    for (int half = parts / 2; half > 0; half /= 2) {
      for (int p = 0; p < half; ++p) part[r][p] = f(part[r][p], part[r][p + half]);
    }
    out[r] = fold_lanes(part[r][0], f);
  }
}

// out (rows) = the sum, maximum, minimum or product over j of x (rows, n); of no numbers 0, -inf,
// inf or 1. NaN if any number is. Sums are one chain per lane. Several rows at a time are several
// streams from memory, and chains that do not wait for each other.
template <class T>
void fold_rows(T* out, const T* x, index_t rows, index_t n, Reduction by) {
  using V = Vec<T>;
  constexpr int together = VirtualLanes<T>::value / V::lanes > 2 ? 2 : 4;  // fit into the registers
  const T infinity = MathConstants<T>::infinity;
  const auto fold = [=](T identity, auto f) {
    index_t r = 0;
    for (; r + together <= rows; r += together)
      fold_some_rows<T, together>(out + r, x + r * n, n, identity, f);
    for (; r < rows; ++r) fold_some_rows<T, 1>(out + r, x + r * n, n, identity, f);
  };
  switch (by) {
    case Reduction::sum:
    case Reduction::mean:
      return fold(T(0), [](V a, V b) NNF_INLINE_LAMBDA { return a + b; });
    case Reduction::max:
      return fold(-infinity, [](V a, V b) NNF_INLINE_LAMBDA { return nan_max(a, b); });
    case Reduction::min:
      return fold(infinity, [](V a, V b) NNF_INLINE_LAMBDA { return nan_min(a, b); });
    case Reduction::prod:
      return fold(T(1), [](V a, V b) NNF_INLINE_LAMBDA { return a * b; });
  }
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

// out (n) = f of the rows of x (ROWS, n), or f of `out` and that unless they are the first.
template <class T, int ROWS, class F>
NNF_INLINE void stack_rows(T* out, const T* x, index_t row, index_t n, bool first, const F& f) {
  for_each_vector<T>(n, [=](index_t j, int count) {
    Vec<T> v = load_n(x + j, count);
    NNF_UNROLL for (int r = 1; r < ROWS; ++r) v = f(v, load_n(x + r * row + j, count));
    store_n(out + j, first ? v : f(load_n(out + j, count), v), count);
  });
}

// out (n) = the sum, maximum, minimum or product over rows of x (rows >= 1, n), with a stride of
// `row` elements between rows: chains over eight rows, in one chain. NaN for columns that contain
// NaN. Reading eight whole rows at a time, instead of a strip of all rows, was up to four times as
// fast for 4096 rows of 1024.
template <class T>
void fold_columns(T* out, const T* x, index_t row, index_t rows, index_t n, Reduction by) {
  using V = Vec<T>;
  const auto fold = [=](auto f) {
    index_t r = 0;
    for (; r + 8 <= rows; r += 8) stack_rows<T, 8>(out, x + r * row, row, n, r == 0, f);
    for (; r + 2 <= rows; r += 2) stack_rows<T, 2>(out, x + r * row, row, n, r == 0, f);
    if (r < rows) stack_rows<T, 1>(out, x + r * row, row, n, r == 0, f);
  };
  switch (by) {
    case Reduction::sum:
    case Reduction::mean:
      return fold([](V a, V b) NNF_INLINE_LAMBDA { return a + b; });
    case Reduction::max:
      return fold([](V a, V b) NNF_INLINE_LAMBDA { return nan_max(a, b); });
    case Reduction::min:
      return fold([](V a, V b) NNF_INLINE_LAMBDA { return nan_min(a, b); });
    case Reduction::prod:
      return fold([](V a, V b) NNF_INLINE_LAMBDA { return a * b; });
  }
}
