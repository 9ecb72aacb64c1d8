// sin and cos of Vec<T>, T = float or double. Included inside namespace
// nnfast::<isa>::{anonymous}, after math.h, which says what holds for all functions. Those of float
// are computed in double and rounded.
//
// References: Cody and Waite, as in math.h; M. Payne and R. Hanek, Radian reduction for
// trigonometric functions, SIGNUM Newsletter 18 (1983), doi 10.1145/1057600.1057602.
#pragma once

// pi/2 in three parts, of which the first two have 33 bits: their products with a number below 2^20
// are exact.
struct HalfPi {
  static constexpr double high = 0x1.921fb54400000p+0;
  static constexpr double middle = 0x1.0b4611a600000p-34;
  static constexpr double low = 0x1.3198a2e037073p-69;
  static constexpr double reciprocal = 0.6366197723675814;
  // The same in one part, its upper 26 bits, and what they leave out.
  static constexpr double value = 1.5707963267948966;
  static constexpr double upper = 0x1.921fb50000000p+0;
  static constexpr double lower = 0x1.110b460000000p-26;
  static constexpr double rest = 0x1.1a62633145c07p-54;
};

// The bits of 2/pi after the point, preceded by 64 zeros.
struct TwoOverPi {
  static constexpr uint32_t word[] = {
      0x00000000, 0x00000000, 0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599,
      0x3c439041, 0xfe5163ab, 0xdebbc561, 0xb7246e3a, 0x424dd2e0, 0x06492eea, 0x09d1921c,
      0xfe1deb1c, 0xb129a73e, 0xe88235f5, 0x2ebb4484, 0xe99c7026, 0xb45f7e41, 0x3991d639,
      0x835339f4, 0x9c845f8b, 0xbdf9283b, 0x1ff897ff, 0xde05980f, 0xef2f118b, 0x5a0a6d1f,
      0x6d367ecf, 0x27cb09b7, 0x4f463f66, 0x9e5fea2d, 0x7527bac7, 0xebe5f17b, 0x3d0739f7,
      0x8a5292ea, 0x6bfb5fb1, 0x1f8d5d08, 0x56033046};
};

// x = quadrant pi/2 + r + low, quadrant a whole number, up to a multiple of 4.
struct Angle {
  double quadrant, r, low;
};

// f pi/2 + error pi/2.
NNF_INLINE Angle scaled_by_half_pi(double quadrant, double f, double error) {
  const double r = f * HalfPi::value;
  const double scaled = 134217729.0 * f, upper = scaled - (scaled - f), lower = f - upper;
  const double rounding =
      ((upper * HalfPi::upper - r) + upper * HalfPi::lower + lower * HalfPi::upper) +
      lower * HalfPi::lower;
  return {quadrant, r, rounding + (f * HalfPi::rest + error * HalfPi::value)};
}

// The angle of a finite |x| >= 1/2, however large (Payne and Hanek): x = m 2^e times those 192 bits
// of 2/pi whose product with it is neither a multiple of 4 nor too small to matter. Of all doubles,
// none is closer to a multiple of pi/2 than 2^-62 of it.
NNF_OUTLINE Angle exact_angle(double x) {
  union {
    double number;
    uint64_t bits;
  } pun = {x};
  const bool negative = (pun.bits >> 63) != 0;
  const uint64_t m = (pun.bits & 0xfffffffffffffu) | 0x10000000000000u;
  const int e = static_cast<int>(pun.bits >> 52 & 0x7ff) - 1075;
  // Two bits before the point, 190 after it, the first word the highest.
  const int first = (e + 62) / 32, shift = (e + 62) % 32;
  uint32_t f[6];
  uint64_t carry = 0, above = 0;
  for (int k = 5; k >= 0; --k) {
    const uint64_t two =
        static_cast<uint64_t>(TwoOverPi::word[first + k]) << 32 | TwoOverPi::word[first + k + 1];
    const uint64_t word = two >> (32 - shift) & 0xffffffffu;
    const uint64_t low = (m & 0xffffffffu) * word, high = (m >> 32) * above;
    const uint64_t sum = (low & 0xffffffffu) + (high & 0xffffffffu) + (carry & 0xffffffffu);
    f[k] = static_cast<uint32_t>(sum);
    carry = (low >> 32) + (high >> 32) + (carry >> 32) + (sum >> 32);
    above = word;
  }
  const int quadrant = static_cast<int>((f[0] >> 29) + 1) >> 1;
  // From one half on, what is left to the next whole number.
  const bool beyond = (f[0] >> 29 & 1) != 0;
  const uint32_t inverted = beyond ? 0xffffffffu : 0u;
  double sum = 0, error = 0, unit = 0x1p-30;
  for (int k = 0; k < 6; ++k, unit *= 0x1p-32) {
    const uint32_t digits = (f[k] ^ inverted) & (k == 0 ? 0x3fffffffu : 0xffffffffu);
    const double term = static_cast<double>(digits) * unit, total = sum + term;
    error += (sum - total) + term;
    sum = total;
  }
  const bool minus = beyond != negative;
  return scaled_by_half_pi(negative ? -quadrant : quadrant, minus ? -sum : sum,
                           minus ? -error : error);
}

struct Angles {
  Vec<double> quadrant, r, low;
};

// Those of the chosen x exactly; the others as they are. Not inlined, because few are chosen.
NNF_OUTLINE Angles exact_angles(Vec<double> x, Mask<double> chosen, Angles angle) {
  constexpr int lanes = Vec<double>::lanes;
  double number[lanes], wanted[lanes], quadrant[lanes], r[lanes], low[lanes];
  store(number, x);
  store(wanted, select(chosen, broadcast<double>(1), zero<double>()));
  for (int i = 0; i < lanes; ++i) {
    const Angle exact = wanted[i] != 0 ? exact_angle(number[i]) : Angle{0, 0, 0};
    quadrant[i] = exact.quadrant;
    r[i] = exact.r;
    low[i] = exact.low;
  }
  return {select(chosen, load(quadrant), angle.quadrant), select(chosen, load(r), angle.r),
          select(chosen, load(low), angle.low)};
}

NNF_INLINE Angles reduce_angle(Vec<double> x) {
  Angles angle;
  angle.quadrant = round_nearest(x * broadcast<double>(HalfPi::reciprocal));
  const Vec<double> t = x - angle.quadrant * broadcast<double>(HalfPi::high);
  const Vec<double> w = angle.quadrant * broadcast<double>(HalfPi::middle);
  const Vec<double> difference = t - w;
  const Vec<double> error =
      ((t - difference) - w) - angle.quadrant * broadcast<double>(HalfPi::low);
  angle.r = difference + error;
  angle.low = (difference - angle.r) + error;
  // Large, or close to a multiple of pi/2.
  const Vec<double> size = abs(x);
  const Mask<double> close =
      less(abs(angle.r), broadcast<double>(0x1p-40)) & less_equal(broadcast<double>(0.5), size);
  const Mask<double> special = (close | less(broadcast<double>(0x1p20), size)) &
                               less(size, broadcast<double>(MathConstants<double>::infinity));
  return any(special) ? exact_angles(x, special, angle) : angle;
}

// sin(r) = r + r^3 Sin(r^2) and cos(r) = 1 - r^2 / 2 + r^4 Cos(r^2) for |r| <= pi/4, for results of
// type T.
template <class T>
struct SinTable;
template <class T>
struct CosTable;
template <>
struct SinTable<float> {
  static constexpr double c[] = {-0.16666666640775638, 0.008333329302472967, -0.0001983931152330891,
                                 2.7181145764350385e-06};
};
template <>
struct CosTable<float> {
  static constexpr double c[] = {0.04166666661946231, -0.0013888883497431392,
                                 2.4799459436153094e-05, -2.720569374961004e-07};
};
template <>
struct SinTable<double> {
  static constexpr double c[] = {-0.1666666666666663,     0.008333333333322108,
                                 -0.000198412698295805,   2.7557313618164325e-06,
                                 -2.5050747244455908e-08, 1.5896199279424318e-10};
};
template <>
struct CosTable<double> {
  static constexpr double c[] = {0.041666666666666595,   -0.001388888888887304,
                                 2.480158728884182e-05,  -2.7557314176355344e-07,
                                 2.0875700431483816e-09, -1.1358514750884493e-11};
};

// sin and cos of an angle's r + low, and its quadrant.
struct Octants {
  Vec<double> s, c, quadrant;
};

template <class T>
NNF_INLINE Octants octants_of(Vec<double> x) {
  const Angles angle = reduce_angle(x);
  const Vec<double> r = angle.r, z = r * r, half = z * broadcast<double>(0.5);
  const Vec<double> one = broadcast<double>(1), main = one - half;
  const Vec<double> s_tail = polynomial<SinTable<T>>(z), c_tail = polynomial<CosTable<T>>(z);
  if constexpr (sizeof(T) == sizeof(float)) {
    return {fma(r * z, s_tail, r), fma(z * z, c_tail, main), angle.quadrant};
  } else {
    const Vec<double> s = r + fma(r * z, s_tail, fnma(half, angle.low, angle.low));
    const Vec<double> c = main + (((one - main) - half) + fma(z * z, c_tail, -(r * angle.low)));
    return {s, c, angle.quadrant};
  }
}

// The sine of x, whose quadrant is `turned`; NaN for infinities.
template <class T>
NNF_INLINE Vec<T> sine_of_quadrant(Vec<T> x, Vec<T> s, Vec<T> c, Vec<T> turned) {
  const Vec<T> one = broadcast<T>(T(1));
  // -2, -1, 0, 1 or 2.
  const Vec<T> quadrant =
      turned - broadcast<T>(T(4)) * round_nearest(turned * broadcast<T>(T(0.25)));
  const Vec<T> value = select(equal(abs(quadrant), one), c, s);
  const Mask<T> negative = less(quadrant, zero<T>()) | less(one, quadrant);
  const Vec<T> y = select(negative, -value, value);
  return select(less(abs(x), broadcast<T>(MathConstants<T>::infinity)), y, x - x);
}

// sin(x + quarters pi/2), for quarters of 0 or 1. Not inlined, because it is long.
NNF_OUTLINE Vec<double> sine(Vec<double> x, double quarters) {
  const Octants octants = octants_of<double>(x);
  return sine_of_quadrant(x, octants.s, octants.c, octants.quadrant + broadcast<double>(quarters));
}
NNF_INLINE Vec<float> sine(Vec<float> x, float quarters) {
  const Octants low = octants_of<float>(widen_low(x)), high = octants_of<float>(widen_high(x));
  return sine_of_quadrant(x, narrow(low.s, high.s), narrow(low.c, high.c),
                          narrow(low.quadrant, high.quadrant) + broadcast<float>(quarters));
}

// Error: 0.50, 0.74. NaN for infinities.
template <class T>
NNF_INLINE Vec<T> sin(Vec<T> x) {
  // Those of small numbers, which may be subnormal, are the numbers.
  return select(less(abs(x), broadcast<T>(T(0x1p-27))), x, sine(x, T(0)));
}
template <class T>
NNF_INLINE Vec<T> cos(Vec<T> x) {
  return sine(x, T(1));
}
