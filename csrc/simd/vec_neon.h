// Vec<T> in Advanced SIMD (NEON) of 64-bit Arm. Interface: vec.h. min and max are
// compare-and-select, because the instructions treat NaN differently from x86.
#define NNF_VECTOR_REGISTER "w"

template <class T>
struct Vec;
template <class T>
struct Mask;

template <>
struct Vec<float> {
  static constexpr int lanes = 4;
  float32x4_t v;
};
template <>
struct Vec<double> {
  static constexpr int lanes = 2;
  float64x2_t v;
};
template <>
struct Mask<float> {
  uint32x4_t m;
};
template <>
struct Mask<double> {
  uint64x2_t m;
};

using Vf = Vec<float>;
using Vd = Vec<double>;
using Mf = Mask<float>;
using Md = Mask<double>;

NNF_INLINE Vf load(const float* p) { return {vld1q_f32(p)}; }
NNF_INLINE Vd load(const double* p) { return {vld1q_f64(p)}; }
NNF_INLINE void store(float* p, Vf a) { vst1q_f32(p, a.v); }
NNF_INLINE void store(double* p, Vd a) { vst1q_f64(p, a.v); }
// There is no intrinsic for non-temporal stores.
NNF_INLINE void stream(float* p, Vf a) { store(p, a); }
NNF_INLINE void stream(double* p, Vd a) { store(p, a); }
NNF_INLINE void finish_streams() {}
NNF_INLINE Vf load_partial(const float* p, int n) {
  float lane[4] = {0, 0, 0, 0};
  for (int i = 0; i < n; ++i) lane[i] = p[i];
  return load(lane);
}
NNF_INLINE Vd load_partial(const double* p, int n) {
  double lane[2] = {0, 0};
  for (int i = 0; i < n; ++i) lane[i] = p[i];
  return load(lane);
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
  return {vdupq_n_f32(s)};
}
template <>
NNF_INLINE Vd broadcast<double>(double s) {
  return {vdupq_n_f64(s)};
}

NNF_INLINE Vf operator+(Vf a, Vf b) { return {vaddq_f32(a.v, b.v)}; }
NNF_INLINE Vd operator+(Vd a, Vd b) { return {vaddq_f64(a.v, b.v)}; }
NNF_INLINE Vf operator-(Vf a, Vf b) { return {vsubq_f32(a.v, b.v)}; }
NNF_INLINE Vd operator-(Vd a, Vd b) { return {vsubq_f64(a.v, b.v)}; }
NNF_INLINE Vf operator*(Vf a, Vf b) { return {vmulq_f32(a.v, b.v)}; }
NNF_INLINE Vd operator*(Vd a, Vd b) { return {vmulq_f64(a.v, b.v)}; }
NNF_INLINE Vf operator/(Vf a, Vf b) { return {vdivq_f32(a.v, b.v)}; }
NNF_INLINE Vd operator/(Vd a, Vd b) { return {vdivq_f64(a.v, b.v)}; }
NNF_INLINE Vf operator-(Vf a) { return {vnegq_f32(a.v)}; }
NNF_INLINE Vd operator-(Vd a) { return {vnegq_f64(a.v)}; }

NNF_INLINE Vf fma(Vf a, Vf b, Vf c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
NNF_INLINE Vd fma(Vd a, Vd b, Vd c) { return {vfmaq_f64(c.v, a.v, b.v)}; }
NNF_INLINE Vf fnma(Vf a, Vf b, Vf c) { return {vfmsq_f32(c.v, a.v, b.v)}; }
NNF_INLINE Vd fnma(Vd a, Vd b, Vd c) { return {vfmsq_f64(c.v, a.v, b.v)}; }
NNF_INLINE Vf abs(Vf a) { return {vabsq_f32(a.v)}; }
NNF_INLINE Vd abs(Vd a) { return {vabsq_f64(a.v)}; }
NNF_INLINE Vf sqrt(Vf a) { return {vsqrtq_f32(a.v)}; }
NNF_INLINE Vd sqrt(Vd a) { return {vsqrtq_f64(a.v)}; }
NNF_INLINE Vf copysign(Vf magnitude, Vf sign) {
  return {vbslq_f32(vdupq_n_u32(0x80000000u), sign.v, magnitude.v)};
}
NNF_INLINE Vd copysign(Vd magnitude, Vd sign) {
  return {vbslq_f64(vdupq_n_u64(0x8000000000000000ull), sign.v, magnitude.v)};
}

NNF_INLINE Mf less(Vf a, Vf b) { return {vcltq_f32(a.v, b.v)}; }
NNF_INLINE Md less(Vd a, Vd b) { return {vcltq_f64(a.v, b.v)}; }
NNF_INLINE Mf less_equal(Vf a, Vf b) { return {vcleq_f32(a.v, b.v)}; }
NNF_INLINE Md less_equal(Vd a, Vd b) { return {vcleq_f64(a.v, b.v)}; }
NNF_INLINE Mf equal(Vf a, Vf b) { return {vceqq_f32(a.v, b.v)}; }
NNF_INLINE Md equal(Vd a, Vd b) { return {vceqq_f64(a.v, b.v)}; }
NNF_INLINE Mf not_equal(Vf a, Vf b) { return {vmvnq_u32(vceqq_f32(a.v, b.v))}; }
NNF_INLINE Md not_equal(Vd a, Vd b) { return {veorq_u64(vceqq_f64(a.v, b.v), vdupq_n_u64(~0ull))}; }
NNF_INLINE Vf select(Mf m, Vf a, Vf b) { return {vbslq_f32(m.m, a.v, b.v)}; }
NNF_INLINE Vd select(Md m, Vd a, Vd b) { return {vbslq_f64(m.m, a.v, b.v)}; }
NNF_INLINE Mf operator|(Mf a, Mf b) { return {vorrq_u32(a.m, b.m)}; }
NNF_INLINE Md operator|(Md a, Md b) { return {vorrq_u64(a.m, b.m)}; }
NNF_INLINE Mf operator&(Mf a, Mf b) { return {vandq_u32(a.m, b.m)}; }
NNF_INLINE Md operator&(Md a, Md b) { return {vandq_u64(a.m, b.m)}; }
NNF_INLINE bool any(Mf m) { return vmaxvq_u32(m.m) != 0; }
NNF_INLINE bool any(Md m) { return vmaxvq_u32(vreinterpretq_u32_u64(m.m)) != 0; }
template <int half>
NNF_INLINE Vf move_down(Vf a) {
  return {vextq_f32(a.v, a.v, half)};
}
template <int half>
NNF_INLINE Vd move_down(Vd a) {
  return {vextq_f64(a.v, a.v, half)};
}
NNF_INLINE Vf min(Vf a, Vf b) { return select(less(a, b), a, b); }
NNF_INLINE Vd min(Vd a, Vd b) { return select(less(a, b), a, b); }
NNF_INLINE Vf max(Vf a, Vf b) { return select(less(b, a), a, b); }
NNF_INLINE Vd max(Vd a, Vd b) { return select(less(b, a), a, b); }

NNF_INLINE Vd widen_low(Vf a) { return {vcvt_f64_f32(vget_low_f32(a.v))}; }
NNF_INLINE Vd widen_high(Vf a) { return {vcvt_high_f64_f32(a.v)}; }
NNF_INLINE Vf narrow(Vd low, Vd high) { return {vcvt_high_f32_f64(vcvt_f32_f64(low.v), high.v)}; }

NNF_INLINE Vf pow2(Vf n) {
  const int32x4_t biased = vaddq_s32(vcvtnq_s32_f32(n.v), vdupq_n_s32(127));
  return {vreinterpretq_f32_s32(vshlq_n_s32(biased, 23))};
}
NNF_INLINE Vd pow2(Vd n) {
  const int64x2_t biased = vaddq_s64(vcvtnq_s64_f64(n.v), vdupq_n_s64(1023));
  return {vreinterpretq_f64_s64(vshlq_n_s64(biased, 52))};
}
NNF_INLINE Vf exponent(Vf x) {
  const int32x4_t biased = vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_f32(x.v), 23));
  return {vcvtq_f32_s32(vsubq_s32(biased, vdupq_n_s32(127)))};
}
NNF_INLINE Vd exponent(Vd x) {
  const int64x2_t biased = vreinterpretq_s64_u64(vshrq_n_u64(vreinterpretq_u64_f64(x.v), 52));
  return {vcvtq_f64_s64(vsubq_s64(biased, vdupq_n_s64(1023)))};
}
NNF_INLINE Vf mantissa(Vf x) {
  const uint32x4_t bits = vandq_u32(vreinterpretq_u32_f32(x.v), vdupq_n_u32(0x007fffffu));
  return {vreinterpretq_f32_u32(vorrq_u32(bits, vdupq_n_u32(0x3f800000u)))};
}
NNF_INLINE Vd mantissa(Vd x) {
  const uint64x2_t bits = vandq_u64(vreinterpretq_u64_f64(x.v), vdupq_n_u64(0x000fffffffffffffull));
  return {vreinterpretq_f64_u64(vorrq_u64(bits, vdupq_n_u64(0x3ff0000000000000ull)))};
}

NNF_INLINE Vf reciprocal_estimate(Vf x) {
  return {
      vreinterpretq_f32_s32(vsubq_s32(vdupq_n_s32(kReciprocalMagic), vreinterpretq_s32_f32(x.v)))};
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

// Register budget of the matrix product: 32 registers hold 6 x 4 sums, 4 of B and one of A.
constexpr bool kHasFma = true;
constexpr bool kPartialLoadsAreCheap = false;
constexpr int kGemmVectors = 4;
constexpr int gemm_rows(int vectors) { return vectors >= 4 ? 6 : vectors == 3 ? 8 : 14; }
constexpr bool kGemmUnrolls = false;

struct Words {
  uint64x2_t v;
};
NNF_INLINE Words load_words(const uint64_t* p) { return {vld1q_u64(p)}; }
NNF_INLINE void store_words(uint64_t* p, Words a) { vst1q_u64(p, a.v); }
NNF_INLINE Words broadcast_words(uint64_t s) { return {vdupq_n_u64(s)}; }
NNF_INLINE Words operator^(Words a, Words b) { return {veorq_u64(a.v, b.v)}; }
NNF_INLINE Words upper_half(Words a) { return {vshrq_n_u64(a.v, 32)}; }
NNF_INLINE Words multiply_lower_halves(Words a, Words b) {
  return {vmull_u32(vmovn_u64(a.v), vmovn_u64(b.v))};
}
