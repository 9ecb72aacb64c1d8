// pow of Vec<T>, T = float or double. Included inside namespace nnfast::<isa>::{anonymous}, after
// math.h, which says what holds for all functions. That of float is computed in double and rounded.
//
// Reference: Muller, as in math.h, section 11.4, for the logarithm in two parts.
#pragma once

#include "simd/pairs.h"
#include "simd/round.h"

// log((1 + s) / (1 - s)) = 2 s + s^3 (2/3 + z Ratio(z)), z = s^2, for a quotient of sqrt(1/2) to sqrt(2).
struct RatioTable {
  static constexpr double c[] = {0.3999999999999998,  0.2857142857144508,  0.22222222217543625,
                                 0.1818181886952528,  0.15384556919552952, 0.1333631572969227,
                                 0.11674849598071767, 0.11988777911483219};
};

// log(x) for 0 < x < infinity, to 2^-65 of itself: e ln 2 + log(m), m from sqrt(1/2) to sqrt(2).
NNF_INLINE Pair log_in_two_parts(Vec<double> x) {
  using Constants = MathConstants<double>;
  const Vec<double> one = broadcast<double>(1), two = broadcast<double>(2);
  const Mask<double> subnormal = less(x, broadcast<double>(Constants::smallest_normal));
  const Vec<double> normal =
      select(subnormal, x * broadcast<double>(Constants::subnormal_scale), x);
  const Vec<double> scaled =
      select(subnormal, broadcast<double>(Constants::subnormal_bits), zero<double>());
  const Vec<double> m = mantissa(normal);
  const Mask<double> above = less(broadcast<double>(Constants::sqrt2), m);
  const Vec<double> exponent_of_x = exponent(normal) - scaled;
  const Vec<double> e = select(above, exponent_of_x + one, exponent_of_x);
  const Vec<double> f = select(above, m * broadcast<double>(0.5), m) - one;
  // s = f / (2 + f); the difference is exact.
  const Pair divisor = exact_sum(two, f);
  Pair s;
  s.high = f / divisor.high;
  const Pair product = exact_product(s.high, divisor.high);
  s.low = (((f - product.high) - product.low) - s.high * divisor.low) / divisor.high;
  Pair z = exact_product(s.high, s.high);
  z.low = fma(s.high * two, s.low, z.low);
  Pair factor = exact_sum(broadcast<double>(2.0 / 3), z.high * polynomial<RatioTable>(z.high));
  factor.low = factor.low + broadcast<double>(0x1.5555555555555p-55);  // 2/3 - its double
  Pair cubic = exact_product(z.high, factor.high);
  cubic.low = fma(z.high, factor.low, fma(z.low, factor.high, cubic.low));
  Pair tail = exact_product(s.high, cubic.high);
  tail.low = fma(s.high, cubic.low, fma(s.low, cubic.high, tail.low));
  const Pair first = exact_sum(e * broadcast<double>(Constants::ln2_high), s.high + s.high);
  const Pair second = exact_sum(first.high, tail.high);
  const Vec<double> low = (first.low + second.low) +
                          fma(two, s.low, fma(e, broadcast<double>(Constants::ln2_low), tail.low));
  return exact_sum(second.high, low);
}

// exp(high + low), |low| less than a unit of high; subnormal results are rounded once.
NNF_INLINE Vec<double> exp_of_two_parts(Pair x) {
  const Vec<double> high = clamp(x.high, -746.0, 710.0);
  const Vec<double> low = select(equal(high, x.high), x.low, zero<double>());
  auto reduced = reduce_exponential(high);
  reduced.high = reduced.high + low;
  const Vec<double> n = round_nearest(reduced.n * broadcast<double>(0.5));
  return exp_reduced(reduced) * pow2(n) * pow2(reduced.n - n);
}

// |x|^y for finite |x| > 0 and |y| <= 2^80.
NNF_INLINE Vec<double> power_of_double(Vec<double> x, Vec<double> y) {
  const Pair logarithm = log_in_two_parts(x);
  Pair product = exact_product(y, logarithm.high);
  product.low = fma(y, logarithm.low, product.low);
  return exp_of_two_parts(product);
}

// log(1 + f) = f + f^2 Log(f) and exp(r) = 1 + r + r^2 Exp(r), as in math.h, but to the 2^-34 that
// results of float need.
struct ShortLogTable {
  static constexpr double c[] = {-0.49999999993770994, 0.33333333425193107,  -0.2500000200577084,
                                 0.19999987384344722,  -0.16666490536562054, 0.14286208829532826,
                                 -0.12506609906533406, 0.11105781322429073,  -0.09880590723188223,
                                 0.0903000567558693,   -0.09317591216895608, 0.09174454075998315,
                                 -0.04841095943210009};
};
struct ShortExpTable {
  static constexpr double c[] = {0.5000000067681083,   0.16666665869433658,  0.04166629495682273,
                                 0.008333496992750359, 0.001394465874649036, 0.0001979037447767022};
};

// x^y for numbers x > 0 and y of float.
NNF_INLINE Vec<double> power_of_float(Vec<double> x, Vec<double> y) {
  using Constants = MathConstants<double>;
  const Vec<double> one = broadcast<double>(1), ln2 = broadcast<double>(0.6931471805599453);
  const Vec<double> m = mantissa(x), e = exponent(x);
  const Mask<double> above = less(broadcast<double>(Constants::sqrt2), m);
  const Vec<double> f = select(above, m * broadcast<double>(0.5), m) - one;
  const Vec<double> logarithm =
      fma(select(above, e + one, e), ln2, fma(polynomial<ShortLogTable>(f), f * f, f));
  const Vec<double> product = clamp(y * logarithm, -200.0, 200.0);
  const Vec<double> n = round_nearest(product * broadcast<double>(Constants::log2_e));
  const Vec<double> r = fnma(n, ln2, product);
  return fma(fma(polynomial<ShortExpTable>(r), r, one), r, one) * pow2(n);
}

// |x|^y for finite |x| > 0 and |y| <= 2^80.
NNF_INLINE Vec<double> power_of_size(Vec<double> x, Vec<double> y) { return power_of_double(x, y); }
NNF_INLINE Vec<float> power_of_size(Vec<float> x, Vec<float> y) {
  return narrow(power_of_float(widen_low(x), widen_low(y)),
                power_of_float(widen_high(x), widen_high(y)));
}

// x^y, with the limits of C99, Annex F.9.4.4. Error: 0.51, 0.97; without fma 1.2. Not inlined,
// because it is long.
template <class T>
NNF_OUTLINE Vec<T> pow(Vec<T> x, Vec<T> y) {
  const Vec<T> one = broadcast<T>(T(1)), none = zero<T>();
  const Vec<T> infinity = broadcast<T>(MathConstants<T>::infinity);
  const Vec<T> size = abs(x);
  Vec<T> value = power_of_size(size, clamp(y, T(-0x1p80), T(0x1p80)));
  // Of 0 and infinity.
  const Vec<T> growth = select(less(size, one), -y, y);
  value = select(equal(size, none) | equal(size, infinity),
                 select(less(none, growth), infinity, none), value);
  // Of negative numbers; numbers that have no fractional digits left are even.
  const Vec<T> half = y * broadcast<T>(T(0.5));
  const Mask<T> fractional = not_equal(round_to_even(y), y);
  const Mask<T> even = equal(round_to_even(half), half);
  const Vec<T> signs = select(even | fractional, one, copysign(one, x));
  const Mask<T> undefined = less(x, none) & less(size, infinity) & fractional;
  value = select(undefined, broadcast<T>(MathConstants<T>::nan), value * signs);
  value = select(is_nan(x) | is_nan(y), x + y, value);
  return select(equal(y, none) | equal(x, one), one, value);
}
