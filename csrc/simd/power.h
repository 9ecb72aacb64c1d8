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

// The same, to the 2^-40 of itself that numbers of float need.
NNF_INLINE Vec<double> power_of_float(Vec<double> x, Vec<double> y) { return exp(y * log(x)); }

// The limits of C99, Annex F.9.4.4, around |x|^y. Not inlined, because it is long.
template <class T>
NNF_OUTLINE Vec<double> power(Vec<double> x, Vec<double> y) {
  const Vec<double> one = broadcast<double>(1), none = zero<double>();
  const Vec<double> infinity = broadcast<double>(MathConstants<double>::infinity);
  const Vec<double> size = abs(x), bounded = clamp(y, -0x1p80, 0x1p80);
  Vec<double> value;
  if constexpr (sizeof(T) == sizeof(double)) {
    value = power_of_double(size, bounded);
  } else {
    value = power_of_float(size, bounded);
  }
  // Of 0 and infinity.
  const Vec<double> growth = select(less(size, one), -y, y);
  value = select(equal(size, none) | equal(size, infinity),
                 select(less(none, growth), infinity, none), value);
  // Of negative numbers; numbers from 2^53 on are even.
  const Vec<double> half = y * broadcast<double>(0.5);
  const Mask<double> whole = equal(round_to_even(y), y);
  const Mask<double> odd = whole & not_equal(round_to_even(half), half);
  const Mask<double> negative = less(copysign(one, x), none);
  value = select(negative & odd, -value, value);
  const Mask<double> undefined =
      less(x, none) & less(size, infinity) & not_equal(round_to_even(y), y);
  value = select(undefined, broadcast<double>(MathConstants<double>::nan), value);
  value = select(is_nan(x) | is_nan(y), x + y, value);
  return select(equal(y, none) | equal(x, one), one, value);
}

// x^y. Error: 0.50, 0.97; without fma 1.2.
NNF_INLINE Vec<double> pow(Vec<double> x, Vec<double> y) { return power<double>(x, y); }
NNF_INLINE Vec<float> pow(Vec<float> x, Vec<float> y) {
  return narrow(power<float>(widen_low(x), widen_low(y)),
                power<float>(widen_high(x), widen_high(y)));
}
