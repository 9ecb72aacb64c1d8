// Numbers of twice the precision of double, as unevaluated sums of two. Included inside namespace
// nnfast::<isa>::{anonymous}, after vec.h.
//
// Reference: T. J. Dekker, A floating-point technique for extending the available precision,
// Numerische Mathematik 18 (1971), doi 10.1007/BF01397083.
#pragma once

struct Pair {
  Vec<double> high, low;
};

// a + b for |a| >= |b| or a = 0.
NNF_INLINE Pair exact_sum(Vec<double> a, Vec<double> b) {
  const Vec<double> sum = a + b;
  return {sum, (a - sum) + b};
}

// The upper 26 bits of a, for |a| < 2^996.
NNF_INLINE Vec<double> upper_bits(Vec<double> a) {
  const Vec<double> scaled = a * broadcast<double>(134217729.0);  // 2^27 + 1
  return scaled - (scaled - a);
}

// a * b, for factors below 2^996. Without fma, from products of halves, each of which is exact.
NNF_INLINE Pair exact_product(Vec<double> a, Vec<double> b) {
  const Vec<double> product = a * b;
  if constexpr (kHasFma) {
    return {product, fma(a, b, -product)};
  } else {
    const Vec<double> a_high = upper_bits(a), b_high = upper_bits(b);
    const Vec<double> a_low = a - a_high, b_low = b - b_high;
    return {product,
            ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low};
  }
}
