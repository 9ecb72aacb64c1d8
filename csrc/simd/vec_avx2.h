// Vec<T> in AVX2 with FMA. Interface: vec.h.
#define NNF_VECTOR_REGISTER "x"

template <class T>
struct Vec;
template <class T>
struct Mask;

template <>
struct Vec<float> {
  static constexpr int lanes = 8;
  __m256 v;
};
template <>
struct Vec<double> {
  static constexpr int lanes = 4;
  __m256d v;
};
template <>
struct Mask<float> {
  __m256 m;
};
template <>
struct Mask<double> {
  __m256d m;
};

using Vf = Vec<float>;
using Vd = Vec<double>;
using Mf = Mask<float>;
using Md = Mask<double>;

NNF_INLINE __m256i first8(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
NNF_INLINE __m256i first4(int n) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}

NNF_INLINE Vf load(const float* p) { return {_mm256_loadu_ps(p)}; }
NNF_INLINE Vd load(const double* p) { return {_mm256_loadu_pd(p)}; }
NNF_INLINE void store(float* p, Vf a) { _mm256_storeu_ps(p, a.v); }
NNF_INLINE void store(double* p, Vd a) { _mm256_storeu_pd(p, a.v); }
NNF_INLINE void stream(float* p, Vf a) { _mm256_stream_ps(p, a.v); }
NNF_INLINE void stream(double* p, Vd a) { _mm256_stream_pd(p, a.v); }
NNF_INLINE void finish_streams() { _mm_sfence(); }
NNF_INLINE Vf load_partial(const float* p, int n) { return {_mm256_maskload_ps(p, first8(n))}; }
NNF_INLINE Vd load_partial(const double* p, int n) { return {_mm256_maskload_pd(p, first4(n))}; }
// In pieces, because masked stores take dozens of operations on AMD processors.
NNF_INLINE void store_partial(float* p, Vf a, int n) {
  if (n >= 8) return _mm256_storeu_ps(p, a.v);
  __m128 rest = _mm256_castps256_ps128(a.v);
  if (n >= 4) {
    _mm_storeu_ps(p, rest);
    rest = _mm256_extractf128_ps(a.v, 1);
    p += 4;
  }
  if (n & 2) {
    _mm_storel_pi(reinterpret_cast<__m64*>(p), rest);
    rest = _mm_movehl_ps(rest, rest);
    p += 2;
  }
  if (n & 1) _mm_store_ss(p, rest);
}
NNF_INLINE void store_partial(double* p, Vd a, int n) {
  if (n >= 4) return _mm256_storeu_pd(p, a.v);
  __m128d rest = _mm256_castpd256_pd128(a.v);
  if (n >= 2) {
    _mm_storeu_pd(p, rest);
    rest = _mm256_extractf128_pd(a.v, 1);
    p += 2;
  }
  if (n & 1) _mm_store_sd(p, rest);
}

template <class T>
NNF_INLINE Vec<T> broadcast(T s);
template <>
NNF_INLINE Vf broadcast<float>(float s) {
  return {_mm256_set1_ps(s)};
}
template <>
NNF_INLINE Vd broadcast<double>(double s) {
  return {_mm256_set1_pd(s)};
}

NNF_INLINE Vf operator+(Vf a, Vf b) { return {_mm256_add_ps(a.v, b.v)}; }
NNF_INLINE Vd operator+(Vd a, Vd b) { return {_mm256_add_pd(a.v, b.v)}; }
NNF_INLINE Vf operator-(Vf a, Vf b) { return {_mm256_sub_ps(a.v, b.v)}; }
NNF_INLINE Vd operator-(Vd a, Vd b) { return {_mm256_sub_pd(a.v, b.v)}; }
NNF_INLINE Vf operator*(Vf a, Vf b) { return {_mm256_mul_ps(a.v, b.v)}; }
NNF_INLINE Vd operator*(Vd a, Vd b) { return {_mm256_mul_pd(a.v, b.v)}; }
NNF_INLINE Vf operator/(Vf a, Vf b) { return {_mm256_div_ps(a.v, b.v)}; }
NNF_INLINE Vd operator/(Vd a, Vd b) { return {_mm256_div_pd(a.v, b.v)}; }
NNF_INLINE Vf operator-(Vf a) { return {_mm256_xor_ps(a.v, _mm256_set1_ps(-0.0f))}; }
NNF_INLINE Vd operator-(Vd a) { return {_mm256_xor_pd(a.v, _mm256_set1_pd(-0.0))}; }

NNF_INLINE Vf fma(Vf a, Vf b, Vf c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
NNF_INLINE Vd fma(Vd a, Vd b, Vd c) { return {_mm256_fmadd_pd(a.v, b.v, c.v)}; }
NNF_INLINE Vf fnma(Vf a, Vf b, Vf c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }
NNF_INLINE Vd fnma(Vd a, Vd b, Vd c) { return {_mm256_fnmadd_pd(a.v, b.v, c.v)}; }
#if !defined(_MSC_VER) || defined(__clang__)
// If the compiler may choose, it moves sums to the registers of the factors and from there to
// memory.
NNF_INLINE void add_multiple(Vf (&sum)[2], const float* a, const Vf (&b)[2]) {
  __asm__("vbroadcastss %2, %%ymm15\n\tvfmadd231ps %3, %%ymm15, %0\n\tvfmadd231ps %4, %%ymm15, %1"
          : "+x"(sum[0].v), "+x"(sum[1].v)
          : "m"(*a), "x"(b[0].v), "x"(b[1].v)
          : "xmm15");
}
NNF_INLINE void add_multiple(Vd (&sum)[2], const double* a, const Vd (&b)[2]) {
  __asm__("vbroadcastsd %2, %%ymm15\n\tvfmadd231pd %3, %%ymm15, %0\n\tvfmadd231pd %4, %%ymm15, %1"
          : "+x"(sum[0].v), "+x"(sum[1].v)
          : "m"(*a), "x"(b[0].v), "x"(b[1].v)
          : "xmm15");
}
#endif
NNF_INLINE Vf min(Vf a, Vf b) { return {_mm256_min_ps(a.v, b.v)}; }
NNF_INLINE Vd min(Vd a, Vd b) { return {_mm256_min_pd(a.v, b.v)}; }
NNF_INLINE Vf max(Vf a, Vf b) { return {_mm256_max_ps(a.v, b.v)}; }
NNF_INLINE Vd max(Vd a, Vd b) { return {_mm256_max_pd(a.v, b.v)}; }
NNF_INLINE Vf abs(Vf a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
NNF_INLINE Vd abs(Vd a) { return {_mm256_andnot_pd(_mm256_set1_pd(-0.0), a.v)}; }
NNF_INLINE Vf sqrt(Vf a) { return {_mm256_sqrt_ps(a.v)}; }
NNF_INLINE Vd sqrt(Vd a) { return {_mm256_sqrt_pd(a.v)}; }
NNF_INLINE Vf copysign(Vf magnitude, Vf sign) {
  const __m256 bit = _mm256_set1_ps(-0.0f);
  return {_mm256_or_ps(_mm256_andnot_ps(bit, magnitude.v), _mm256_and_ps(bit, sign.v))};
}
NNF_INLINE Vd copysign(Vd magnitude, Vd sign) {
  const __m256d bit = _mm256_set1_pd(-0.0);
  return {_mm256_or_pd(_mm256_andnot_pd(bit, magnitude.v), _mm256_and_pd(bit, sign.v))};
}

NNF_INLINE Mf less(Vf a, Vf b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
NNF_INLINE Md less(Vd a, Vd b) { return {_mm256_cmp_pd(a.v, b.v, _CMP_LT_OQ)}; }
NNF_INLINE Mf less_equal(Vf a, Vf b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
NNF_INLINE Md less_equal(Vd a, Vd b) { return {_mm256_cmp_pd(a.v, b.v, _CMP_LE_OQ)}; }
NNF_INLINE Mf equal(Vf a, Vf b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)}; }
NNF_INLINE Md equal(Vd a, Vd b) { return {_mm256_cmp_pd(a.v, b.v, _CMP_EQ_OQ)}; }
NNF_INLINE Mf not_equal(Vf a, Vf b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_NEQ_UQ)}; }
NNF_INLINE Md not_equal(Vd a, Vd b) { return {_mm256_cmp_pd(a.v, b.v, _CMP_NEQ_UQ)}; }
NNF_INLINE Vf select(Mf m, Vf a, Vf b) { return {_mm256_blendv_ps(b.v, a.v, m.m)}; }
NNF_INLINE Vd select(Md m, Vd a, Vd b) { return {_mm256_blendv_pd(b.v, a.v, m.m)}; }
NNF_INLINE Mf operator|(Mf a, Mf b) { return {_mm256_or_ps(a.m, b.m)}; }
NNF_INLINE Md operator|(Md a, Md b) { return {_mm256_or_pd(a.m, b.m)}; }
NNF_INLINE Mf operator&(Mf a, Mf b) { return {_mm256_and_ps(a.m, b.m)}; }
NNF_INLINE Md operator&(Md a, Md b) { return {_mm256_and_pd(a.m, b.m)}; }
NNF_INLINE bool any(Mf m) { return _mm256_movemask_ps(m.m) != 0; }
NNF_INLINE bool any(Md m) { return _mm256_movemask_pd(m.m) != 0; }
template <int half>
NNF_INLINE Vf move_down(Vf a) {
  if constexpr (half == 4) {
    return {_mm256_permute2f128_ps(a.v, a.v, 0x11)};
  } else {
    return {_mm256_permute_ps(a.v, half == 2 ? 0x0e : 0x01)};
  }
}
template <int half>
NNF_INLINE Vd move_down(Vd a) {
  if constexpr (half == 2) {
    return {_mm256_permute2f128_pd(a.v, a.v, 0x11)};
  } else {
    return {_mm256_permute_pd(a.v, 0x01)};
  }
}

NNF_INLINE Vd widen_low(Vf a) { return {_mm256_cvtps_pd(_mm256_castps256_ps128(a.v))}; }
NNF_INLINE Vd widen_high(Vf a) { return {_mm256_cvtps_pd(_mm256_extractf128_ps(a.v, 1))}; }
NNF_INLINE Vf narrow(Vd low, Vd high) {
  const __m256 first = _mm256_castps128_ps256(_mm256_cvtpd_ps(low.v));
  return {_mm256_insertf128_ps(first, _mm256_cvtpd_ps(high.v), 1)};
}

NNF_INLINE Vf pow2(Vf n) {
  const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(biased, 23))};
}
NNF_INLINE Vd pow2(Vd n) {
  const __m256i n64 = _mm256_cvtepi32_epi64(_mm256_cvtpd_epi32(n.v));
  const __m256i biased = _mm256_add_epi64(n64, _mm256_set1_epi64x(1023));
  return {_mm256_castsi256_pd(_mm256_slli_epi64(biased, 52))};
}
NNF_INLINE Vf exponent(Vf x) {
  const __m256i biased = _mm256_srli_epi32(_mm256_castps_si256(x.v), 23);
  return {_mm256_cvtepi32_ps(_mm256_sub_epi32(biased, _mm256_set1_epi32(127)))};
}
NNF_INLINE Vd exponent(Vd x) {
  // There is no conversion from 64-bit integers to double: place the 11 bits in the low bits of
  // 2^52.
  const __m256i biased = _mm256_srli_epi64(_mm256_castpd_si256(x.v), 52);
  const __m256d shift = _mm256_set1_pd(4503599627370496.0);
  const __m256i placed = _mm256_or_si256(biased, _mm256_castpd_si256(shift));
  return {_mm256_sub_pd(_mm256_castsi256_pd(placed), _mm256_set1_pd(4503599627370496.0 + 1023.0))};
}
NNF_INLINE Vf mantissa(Vf x) {
  const __m256i bits = _mm256_and_si256(_mm256_castps_si256(x.v), _mm256_set1_epi32(0x007fffff));
  return {_mm256_castsi256_ps(_mm256_or_si256(bits, _mm256_set1_epi32(0x3f800000)))};
}
NNF_INLINE Vd mantissa(Vd x) {
  const __m256i bits =
      _mm256_and_si256(_mm256_castpd_si256(x.v), _mm256_set1_epi64x(0x000fffffffffffffLL));
  return {_mm256_castsi256_pd(_mm256_or_si256(bits, _mm256_set1_epi64x(0x3ff0000000000000LL)))};
}

NNF_INLINE __m128i load_bytes(const uint8_t* p, int n) {
  uint64_t word = 0;
  for (int i = 0; i < n; ++i) word |= static_cast<uint64_t>(p[i]) << (8 * i);
  return _mm_cvtsi64_si128(static_cast<long long>(word));
}
NNF_INLINE Vf reciprocal_estimate(Vf x) {
  return {_mm256_castsi256_ps(
      _mm256_sub_epi32(_mm256_set1_epi32(kReciprocalMagic), _mm256_castps_si256(x.v)))};
}

template <class T>
NNF_INLINE Vec<T> widen_bytes(const uint8_t* p, int n);
template <>
NNF_INLINE Vf widen_bytes<float>(const uint8_t* p, int n) {
  const __m128i bytes =
      n == 8 ? _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)) : load_bytes(p, n);
  return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes))};
}
template <>
NNF_INLINE Vd widen_bytes<double>(const uint8_t* p, int n) {
  return {_mm256_cvtepi32_pd(_mm_cvtepu8_epi32(load_bytes(p, n)))};
}

NNF_INLINE void gather16(int32_t* out, const int32_t* from, const int32_t* at) {
  for (int k = 0; k < 16; k += 8) {
    const __m256i indices = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + k));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + k),
                        _mm256_i32gather_epi32(from, indices, 4));
  }
}
NNF_INLINE void gather16(float* out, const float* from, const int32_t* at) {
  for (int k = 0; k < 16; k += 8) {
    const __m256i indices = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + k));
    _mm256_storeu_ps(out + k, _mm256_i32gather_ps(from, indices, 4));
  }
}
NNF_INLINE void gather16(double* out, const double* from, const int32_t* at) {
  for (int k = 0; k < 16; k += 4) {
    const __m128i indices = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + k));
    _mm256_storeu_pd(out + k, _mm256_i32gather_pd(from, indices, 8));
  }
}

// dst[j * dst_row + i] = src[i * src_row + j] for a square of Vec<T>::lanes.
NNF_INLINE void transpose_square(float* dst, index_t dst_row, const float* src, index_t src_row) {
  __m256 r[8], t[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(src + i * src_row);
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 2
  for (int q = 0; q < 8; q += 4) {
    r[q] = _mm256_shuffle_ps(t[q], t[q + 2], 0x44);
    r[q + 1] = _mm256_shuffle_ps(t[q], t[q + 2], 0xee);
    r[q + 2] = _mm256_shuffle_ps(t[q + 1], t[q + 3], 0x44);
    r[q + 3] = _mm256_shuffle_ps(t[q + 1], t[q + 3], 0xee);
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    _mm256_storeu_ps(dst + c * dst_row, _mm256_permute2f128_ps(r[c], r[4 + c], 0x20));
    _mm256_storeu_ps(dst + (4 + c) * dst_row, _mm256_permute2f128_ps(r[c], r[4 + c], 0x31));
  }
}
NNF_INLINE void transpose_square(double* dst, index_t dst_row, const double* src, index_t src_row) {
  const __m256d a = _mm256_loadu_pd(src), b = _mm256_loadu_pd(src + src_row);
  const __m256d c = _mm256_loadu_pd(src + 2 * src_row), d = _mm256_loadu_pd(src + 3 * src_row);
  const __m256d ab0 = _mm256_unpacklo_pd(a, b), ab1 = _mm256_unpackhi_pd(a, b);
  const __m256d cd0 = _mm256_unpacklo_pd(c, d), cd1 = _mm256_unpackhi_pd(c, d);
  _mm256_storeu_pd(dst, _mm256_permute2f128_pd(ab0, cd0, 0x20));
  _mm256_storeu_pd(dst + dst_row, _mm256_permute2f128_pd(ab1, cd1, 0x20));
  _mm256_storeu_pd(dst + 2 * dst_row, _mm256_permute2f128_pd(ab0, cd0, 0x31));
  _mm256_storeu_pd(dst + 3 * dst_row, _mm256_permute2f128_pd(ab1, cd1, 0x31));
}

// Register budget of the matrix product: 16 registers hold 6 x 2 sums, 2 of B and one of A.
constexpr bool kHasFma = true;
constexpr bool kPartialLoadsAreCheap = true;
constexpr int kGemmVectors = 2;
constexpr int gemm_rows(int vectors) { return vectors >= 2 ? 6 : 12; }
constexpr bool kGemmUnrolls = true;

struct Words {
  __m256i v;
};
NNF_INLINE Words load_words(const uint64_t* p) {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
}
NNF_INLINE void store_words(uint64_t* p, Words a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.v);
}
NNF_INLINE Words broadcast_words(uint64_t s) {
  return {_mm256_set1_epi64x(static_cast<long long>(s))};
}
NNF_INLINE Words operator^(Words a, Words b) { return {_mm256_xor_si256(a.v, b.v)}; }
NNF_INLINE Words upper_half(Words a) { return {_mm256_srli_epi64(a.v, 32)}; }
NNF_INLINE Words multiply_lower_halves(Words a, Words b) { return {_mm256_mul_epu32(a.v, b.v)}; }
