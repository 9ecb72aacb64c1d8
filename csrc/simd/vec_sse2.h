// Vec<T> in SSE2, available on every x86-64. There is no fma: fma(a, b, c) rounds twice, so results
// differ from the other instruction sets in the last bits. Interface: vec.h.
#define NNF_VECTOR_REGISTER "x"

template <class T>
struct Vec;
template <class T>
struct Mask;

template <>
struct Vec<float> {
  static constexpr int lanes = 4;
  __m128 v;
};
template <>
struct Vec<double> {
  static constexpr int lanes = 2;
  __m128d v;
};
template <>
struct Mask<float> {
  __m128 m;
};
template <>
struct Mask<double> {
  __m128d m;
};

using Vf = Vec<float>;
using Vd = Vec<double>;
using Mf = Mask<float>;
using Md = Mask<double>;

NNF_INLINE Vf load(const float* p) { return {_mm_loadu_ps(p)}; }
NNF_INLINE Vd load(const double* p) { return {_mm_loadu_pd(p)}; }
NNF_INLINE void store(float* p, Vf a) { _mm_storeu_ps(p, a.v); }
NNF_INLINE void store(double* p, Vd a) { _mm_storeu_pd(p, a.v); }
NNF_INLINE void stream(float* p, Vf a) { _mm_stream_ps(p, a.v); }
NNF_INLINE void stream(double* p, Vd a) { _mm_stream_pd(p, a.v); }
NNF_INLINE void finish_streams() { _mm_sfence(); }
NNF_INLINE Vf load_partial(const float* p, int n) {
  float lane[4] = {0, 0, 0, 0};
  for (int i = 0; i < n; ++i) lane[i] = p[i];
  return load(lane);
}
NNF_INLINE Vd load_partial(const double* p, int n) {
  return {_mm_setr_pd(n > 0 ? p[0] : 0.0, n > 1 ? p[1] : 0.0)};
}
NNF_INLINE void store_partial(float* p, Vf a, int n) {
  float lane[4];
  store(lane, a);
  for (int i = 0; i < n; ++i) p[i] = lane[i];
}
NNF_INLINE void store_partial(double* p, Vd a, int n) {
  double lane[2];
  store(lane, a);
  for (int i = 0; i < n; ++i) p[i] = lane[i];
}

template <class T>
NNF_INLINE Vec<T> broadcast(T s);
template <>
NNF_INLINE Vf broadcast<float>(float s) {
  return {_mm_set1_ps(s)};
}
template <>
NNF_INLINE Vd broadcast<double>(double s) {
  return {_mm_set1_pd(s)};
}

NNF_INLINE Vf operator+(Vf a, Vf b) { return {_mm_add_ps(a.v, b.v)}; }
NNF_INLINE Vd operator+(Vd a, Vd b) { return {_mm_add_pd(a.v, b.v)}; }
NNF_INLINE Vf operator-(Vf a, Vf b) { return {_mm_sub_ps(a.v, b.v)}; }
NNF_INLINE Vd operator-(Vd a, Vd b) { return {_mm_sub_pd(a.v, b.v)}; }
NNF_INLINE Vf operator*(Vf a, Vf b) { return {_mm_mul_ps(a.v, b.v)}; }
NNF_INLINE Vd operator*(Vd a, Vd b) { return {_mm_mul_pd(a.v, b.v)}; }
NNF_INLINE Vf operator/(Vf a, Vf b) { return {_mm_div_ps(a.v, b.v)}; }
NNF_INLINE Vd operator/(Vd a, Vd b) { return {_mm_div_pd(a.v, b.v)}; }
NNF_INLINE Vf operator-(Vf a) { return {_mm_xor_ps(a.v, _mm_set1_ps(-0.0f))}; }
NNF_INLINE Vd operator-(Vd a) { return {_mm_xor_pd(a.v, _mm_set1_pd(-0.0))}; }

NNF_INLINE Vf fma(Vf a, Vf b, Vf c) { return a * b + c; }
NNF_INLINE Vd fma(Vd a, Vd b, Vd c) { return a * b + c; }
NNF_INLINE Vf fnma(Vf a, Vf b, Vf c) { return c - a * b; }
NNF_INLINE Vd fnma(Vd a, Vd b, Vd c) { return c - a * b; }
NNF_INLINE Vf min(Vf a, Vf b) { return {_mm_min_ps(a.v, b.v)}; }
NNF_INLINE Vd min(Vd a, Vd b) { return {_mm_min_pd(a.v, b.v)}; }
NNF_INLINE Vf max(Vf a, Vf b) { return {_mm_max_ps(a.v, b.v)}; }
NNF_INLINE Vd max(Vd a, Vd b) { return {_mm_max_pd(a.v, b.v)}; }
NNF_INLINE Vf abs(Vf a) { return {_mm_andnot_ps(_mm_set1_ps(-0.0f), a.v)}; }
NNF_INLINE Vd abs(Vd a) { return {_mm_andnot_pd(_mm_set1_pd(-0.0), a.v)}; }
NNF_INLINE Vf sqrt(Vf a) { return {_mm_sqrt_ps(a.v)}; }
NNF_INLINE Vd sqrt(Vd a) { return {_mm_sqrt_pd(a.v)}; }
NNF_INLINE Vf copysign(Vf magnitude, Vf sign) {
  const __m128 bit = _mm_set1_ps(-0.0f);
  return {_mm_or_ps(_mm_andnot_ps(bit, magnitude.v), _mm_and_ps(bit, sign.v))};
}
NNF_INLINE Vd copysign(Vd magnitude, Vd sign) {
  const __m128d bit = _mm_set1_pd(-0.0);
  return {_mm_or_pd(_mm_andnot_pd(bit, magnitude.v), _mm_and_pd(bit, sign.v))};
}

NNF_INLINE Mf less(Vf a, Vf b) { return {_mm_cmplt_ps(a.v, b.v)}; }
NNF_INLINE Md less(Vd a, Vd b) { return {_mm_cmplt_pd(a.v, b.v)}; }
NNF_INLINE Mf less_equal(Vf a, Vf b) { return {_mm_cmple_ps(a.v, b.v)}; }
NNF_INLINE Md less_equal(Vd a, Vd b) { return {_mm_cmple_pd(a.v, b.v)}; }
NNF_INLINE Mf equal(Vf a, Vf b) { return {_mm_cmpeq_ps(a.v, b.v)}; }
NNF_INLINE Md equal(Vd a, Vd b) { return {_mm_cmpeq_pd(a.v, b.v)}; }
NNF_INLINE Mf not_equal(Vf a, Vf b) { return {_mm_cmpneq_ps(a.v, b.v)}; }
NNF_INLINE Md not_equal(Vd a, Vd b) { return {_mm_cmpneq_pd(a.v, b.v)}; }
NNF_INLINE Vf select(Mf m, Vf a, Vf b) {
  return {_mm_or_ps(_mm_and_ps(m.m, a.v), _mm_andnot_ps(m.m, b.v))};
}
NNF_INLINE Vd select(Md m, Vd a, Vd b) {
  return {_mm_or_pd(_mm_and_pd(m.m, a.v), _mm_andnot_pd(m.m, b.v))};
}
NNF_INLINE Mf operator|(Mf a, Mf b) { return {_mm_or_ps(a.m, b.m)}; }
NNF_INLINE Md operator|(Md a, Md b) { return {_mm_or_pd(a.m, b.m)}; }
NNF_INLINE Mf operator&(Mf a, Mf b) { return {_mm_and_ps(a.m, b.m)}; }
NNF_INLINE Md operator&(Md a, Md b) { return {_mm_and_pd(a.m, b.m)}; }
NNF_INLINE bool any(Mf m) { return _mm_movemask_ps(m.m) != 0; }
NNF_INLINE bool any(Md m) { return _mm_movemask_pd(m.m) != 0; }
template <int half>
NNF_INLINE Vf move_down(Vf a) {
  return {_mm_shuffle_ps(a.v, a.v, half == 2 ? 0x0e : 0x01)};
}
template <int half>
NNF_INLINE Vd move_down(Vd a) {
  return {_mm_unpackhi_pd(a.v, a.v)};
}

NNF_INLINE Vd widen_low(Vf a) { return {_mm_cvtps_pd(a.v)}; }
NNF_INLINE Vd widen_high(Vf a) { return {_mm_cvtps_pd(_mm_movehl_ps(a.v, a.v))}; }
NNF_INLINE Vf narrow(Vd low, Vd high) {
  return {_mm_movelh_ps(_mm_cvtpd_ps(low.v), _mm_cvtpd_ps(high.v))};
}

NNF_INLINE Vf pow2(Vf n) {
  const __m128i biased = _mm_add_epi32(_mm_cvtps_epi32(n.v), _mm_set1_epi32(127));
  return {_mm_castsi128_ps(_mm_slli_epi32(biased, 23))};
}
NNF_INLINE Vd pow2(Vd n) {
  const __m128i biased = _mm_add_epi32(_mm_cvtpd_epi32(n.v), _mm_set1_epi32(1023));
  return {_mm_castsi128_pd(_mm_slli_epi64(_mm_unpacklo_epi32(biased, _mm_setzero_si128()), 52))};
}
NNF_INLINE Vf exponent(Vf x) {
  const __m128i biased = _mm_srli_epi32(_mm_castps_si128(x.v), 23);
  return {_mm_cvtepi32_ps(_mm_sub_epi32(biased, _mm_set1_epi32(127)))};
}
NNF_INLINE Vd exponent(Vd x) {
  // The 11 exponent bits, placed in the low bits of 2^52, become a number.
  const __m128i biased = _mm_srli_epi64(_mm_castpd_si128(x.v), 52);
  const __m128d shift = _mm_set1_pd(4503599627370496.0);
  const __m128i placed = _mm_or_si128(biased, _mm_castpd_si128(shift));
  return {_mm_sub_pd(_mm_castsi128_pd(placed), _mm_set1_pd(4503599627370496.0 + 1023.0))};
}
NNF_INLINE Vf mantissa(Vf x) {
  const __m128i bits = _mm_and_si128(_mm_castps_si128(x.v), _mm_set1_epi32(0x007fffff));
  return {_mm_castsi128_ps(_mm_or_si128(bits, _mm_set1_epi32(0x3f800000)))};
}
NNF_INLINE Vd mantissa(Vd x) {
  const __m128i bits = _mm_and_si128(_mm_castpd_si128(x.v), _mm_set1_epi64x(0x000fffffffffffffLL));
  return {_mm_castsi128_pd(_mm_or_si128(bits, _mm_set1_epi64x(0x3ff0000000000000LL)))};
}

NNF_INLINE Vf reciprocal_estimate(Vf x) {
  return {_mm_castsi128_ps(_mm_sub_epi32(_mm_set1_epi32(kReciprocalMagic), _mm_castps_si128(x.v)))};
}

template <class T>
NNF_INLINE Vec<T> widen_bytes(const uint8_t* p, int n) {
  T lane[Vec<T>::lanes] = {};
  for (int i = 0; i < n; ++i) lane[i] = static_cast<T>(p[i]);
  return load(lane);
}

template <class E>
NNF_INLINE void gather16(E* out, const E* from, const int32_t* at) {
  for (int k = 0; k < 16; ++k) out[k] = from[at[k]];
}

// dst[j * dst_row + i] = src[i * src_row + j] for a square of Vec<T>::lanes.
template <class T>
NNF_INLINE void transpose_square(T* dst, index_t dst_row, const T* src, index_t src_row) {
  for (int i = 0; i < Vec<T>::lanes; ++i) {
    for (int j = 0; j < Vec<T>::lanes; ++j) dst[j * dst_row + i] = src[i * src_row + j];
  }
}

// Register budget of the matrix product: 16 registers hold 6 x 2 sums, 2 of B and one of A.
constexpr bool kHasFma = false;
constexpr bool kPartialLoadsAreCheap = false;
constexpr int kGemmVectors = 2;
constexpr int gemm_rows(int vectors) { return vectors >= 2 ? 6 : 12; }
constexpr bool kGemmUnrolls = false;

struct Words {
  __m128i v;
};
NNF_INLINE Words load_words(const uint64_t* p) {
  return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))};
}
NNF_INLINE void store_words(uint64_t* p, Words a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), a.v);
}
NNF_INLINE Words broadcast_words(uint64_t s) {
  return {_mm_set1_epi64x(static_cast<long long>(s))};
}
NNF_INLINE Words operator^(Words a, Words b) { return {_mm_xor_si128(a.v, b.v)}; }
NNF_INLINE Words upper_half(Words a) { return {_mm_srli_epi64(a.v, 32)}; }
NNF_INLINE Words multiply_lower_halves(Words a, Words b) { return {_mm_mul_epu32(a.v, b.v)}; }
