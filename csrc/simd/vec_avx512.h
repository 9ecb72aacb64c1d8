// Vec<T> in AVX-512 (F, BW, DQ, VL). Interface: vec.h.
#define NNF_VECTOR_REGISTER "v"

template <class T>
struct Vec;
template <class T>
struct Mask;

template <>
struct Vec<float> {
  static constexpr int lanes = 16;
  __m512 v;
};
template <>
struct Vec<double> {
  static constexpr int lanes = 8;
  __m512d v;
};
template <>
struct Mask<float> {
  __mmask16 m;
};
template <>
struct Mask<double> {
  __mmask8 m;
};

using Vf = Vec<float>;
using Vd = Vec<double>;
using Mf = Mask<float>;
using Md = Mask<double>;

NNF_INLINE __mmask16 first16(int n) { return static_cast<__mmask16>((1u << n) - 1u); }
NNF_INLINE __mmask8 first8(int n) { return static_cast<__mmask8>((1u << n) - 1u); }

NNF_INLINE Vf load(const float* p) { return {_mm512_loadu_ps(p)}; }
NNF_INLINE Vd load(const double* p) { return {_mm512_loadu_pd(p)}; }
NNF_INLINE void store(float* p, Vf a) { _mm512_storeu_ps(p, a.v); }
NNF_INLINE void store(double* p, Vd a) { _mm512_storeu_pd(p, a.v); }
NNF_INLINE void stream(float* p, Vf a) { _mm512_stream_ps(p, a.v); }
NNF_INLINE void stream(double* p, Vd a) { _mm512_stream_pd(p, a.v); }
NNF_INLINE void finish_streams() { _mm_sfence(); }
NNF_INLINE Vf load_partial(const float* p, int n) { return {_mm512_maskz_loadu_ps(first16(n), p)}; }
NNF_INLINE Vd load_partial(const double* p, int n) { return {_mm512_maskz_loadu_pd(first8(n), p)}; }
NNF_INLINE void store_partial(float* p, Vf a, int n) { _mm512_mask_storeu_ps(p, first16(n), a.v); }
NNF_INLINE void store_partial(double* p, Vd a, int n) { _mm512_mask_storeu_pd(p, first8(n), a.v); }

template <class T>
NNF_INLINE Vec<T> broadcast(T s);
template <>
NNF_INLINE Vf broadcast<float>(float s) {
  return {_mm512_set1_ps(s)};
}
template <>
NNF_INLINE Vd broadcast<double>(double s) {
  return {_mm512_set1_pd(s)};
}

NNF_INLINE Vf operator+(Vf a, Vf b) { return {_mm512_add_ps(a.v, b.v)}; }
NNF_INLINE Vd operator+(Vd a, Vd b) { return {_mm512_add_pd(a.v, b.v)}; }
NNF_INLINE Vf operator-(Vf a, Vf b) { return {_mm512_sub_ps(a.v, b.v)}; }
NNF_INLINE Vd operator-(Vd a, Vd b) { return {_mm512_sub_pd(a.v, b.v)}; }
NNF_INLINE Vf operator*(Vf a, Vf b) { return {_mm512_mul_ps(a.v, b.v)}; }
NNF_INLINE Vd operator*(Vd a, Vd b) { return {_mm512_mul_pd(a.v, b.v)}; }
NNF_INLINE Vf operator/(Vf a, Vf b) { return {_mm512_div_ps(a.v, b.v)}; }
NNF_INLINE Vd operator/(Vd a, Vd b) { return {_mm512_div_pd(a.v, b.v)}; }
NNF_INLINE Vf operator-(Vf a) { return {_mm512_xor_ps(a.v, _mm512_set1_ps(-0.0f))}; }
NNF_INLINE Vd operator-(Vd a) { return {_mm512_xor_pd(a.v, _mm512_set1_pd(-0.0))}; }

NNF_INLINE Vf fma(Vf a, Vf b, Vf c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
NNF_INLINE Vd fma(Vd a, Vd b, Vd c) { return {_mm512_fmadd_pd(a.v, b.v, c.v)}; }
NNF_INLINE Vf fnma(Vf a, Vf b, Vf c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
NNF_INLINE Vd fnma(Vd a, Vd b, Vd c) { return {_mm512_fnmadd_pd(a.v, b.v, c.v)}; }
NNF_INLINE Vf min(Vf a, Vf b) { return {_mm512_min_ps(a.v, b.v)}; }
NNF_INLINE Vd min(Vd a, Vd b) { return {_mm512_min_pd(a.v, b.v)}; }
NNF_INLINE Vf max(Vf a, Vf b) { return {_mm512_max_ps(a.v, b.v)}; }
NNF_INLINE Vd max(Vd a, Vd b) { return {_mm512_max_pd(a.v, b.v)}; }
NNF_INLINE Vf abs(Vf a) { return {_mm512_abs_ps(a.v)}; }
NNF_INLINE Vd abs(Vd a) { return {_mm512_abs_pd(a.v)}; }
NNF_INLINE Vf sqrt(Vf a) { return {_mm512_sqrt_ps(a.v)}; }
NNF_INLINE Vd sqrt(Vd a) { return {_mm512_sqrt_pd(a.v)}; }
NNF_INLINE Vf copysign(Vf magnitude, Vf sign) {
  const __m512 bit = _mm512_set1_ps(-0.0f);
  return {_mm512_or_ps(_mm512_andnot_ps(bit, magnitude.v), _mm512_and_ps(bit, sign.v))};
}
NNF_INLINE Vd copysign(Vd magnitude, Vd sign) {
  const __m512d bit = _mm512_set1_pd(-0.0);
  return {_mm512_or_pd(_mm512_andnot_pd(bit, magnitude.v), _mm512_and_pd(bit, sign.v))};
}

NNF_INLINE Mf less(Vf a, Vf b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
NNF_INLINE Md less(Vd a, Vd b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_LT_OQ)}; }
NNF_INLINE Mf less_equal(Vf a, Vf b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
NNF_INLINE Md less_equal(Vd a, Vd b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_LE_OQ)}; }
NNF_INLINE Mf equal(Vf a, Vf b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
NNF_INLINE Md equal(Vd a, Vd b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_EQ_OQ)}; }
NNF_INLINE Mf not_equal(Vf a, Vf b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_NEQ_UQ)}; }
NNF_INLINE Md not_equal(Vd a, Vd b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_NEQ_UQ)}; }
NNF_INLINE Vf select(Mf m, Vf a, Vf b) { return {_mm512_mask_blend_ps(m.m, b.v, a.v)}; }
NNF_INLINE Vd select(Md m, Vd a, Vd b) { return {_mm512_mask_blend_pd(m.m, b.v, a.v)}; }
NNF_INLINE Mf operator|(Mf a, Mf b) { return {static_cast<__mmask16>(a.m | b.m)}; }
NNF_INLINE Md operator|(Md a, Md b) { return {static_cast<__mmask8>(a.m | b.m)}; }
NNF_INLINE Mf operator&(Mf a, Mf b) { return {static_cast<__mmask16>(a.m & b.m)}; }
NNF_INLINE Md operator&(Md a, Md b) { return {static_cast<__mmask8>(a.m & b.m)}; }
NNF_INLINE bool any(Mf m) { return m.m != 0; }
NNF_INLINE bool any(Md m) { return m.m != 0; }
template <int half>
NNF_INLINE Vf move_down(Vf a) {
  if constexpr (half >= 4) {
    return {_mm512_shuffle_f32x4(a.v, a.v, half == 8 ? 0x0e : 0x01)};
  } else {
    return {_mm512_permute_ps(a.v, half == 2 ? 0x0e : 0x01)};
  }
}
template <int half>
NNF_INLINE Vd move_down(Vd a) {
  if constexpr (half >= 2) {
    return {_mm512_shuffle_f64x2(a.v, a.v, half == 4 ? 0x0e : 0x01)};
  } else {
    return {_mm512_permute_pd(a.v, 0x01)};
  }
}

NNF_INLINE Vd widen_low(Vf a) { return {_mm512_cvtps_pd(_mm512_castps512_ps256(a.v))}; }
NNF_INLINE Vd widen_high(Vf a) { return {_mm512_cvtps_pd(_mm512_extractf32x8_ps(a.v, 1))}; }
NNF_INLINE Vf narrow(Vd low, Vd high) {
  const __m512 first = _mm512_castps256_ps512(_mm512_cvtpd_ps(low.v));
  return {_mm512_insertf32x8(first, _mm512_cvtpd_ps(high.v), 1)};
}

NNF_INLINE Vf pow2(Vf n) {
  const __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(biased, 23))};
}
NNF_INLINE Vd pow2(Vd n) {
  const __m512i biased = _mm512_add_epi64(_mm512_cvtpd_epi64(n.v), _mm512_set1_epi64(1023));
  return {_mm512_castsi512_pd(_mm512_slli_epi64(biased, 52))};
}
NNF_INLINE Vf exponent(Vf x) {
  const __m512i biased = _mm512_srli_epi32(_mm512_castps_si512(x.v), 23);
  return {_mm512_cvtepi32_ps(_mm512_sub_epi32(biased, _mm512_set1_epi32(127)))};
}
NNF_INLINE Vd exponent(Vd x) {
  const __m512i biased = _mm512_srli_epi64(_mm512_castpd_si512(x.v), 52);
  return {_mm512_cvtepi64_pd(_mm512_sub_epi64(biased, _mm512_set1_epi64(1023)))};
}
NNF_INLINE Vf mantissa(Vf x) {
  const __m512i bits = _mm512_and_si512(_mm512_castps_si512(x.v), _mm512_set1_epi32(0x007fffff));
  return {_mm512_castsi512_ps(_mm512_or_si512(bits, _mm512_set1_epi32(0x3f800000)))};
}
NNF_INLINE Vd mantissa(Vd x) {
  const __m512i bits =
      _mm512_and_si512(_mm512_castpd_si512(x.v), _mm512_set1_epi64(0x000fffffffffffffLL));
  return {_mm512_castsi512_pd(_mm512_or_si512(bits, _mm512_set1_epi64(0x3ff0000000000000LL)))};
}

NNF_INLINE Vf reciprocal_estimate(Vf x) {
  return {_mm512_castsi512_ps(
      _mm512_sub_epi32(_mm512_set1_epi32(kReciprocalMagic), _mm512_castps_si512(x.v)))};
}

template <class T>
NNF_INLINE Vec<T> widen_bytes(const uint8_t* p, int n);
template <>
NNF_INLINE Vf widen_bytes<float>(const uint8_t* p, int n) {
  const __m128i bytes = _mm_maskz_loadu_epi8(first16(n), p);
  return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes))};
}
template <>
NNF_INLINE Vd widen_bytes<double>(const uint8_t* p, int n) {
  const __m128i bytes = _mm_maskz_loadu_epi8(first8(n), p);
  return {_mm512_cvtepi64_pd(_mm512_cvtepu8_epi64(bytes))};
}

NNF_INLINE void gather16(int32_t* out, const int32_t* from, const int32_t* at) {
  _mm512_storeu_si512(out, _mm512_i32gather_epi32(_mm512_loadu_si512(at), from, 4));
}
NNF_INLINE void gather16(float* out, const float* from, const int32_t* at) {
  _mm512_storeu_ps(out, _mm512_i32gather_ps(_mm512_loadu_si512(at), from, 4));
}
NNF_INLINE void gather16(double* out, const double* from, const int32_t* at) {
  for (int k = 0; k < 16; k += 8) {
    const __m256i indices = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + k));
    _mm512_storeu_pd(out + k, _mm512_i32gather_pd(indices, from, 8));
  }
}

// dst[j * dst_row + i] = src[i * src_row + j] for a square of Vec<T>::lanes.
NNF_INLINE void transpose_square(float* dst, index_t dst_row, const float* src, index_t src_row) {
  __m512 r[16], t[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_ps(src + i * src_row);
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  // r[4 q + c] holds column c of each group of four, for rows 4 q .. 4 q + 3.
#pragma GCC unroll 4
  for (int q = 0; q < 16; q += 4) {
    const __m512d a = _mm512_castps_pd(t[q]), b = _mm512_castps_pd(t[q + 1]);
    const __m512d c = _mm512_castps_pd(t[q + 2]), d = _mm512_castps_pd(t[q + 3]);
    r[q] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
    r[q + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
    r[q + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
    r[q + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512 even_low = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x88);
    const __m512 odd_low = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xdd);
    const __m512 even_high = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x88);
    const __m512 odd_high = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xdd);
    _mm512_storeu_ps(dst + c * dst_row, _mm512_shuffle_f32x4(even_low, even_high, 0x88));
    _mm512_storeu_ps(dst + (4 + c) * dst_row, _mm512_shuffle_f32x4(odd_low, odd_high, 0x88));
    _mm512_storeu_ps(dst + (8 + c) * dst_row, _mm512_shuffle_f32x4(even_low, even_high, 0xdd));
    _mm512_storeu_ps(dst + (12 + c) * dst_row, _mm512_shuffle_f32x4(odd_low, odd_high, 0xdd));
  }
}
NNF_INLINE void transpose_square(double* dst, index_t dst_row, const double* src, index_t src_row) {
  __m512d t[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    const __m512d a = _mm512_loadu_pd(src + i * src_row);
    const __m512d b = _mm512_loadu_pd(src + (i + 1) * src_row);
    t[i] = _mm512_unpacklo_pd(a, b);
    t[i + 1] = _mm512_unpackhi_pd(a, b);
  }
#pragma GCC unroll 2
  for (int c = 0; c < 2; ++c) {
    const __m512d even_low = _mm512_shuffle_f64x2(t[c], t[2 + c], 0x88);
    const __m512d odd_low = _mm512_shuffle_f64x2(t[c], t[2 + c], 0xdd);
    const __m512d even_high = _mm512_shuffle_f64x2(t[4 + c], t[6 + c], 0x88);
    const __m512d odd_high = _mm512_shuffle_f64x2(t[4 + c], t[6 + c], 0xdd);
    _mm512_storeu_pd(dst + c * dst_row, _mm512_shuffle_f64x2(even_low, even_high, 0x88));
    _mm512_storeu_pd(dst + (2 + c) * dst_row, _mm512_shuffle_f64x2(odd_low, odd_high, 0x88));
    _mm512_storeu_pd(dst + (4 + c) * dst_row, _mm512_shuffle_f64x2(even_low, even_high, 0xdd));
    _mm512_storeu_pd(dst + (6 + c) * dst_row, _mm512_shuffle_f64x2(odd_low, odd_high, 0xdd));
  }
}

// Register budget of the matrix product: 32 registers hold 6 x 4 sums, 4 of B and one of A.
constexpr bool kHasFma = true;
constexpr bool kPartialLoadsAreCheap = true;
constexpr int kGemmVectors = 4;
constexpr int gemm_rows(int vectors) { return vectors >= 4 ? 6 : vectors == 3 ? 8 : 14; }
constexpr bool kGemmUnrolls = false;

struct Words {
  __m512i v;
};
NNF_INLINE Words load_words(const uint64_t* p) { return {_mm512_loadu_si512(p)}; }
NNF_INLINE void store_words(uint64_t* p, Words a) { _mm512_storeu_si512(p, a.v); }
NNF_INLINE Words broadcast_words(uint64_t s) {
  return {_mm512_set1_epi64(static_cast<long long>(s))};
}
NNF_INLINE Words operator^(Words a, Words b) { return {_mm512_xor_si512(a.v, b.v)}; }
NNF_INLINE Words upper_half(Words a) { return {_mm512_srli_epi64(a.v, 32)}; }
NNF_INLINE Words multiply_lower_halves(Words a, Words b) { return {_mm512_mul_epu32(a.v, b.v)}; }
