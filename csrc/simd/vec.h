// The interface of Vec<T>, T = float or double: what every vec_<isa>.h provides, and what is built
// on it here. Included inside namespace nnfast::<isa>::{anonymous}, after the vec_<isa>.h.
//
//   NNF_VECTOR_REGISTER                inline-assembly constraint of a vector register
//   Vec<T>::lanes                      number of elements
//   load(p), store(p, v)               any alignment
//   stream(p, v)                       non-temporal store, p aligned; finish_streams() before others read
//   load_partial(p, n)                 first n lanes (0 <= n <= lanes), the others 0; reads nothing else
//   store_partial(p, v, n)             first n lanes; writes nothing else
//   broadcast<T>(s)
//   + - * / and unary -                IEEE, one rounding each
//   fma(a, b, c)  = a*b + c            one rounding (two on the baseline, which has no fma)
//   fnma(a, b, c) = c - a*b
//   min(a, b)     = a < b ? a : b      the second operand if either is NaN
//   max(a, b)     = a > b ? a : b
//   abs, sqrt, copysign(magnitude, sign)
//   less, less_equal, equal -> Mask<T> false for NaN; not_equal: true for it
//   select(mask, a, b)                 mask ? a : b in each lane
//   mask | mask, mask & mask, any(mask)
//   move_down<half>(v)                 lane i + half in lane i, for i < half; half = lanes / 2, ..., 2, 1
//   pow2(n)                            2^n for integral n in the normal range
//   exponent(x), mantissa(x)           x = mantissa * 2^exponent, mantissa in [1, 2), x normal > 0
//   reciprocal_estimate(x)             float only, 2^-100 < x < 2^100: within 5.1 %, same on all sets
//   widen_low(v), widen_high(v)        the lower and the upper half of a Vec<float> in double
//   narrow(low, high)                  both halves rounded to float
//   widen_bytes<T>(p, n)               n bytes as numbers, other lanes 0
//   gather16(out, from, at)            out[k] = from[at[k]] for k < 16; int32_t, float, double
//   transpose_square(dst, row, src, row)  a square of `lanes` rows and columns
//
// Words: vectors of unsigned 64-bit integers with the lanes of Vec<double>, for random numbers.
//
//   load_words(p), store_words(p, v), broadcast_words(s), ^
//   upper_half(v)                      v >> 32
//   multiply_lower_halves(a, b)        (a mod 2^32) (b mod 2^32), 64 bits
//
// Constants that select between variants of a kernel; none of them changes a bit of its results.
//
//   kHasFma                            fma rounds once: bits are those of every set that has it
//   kPartialLoadsAreCheap              a masked load, not a loop over lanes: edges need no copy
//   kGemmVectors                       vectors of columns in a product's tile
//   gemm_rows(vectors)                 rows of a tile of that many vectors, limited by the registers
//   kGemmUnrolls                       whether the loop of a full tile is unrolled over k
#pragma once

// Nearest integer, ties to even, for |x| < 2^22 (float) or 2^51 (double): the sum rounds at the
// units place because one ULP of the constant is 1.
template <class T>
struct RoundConstant;
template <>
struct RoundConstant<float> {
  static constexpr float value = 12582912.0f;  // 1.5 * 2^23
};
template <>
struct RoundConstant<double> {
  static constexpr double value = 6755399441055744.0;  // 1.5 * 2^52
};

template <class T>
NNF_INLINE Vec<T> round_nearest(Vec<T> x) {
  const Vec<T> magic = broadcast<T>(RoundConstant<T>::value);
  return (x + magic) - magic;
}

template <class T>
NNF_INLINE Mask<T> is_nan(Vec<T> x) {
  return not_equal(x, x);
}

template <class T>
NNF_INLINE Vec<T> zero() {
  return broadcast<T>(T(0));
}

template <int N>
struct Constant {
  NNF_INLINE constexpr operator int() const { return N; }
};

// sum[v] += *a * b[v].
template <class T, int N>
NNF_INLINE void add_multiple(Vec<T> (&sum)[N], const T* a, const Vec<T> (&b)[N]) {
  const Vec<T> factor = broadcast<T>(*a);
  NNF_UNROLL for (int v = 0; v < N; ++v) sum[v] = fma(factor, b[v], sum[v]);
}

// Hides the origin of a value from the compiler, which otherwise kept several copies of the one
// vector from which all sums of a tile start, more than there are registers.
template <class V>
NNF_INLINE V forget_origin(V a) {
#if !defined(_MSC_VER) || defined(__clang__)
  __asm__("" : "+" NNF_VECTOR_REGISTER(a.v));
#endif
  return a;
}

// Prefetch the cache line at p for reading or writing. Any address is allowed.
template <class T>
NNF_INLINE void prefetch_for_reading(const T* p) {
#if defined(_MSC_VER) && !defined(__clang__)
  static_cast<void>(p);
#else
  __builtin_prefetch(p);
#endif
}
template <class T>
NNF_INLINE void prefetch_for_writing(const T* p) {
#if defined(_MSC_VER) && !defined(__clang__)
  static_cast<void>(p);
#else
  __builtin_prefetch(p, 1);
#endif
}

// For single numbers.
template <class T>
NNF_INLINE T first_lane(Vec<T> v) {
  T lanes[Vec<T>::lanes];
  store(lanes, v);
  return lanes[0];
}

// Combines all lanes in a fixed tree: lane j with lane j + lanes / 2, then with j + lanes / 4, ...
template <class T, class Combine, int half = Vec<T>::lanes / 2>
NNF_INLINE T fold_lanes(Vec<T> v, const Combine& combine) {
  if constexpr (half == 0) {
    return first_lane(v);
  } else {
    return fold_lanes<T, Combine, half / 2>(combine(v, move_down<half>(v)), combine);
  }
}

template <class T>
struct LaneNumbers {
  static constexpr T c[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
};

// True in the first n lanes.
template <class T>
NNF_INLINE Mask<T> first_lanes(int n) {
  return less(load(LaneNumbers<T>::c), broadcast<T>(static_cast<T>(n)));
}

// A count that a body `[](index_t offset, auto count)` knows at compile time, so that it is
// compiled twice, once for whole vectors only. This pays for large bodies, which are not inlined.
template <class T>
struct WholeVector {
  constexpr operator int() const { return Vec<T>::lanes; }
};

// Calls body(offset, count) for each vector of n elements; count < lanes only in the last call.
template <class T, class Body>
NNF_INLINE void for_each_vector(index_t n, Body body) {
  constexpr int lanes = Vec<T>::lanes;
  index_t i = 0;
  for (; i + lanes <= n; i += lanes) body(i, WholeVector<T>{});
  if (i < n) body(i, static_cast<int>(n - i));
}

template <int N>
struct VectorCount {
  static constexpr int value = N;
};

// Calls body(offset, VectorCount, lanes of the last vector) for strips of n columns: of 4 vectors,
// whose sums are independent of each other, then of one.
template <class T, class Body>
NNF_INLINE void for_each_strip(index_t n, Body body) {
  constexpr int lanes = Vec<T>::lanes;
  index_t j = 0;
  for (; j + 4 * lanes <= n; j += 4 * lanes) body(j, VectorCount<4>(), lanes);
  for (; j + lanes <= n; j += lanes) body(j, VectorCount<1>(), lanes);
  if (j < n) body(j, VectorCount<1>(), static_cast<int>(n - j));
}

// load_partial and store_partial, at no cost if the count is the compile-time width.
template <class T>
NNF_INLINE Vec<T> load_n(const T* p, int n) {
  return n == Vec<T>::lanes ? load(p) : load_partial(p, n);
}
template <class T>
NNF_INLINE void store_n(T* p, Vec<T> v, int n) {
  if (n == Vec<T>::lanes) {
    store(p, v);
  } else {
    store_partial(p, v, n);
  }
}

template <class T>
NNF_INLINE void fill_zero(T* y, index_t n) {
  for_each_vector<T>(n, [=](index_t i, int count) { store_n(y + i, zero<T>(), count); });
}

// v with all lanes but the first n set to 0.
template <class T>
NNF_INLINE Vec<T> keep_first(Vec<T> v, int n) {
  return n == Vec<T>::lanes ? v : select(first_lanes<T>(n), v, zero<T>());
}

// A sum in 16 (float) or 8 (double) virtual lanes, combined in a fixed tree, so that it is the same
// for every vector width: lane j sums elements j, j + 16, j + 32, ... Sums of more than kSumTile
// elements are computed in tiles, which are added in float64, because the error of a chain grows
// with its length.
constexpr index_t kSumTile = 4096;

template <class T>
struct LaneSum {
  static constexpr int virtual_lanes = VirtualLanes<T>::value;
  static constexpr int parts = virtual_lanes / Vec<T>::lanes;
  Vec<T> part[parts];

  NNF_INLINE LaneSum() {
    for (int p = 0; p < parts; ++p) part[p] = zero<T>();
  }
  NNF_INLINE T total() {
    for (int half = parts / 2; half > 0; half /= 2) {
      for (int p = 0; p < half; ++p) part[p] = part[p] + part[p + half];
    }
    return fold_lanes(part[0], [](Vec<T> a, Vec<T> b) NNF_INLINE_LAMBDA { return a + b; });
  }
};

// The sum over begin <= i < end of term(i, count), which returns a vector whose lanes past count
// are 0.
template <class T, class Term>
NNF_INLINE T lane_sum_of_tile(index_t begin, index_t end, const Term& term) {
  constexpr int lanes = Vec<T>::lanes;
  LaneSum<T> sum;
  index_t i = begin;
  for (; i + LaneSum<T>::virtual_lanes <= end; i += LaneSum<T>::virtual_lanes) {
    for (int p = 0; p < LaneSum<T>::parts; ++p) {
      sum.part[p] = sum.part[p] + term(i + p * lanes, lanes);
    }
  }
  for (int p = 0; p < LaneSum<T>::parts && i < end; ++p, i += lanes) {
    const int count = end - i < lanes ? static_cast<int>(end - i) : lanes;
    sum.part[p] = sum.part[p] + term(i, count);
  }
  return sum.total();
}

template <class T, class Term>
NNF_OUTLINE T lane_sum_of_tiles(index_t n, const Term& term) {
  double total = 0;
  for (index_t i = 0; i < n; i += kSumTile) {
    const index_t end = n - i < kSumTile ? n : i + kSumTile;
    total += static_cast<double>(lane_sum_of_tile<T>(i, end, term));
  }
  return static_cast<T>(total);
}

// Short sums are inlined: for rows of ten, a loop over tiles took a tenth of the time of softmax.
template <class T, class Term>
NNF_INLINE T lane_sum(index_t n, const Term& term) {
  return n <= kSumTile ? lane_sum_of_tile<T>(0, n, term) : lane_sum_of_tiles<T>(n, term);
}
