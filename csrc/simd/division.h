// Division with a remainder: floor_quotient and floor_remainder, of Vec<T>, T = float or double,
// with the results of NumPy's floor_divide and mod. Included inside namespace
// nnfast::<isa>::{anonymous}, after math.h. Those of float are computed in double.
#pragma once

#include "simd/pairs.h"
#include "simd/round.h"

// a mod b for finite a >= 0 and b > 0, bit by bit, without rounding; NaN for others, a for infinite b.
NNF_OUTLINE double exact_remainder(double a, double b) {
  constexpr double infinity = MathConstants<double>::infinity;
  if (!(a < infinity && b > 0)) return MathConstants<double>::nan;
  if (a < b) return a;
  // Doubles b until it is the largest multiple by a power of 2 that is not above a, then halves it:
  // every product is exact, and so is every difference (Sterbenz).
  double multiple = b;
  while (multiple <= 0.5 * a) multiple *= 2;
  for (;; multiple *= 0.5) {
    if (a >= multiple) a -= multiple;
    if (multiple == b) return a;
  }
}

// The remainder of a / b truncated, with the sign of a.
NNF_OUTLINE Vec<double> truncated_remainder(Vec<double> a, Vec<double> b) {
  const Vec<double> size = abs(a), divisor = abs(b);
  const Vec<double> quotient = size / divisor;
  const Vec<double> whole = floor(quotient);
  const Pair product = exact_product(whole, divisor);
  // Below 0 if the quotient was rounded up to a whole number.
  Vec<double> rest = (size - product.high) - product.low;
  rest = select(less(rest, zero<double>()), rest + divisor, rest);
  const Mask<double> regular = less(quotient, broadcast<double>(AllWhole<double>::value)) &
                               less(max(size, divisor), broadcast<double>(0x1p990));
  const Vec<double> exact = select(regular, zero<double>(), broadcast<double>(1));
  if (any(not_equal(exact, zero<double>()))) {
    constexpr int lanes = Vec<double>::lanes;
    double dividends[lanes], divisors[lanes], chosen[lanes], rests[lanes];
    store(dividends, size);
    store(divisors, divisor);
    store(chosen, exact);
    for (int i = 0; i < lanes; ++i)
      rests[i] = chosen[i] != 0 ? exact_remainder(dividends[i], divisors[i]) : 0;
    rest = select(regular, rest, load(rests));
  }
  return copysign(rest, a);
}

// Where the remainder and b have different signs.
NNF_INLINE Mask<double> below_multiple(Vec<double> rest, Vec<double> b) {
  const Vec<double> signs = copysign(broadcast<double>(1), b);
  return less(rest * signs, zero<double>());
}

NNF_INLINE Vec<double> floor_remainder(Vec<double> a, Vec<double> b) {
  const Vec<double> rest = truncated_remainder(a, b);
  const Vec<double> value = select(below_multiple(rest, b), rest + b, rest);
  return select(equal(rest, zero<double>()), copysign(zero<double>(), b), value);
}

NNF_INLINE Vec<double> floor_quotient(Vec<double> a, Vec<double> b) {
  const Vec<double> one = broadcast<double>(1), rest = truncated_remainder(a, b);
  const Vec<double> exact = (a - rest) / b;
  const Vec<double> quotient = select(below_multiple(rest, b), exact - one, exact);
  // The quotient may have been rounded: to the nearest whole number.
  const Vec<double> down = floor(quotient);
  const Vec<double> whole = select(less(broadcast<double>(0.5), quotient - down), down + one, down);
  const Vec<double> value =
      select(equal(quotient, zero<double>()), copysign(zero<double>(), a / b), whole);
  return select(equal(b, zero<double>()), a / b, value);
}

NNF_INLINE Vec<float> floor_remainder(Vec<float> a, Vec<float> b) {
  return narrow(floor_remainder(widen_low(a), widen_low(b)),
                floor_remainder(widen_high(a), widen_high(b)));
}
NNF_INLINE Vec<float> floor_quotient(Vec<float> a, Vec<float> b) {
  return narrow(floor_quotient(widen_low(a), widen_low(b)),
                floor_quotient(widen_high(a), widen_high(b)));
}
