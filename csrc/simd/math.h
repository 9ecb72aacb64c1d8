// Elementary functions of Vec<T>, T = float or double: exp, expm1, log, log1p, tanh, sigmoid, erf,
// normal, softplus, sincos_2pi. Included inside namespace nnfast::<isa>::{anonymous}, after vec.h.
//
// No branches, and the same operations in the same order on every instruction set: all with fma
// give the same bits. NaN in, NaN out. Subnormal arguments are handled exactly; subnormal results
// are accurate to one unit, except where a function states that they are 0.
//
// Each function states its largest measured error in ULP: for float over all numbers from 2^-27 to
// 2^7 in magnitude (and samples of the others), then for double over 3 million samples. The
// baseline, whose fma rounds twice, stays below 2.4 (erf), 2 (sigmoid) and 1.8 (others).
//
// Tables are minimax polynomials, lowest power first, printed by tools/fit_math.py. A polynomial is
// the small part of a sum whose large part is exact, so that effectively the sum rounds only once.
//
// References: W. J. Cody and W. Waite, Software Manual for the Elementary Functions (1980), for the
// reduction by ln 2 in two parts; J.-M. Muller, Elementary Functions, 3rd ed. (2016),
// doi 10.1007/978-1-4899-7983-4, for minimax approximation and argument reduction.
#pragma once

template <class T>
struct MathConstants;
// ln2_high has so few bits that its product with any exponent is exact.
template <>
struct MathConstants<float> {
  static constexpr float infinity = __builtin_huge_valf();
  static constexpr float nan = __builtin_nanf("");
  static constexpr float smallest_normal = 1.17549435e-38f;
  static constexpr float max_exponent = 127.0f;
  static constexpr float log2_e = 1.442695f;
  static constexpr float ln2_high = 0.69314575f;
  static constexpr float ln2_low = 1.4286068e-06f;
  static constexpr float sqrt2 = 1.4142135f;
  static constexpr float exp_high = 89.0f;    // exp is infinite
  static constexpr float exp_low = -88.0f;    // exp < 2^-126.5, and -exp_low < ln(2^127.5)
  static constexpr float tanh_limit = 10.0f;  // tanh rounds to 1
  static constexpr float largest = 3.40282347e+38f;
  static constexpr float moderate = 0x1p88f;  // overflows with 2^40: see ops/reduce.h
  static constexpr float subnormal_bits = 24.0f;
  static constexpr float subnormal_scale = 16777216.0f;  // 2^24
};
template <>
struct MathConstants<double> {
  static constexpr double infinity = __builtin_huge_val();
  static constexpr double nan = __builtin_nan("");
  static constexpr double smallest_normal = 2.2250738585072014e-308;
  static constexpr double max_exponent = 1023.0;
  static constexpr double log2_e = 1.4426950408889634;
  static constexpr double ln2_high = 0.6931471805598903;
  static constexpr double ln2_low = 5.497923018708371e-14;
  static constexpr double sqrt2 = 1.4142135623730951;
  static constexpr double exp_high = 710.0;
  static constexpr double exp_low = -709.0;
  static constexpr double tanh_limit = 20.0;
  static constexpr double largest = 1.7976931348623157e+308;
  static constexpr double moderate = 0x1p624;  // with 2^400
  static constexpr double subnormal_bits = 54.0;
  static constexpr double subnormal_scale = 18014398509481984.0;  // 2^54
};

// Horner's rule on every step-th coefficient of Table::c, unrolled when compiled.
template <class Table, int first, int step, class T>
NNF_INLINE Vec<T> horner(Vec<T> x) {
  const Vec<T> c = broadcast<T>(Table::c[first]);
  if constexpr (first + step >= static_cast<int>(sizeof(Table::c) / sizeof(T))) {
    return c;
  } else {
    return fma(horner<Table, first + step, step>(x), x, c);
  }
}

// The polynomial of Table::c; a long one as even(x^2) + x odd(x^2), which halves its latency.
template <class Table, class T>
NNF_INLINE Vec<T> polynomial(Vec<T> x) {
  if constexpr (sizeof(Table::c) / sizeof(T) <= 16) {
    return horner<Table, 0, 1>(x);
  } else {
    const Vec<T> square = x * x;
    return fma(horner<Table, 1, 2>(square), x, horner<Table, 0, 2>(square));
  }
}

// x clamped to a bound; NaN is kept, because it is the second operand.
template <class T>
NNF_INLINE Vec<T> clamp(Vec<T> x, T low, T high) {
  return min(broadcast<T>(high), max(broadcast<T>(low), x));
}

// exp(r) = 1 + r + r^2 Exp(r) for |r| <= ln(2)/2.
template <class T>
struct ExpTable;
template <>
struct ExpTable<float> {
  static constexpr float c[] = {0.49999994f, 0.16666521f, 0.04166839f, 0.008368716f, 0.0013814588f};
};
template <>
struct ExpTable<double> {
  static constexpr double c[] = {
      0.5000000000000011,     0.16666666666666413,    0.04166666666653017,    0.008333333333494479,
      0.0013888888943627828,  0.00019841269506549685, 2.4801493101244676e-05, 2.755758639539226e-06,
      2.7630247536115133e-07, 2.500005567101886e-08};
};

// x = n ln 2 + r, n integral, |r| <= ln(2)/2; r = high - n ln2_low, high exact.
template <class T>
struct ReducedExponential {
  Vec<T> n, high;
};
template <class T>
NNF_INLINE ReducedExponential<T> reduce_exponential(Vec<T> x) {
  const Vec<T> magic = broadcast<T>(RoundConstant<T>::value);
  const Vec<T> n = fma(x, broadcast<T>(MathConstants<T>::log2_e), magic) - magic;
  return {n, fnma(n, broadcast<T>(MathConstants<T>::ln2_high), x)};
}

// exp(r).
template <class T>
NNF_INLINE Vec<T> exp_reduced(ReducedExponential<T> x) {
  const Vec<T> one = broadcast<T>(T(1));
  const Vec<T> r = fnma(x.n, broadcast<T>(MathConstants<T>::ln2_low), x.high);
  return fma(fma(polynomial<ExpTable<T>>(r), r, one), r, one);
}

// expm1(r) - high, which is small.
template <class T>
NNF_INLINE Vec<T> expm1_tail(ReducedExponential<T> x) {
  const Vec<T> low = x.n * broadcast<T>(MathConstants<T>::ln2_low);
  const Vec<T> r = x.high - low;
  return fma(polynomial<ExpTable<T>>(r), r * r, -low);
}

// 2^n expm1(r) + (2^n - 1).
template <class T>
NNF_INLINE Vec<T> scaled_expm1(ReducedExponential<T> x, Vec<T> n) {
  const Vec<T> scale = pow2(n);
  return fma(scale, expm1_tail(x), fma(scale, x.high, scale - broadcast<T>(T(1))));
}

// exp(x) = 2^n exp(r). Error: 0.91, 0.89. Infinite on overflow; 0 below 2^-126.5 (float) or
// 2^-1022.5 (double).
template <class T>
NNF_INLINE Vec<T> exp(Vec<T> x) {
  using Constants = MathConstants<T>;
  const auto reduced = reduce_exponential(clamp(x, Constants::exp_low, Constants::exp_high));
  // 2^n overflows one n before exp does: the excess is 0 or 1, and 2^excess = 1 + excess.
  const Vec<T> n = min(broadcast<T>(Constants::max_exponent), reduced.n);
  const Vec<T> y = exp_reduced(reduced) * pow2(n);
  return fma(y, reduced.n - n, y);
}

// exp(x) for x <= 0, which cannot overflow; same bits as exp.
template <class T>
NNF_INLINE Vec<T> exp_nonpositive(Vec<T> x) {
  const auto reduced = reduce_exponential(max(broadcast<T>(MathConstants<T>::exp_low), x));
  return exp_reduced(reduced) * pow2(reduced.n);
}

// expm1(x) = 2^n expm1(r) + (2^n - 1), with excess as in exp. Error: 1.24, 1.16.
template <class T>
NNF_INLINE Vec<T> expm1(Vec<T> x) {
  using Constants = MathConstants<T>;
  const auto reduced = reduce_exponential(clamp(x, Constants::exp_low, Constants::exp_high));
  const Vec<T> n = min(broadcast<T>(Constants::max_exponent), reduced.n);
  const Vec<T> y = scaled_expm1(reduced, n);
  return copysign(fma(y, reduced.n - n, y), x);
}

// sigmoid(x) = 1 / (1 + exp(-x)). Error: 2.00, 2.00. 0 for x < -88 (float) or x < -709 (double).
template <class T>
NNF_INLINE Vec<T> sigmoid(Vec<T> x) {
  const Vec<T> one = broadcast<T>(T(1));
  constexpr T low = MathConstants<T>::exp_low;
  const auto reduced = reduce_exponential(clamp(-x, low, -low));
  const Vec<T> scale = pow2(reduced.n);
  // 1 + 2^n + 2^n expm1(r), adding the smaller of 1 and 2^n first, which makes the error of that
  // sum count less.
  const Vec<T> smaller = fma(scale, reduced.high + expm1_tail(reduced), min(scale, one));
  const Vec<T> y = one / (max(scale, one) + smaller);
  return select(less(x, broadcast<T>(low)), zero<T>(), y);
}

// tanh(x) = x + x^3 Tanh(x^2) for |x| < 5/8.
template <class T>
struct TanhTable;
template <>
struct TanhTable<float> {
  static constexpr float c[] = {-0.3333333f, 0.13333206f,   -0.053946763f,
                                0.02170071f, -0.008177413f, 0.0021429744f};
};
template <>
struct TanhTable<double> {
  static constexpr double c[] = {
      -0.3333333333333333,    0.13333333333333156,    -0.0539682539681283,
      0.021869488531647156,   -0.008863235434313867,  0.0035921267306621004,
      -0.0014558222924743918, 0.0005899492278959203,  -0.00023877083186246413,
      9.575109128221265e-05,  -3.662553321019805e-05, 1.1794586538571192e-05,
      -2.2717667993400964e-06};
};

// tanh(x) = 1 - 2 / (1 + exp(2|x|)) with the sign of x where |x| >= 5/8. Error: 1.37, 1.37.
template <class T>
NNF_INLINE Vec<T> tanh(Vec<T> x) {
  const Vec<T> one = broadcast<T>(T(1));
  const Vec<T> a = min(broadcast<T>(MathConstants<T>::tanh_limit), abs(x));
  const Vec<T> square = a * a;
  const Vec<T> inner = fma(a, square * polynomial<TanhTable<T>>(square), a);
  const auto reduced = reduce_exponential(a + a);
  const Vec<T> denominator = fma(exp_reduced(reduced), pow2(reduced.n), one);
  const Vec<T> outer = one - broadcast<T>(T(2)) / denominator;
  return copysign(select(less(a, broadcast<T>(T(0.625))), inner, outer), x);
}

// log(1 - erf(a)) = a (leading + Erf(a)) for 0 <= a <= limit.
template <class T>
struct ErfTable;
template <>
struct ErfTable<float> {
  static constexpr float limit = 4.0f;  // erf rounds to 1
  static constexpr float leading = -1.1283792f;
  static constexpr float c[] = {5.4115677e-08f, -0.6366194f,     -0.10277783f,
                                0.019153068f,   0.00016038805f,  -0.0016670193f,
                                0.000632832f,   -0.00011763971f, 9.256061e-06f};
};
template <>
struct ErfTable<double> {
  static constexpr double limit = 6.0;
  static constexpr double leading = -1.1283791670955126;
  static constexpr double c[] = {
      9.081708346162567e-18,  -0.6366197723675909,     -0.10277260330131512,
      0.01912844699308797,    0.00020919485399727026,  -0.001696207670363137,
      0.0005901324323363642,  -2.5904506422779666e-05, -6.44204573701155e-05,
      2.957564348791017e-05,  -3.1696409356598976e-06, -3.1329936198126364e-06,
      2.0372142512624645e-06, -5.706494509079888e-07,  1.1717138621693924e-08,
      6.572982712828339e-08,  -3.4583628575966484e-08, 1.07730354399655e-08,
      -2.360451734242872e-09, 3.7606154449072387e-10,  -4.3016782708485805e-11,
      3.364266221442333e-12,  -1.6148308065683483e-13, 3.592105033619183e-15};
};

// erf(x) = -expm1(log(1 - erf(|x|))) with the sign of x. Error: 1.80, 2.09.
// The relative error of the exponent is reduced by the factor y / (exp(y) - 1) at exponent -y.
template <class T>
NNF_INLINE Vec<T> erf(Vec<T> x) {
  using Table = ErfTable<T>;
  const Vec<T> a = min(broadcast<T>(Table::limit), abs(x));
  const Vec<T> exponent = fma(a, broadcast<T>(Table::leading), a * polynomial<Table>(a));
  const auto reduced = reduce_exponential(exponent);
  return copysign(scaled_expm1(reduced, reduced.n), x);
}

// Phi(-a) = exp(-a^2 / 2) (1/2 + u Normal(u)), u = a slope / (1 + a slope), for a >= 0.
template <class T>
struct NormalTable;
template <>
struct NormalTable<float> {
  static constexpr float c[] = {-1.3298094f, 1.4480498f,  -0.70064396f, -0.04763817f,
                                0.11608574f, 0.10727032f, -0.1289709f,  0.035649527f};
};
template <>
struct NormalTable<double> {
  static constexpr double c[] = {
      -1.3298076013381204,    1.4479701764423145,   -0.699465384287579,    -0.056064891152389,
      0.1493022544152688,     0.031833218402837156, -0.033180567831142496, -0.020688796861440296,
      -0.0011100643616796047, 0.020622816903056507, -0.04671987158399508,  0.15798963946307024,
      -0.3954750587179945,    0.7773886419154981,   -1.2207424601496664,   1.5052898900918044,
      -1.4368296312565145,    1.0374578942009163,   -0.5440342468386464,   0.19399159557041018,
      -0.041829391037412254,  0.004101838007619242};
};

// Phi(x), the standard normal distribution function, for finite x, given bell = exp(-x^2 / 2).
// Error: 2.2, 1.8 in units of 2^-24 and 2^-53; in ULP it grows with x^2 where Phi is small: 90
// (float) at x = -12.
template <class T>
NNF_INLINE Vec<T> normal(Vec<T> x, Vec<T> bell) {
  constexpr T slope = T(0.3);
  const Vec<T> one = broadcast<T>(T(1)), half = broadcast<T>(T(0.5));
  const Vec<T> a = abs(x) * broadcast<T>(slope);
  const Vec<T> u = a / (a + one);
  const Vec<T> tail = bell * fma(polynomial<NormalTable<T>>(u), u, half);
  return select(less(x, zero<T>()), tail, one - tail);
}

// log(1 + f) = f + f^2 Log(f) for sqrt(1/2) <= 1 + f <= sqrt(2).
template <class T>
struct LogTable;
template <>
struct LogTable<float> {
  static constexpr float c[] = {-0.49999988f, 0.33333325f, -0.25001583f, 0.20001975f, -0.16609083f,
                                0.14181824f,  -0.1324298f, 0.1290443f,   -0.07621792f};
};
template <>
struct LogTable<double> {
  static constexpr double c[] = {-0.5,
                                 0.33333333333333487,
                                 -0.24999999999998077,
                                 0.19999999999936569,
                                 -0.16666666667007018,
                                 0.14285714294805715,
                                 -0.12499999977317458,
                                 0.1111111046596371,
                                 -0.10000000501179257,
                                 0.0909093500509861,
                                 -0.08333344585610979,
                                 0.07691687620047451,
                                 -0.07141992101515067,
                                 0.06675430893955334,
                                 -0.06270114447927297,
                                 0.05816192221468811,
                                 -0.05323880576546828,
                                 0.05419355078375438,
                                 -0.06284925718004891,
                                 0.056991700194191794,
                                 -0.024232151326603692};
};

// log(x) + correction for normal x > 0: e ln 2 + log(1 + f), x = 2^(e + scaled) (1 + f).
template <class T>
NNF_INLINE Vec<T> log_normal(Vec<T> x, Vec<T> scaled, Vec<T> correction) {
  using Constants = MathConstants<T>;
  const Vec<T> one = broadcast<T>(T(1));
  const Vec<T> e = exponent(x) - scaled;
  const Vec<T> m = mantissa(x);
  const Mask<T> above = less(broadcast<T>(Constants::sqrt2), m);
  const Vec<T> n = select(above, e + one, e);
  const Vec<T> f = select(above, m * broadcast<T>(T(0.5)), m) - one;
  const Vec<T> low = fma(n, broadcast<T>(Constants::ln2_low), correction);
  const Vec<T> tail = fma(polynomial<LogTable<T>>(f), f * f, low);
  return fma(n, broadcast<T>(Constants::ln2_high), f + tail);
}

// y, but -inf if x = pole, NaN if x < pole, and x if x is inf or NaN.
template <class T>
NNF_INLINE Vec<T> with_log_limits(Vec<T> y, Vec<T> x, T pole) {
  using Constants = MathConstants<T>;
  const Vec<T> infinity = broadcast<T>(Constants::infinity);
  const Vec<T> bound = broadcast<T>(pole);
  const Vec<T> outside = select(equal(x, bound), -infinity, broadcast<T>(Constants::nan));
  return select(less(x, infinity), select(less(bound, x), y, outside), x);
}

// log(x). Error: 0.89, 1.02. log(+-0) = -inf, log(x < 0) = NaN.
template <class T>
NNF_INLINE Vec<T> log(Vec<T> x) {
  using Constants = MathConstants<T>;
  const Mask<T> subnormal = less(x, broadcast<T>(Constants::smallest_normal));
  const Vec<T> normal = select(subnormal, x * broadcast<T>(Constants::subnormal_scale), x);
  const Vec<T> scaled = select(subnormal, broadcast<T>(Constants::subnormal_bits), zero<T>());
  return with_log_limits(log_normal(normal, scaled, zero<T>()), x, T(0));
}

// log1p(x) for finite x > -1: log(u) + c / u, where u is 1 + x rounded and c its rounding error.
template <class T>
NNF_INLINE Vec<T> log1p_finite(Vec<T> x) {
  const Vec<T> one = broadcast<T>(T(1));
  const Vec<T> u = one + x;
  const Vec<T> c = x - (u - one);
  return log_normal(u, zero<T>(), c / u);
}

// log1p(x). Error: 0.89, 0.99. log1p(-1) = -inf, log1p(x < -1) = NaN.
template <class T>
NNF_INLINE Vec<T> log1p(Vec<T> x) {
  return with_log_limits(copysign(log1p_finite(x), x), x, T(-1));
}

// softplus(x) = log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)). Error: 1.67, 1.66. 0 where exp is
// 0.
template <class T>
NNF_INLINE Vec<T> softplus(Vec<T> x) {
  return max(zero<T>(), x) + log1p_finite(exp_nonpositive(-abs(x)));
}

// sin(2 pi x) = x (leading + Sine(x^2)) for |x| <= 1/8.
template <class T>
struct SineTable;
template <>
struct SineTable<float> {
  static constexpr float leading = 6.2831855f;
  static constexpr float c[] = {-1.9519815e-07f, -41.341663f, 81.592354f, -75.39356f};
};
template <>
struct SineTable<double> {
  static constexpr double leading = 6.283185307179586;
  static constexpr double c[] = {2.4491754456695253e-16, -41.34170224039976, 81.60524927607493,
                                 -76.70585975299669,     42.05869392872639,  -15.094640379320401,
                                 3.8197869787361647,     -0.7116149719703916};
};

// cos(2 pi x) = 1 + x^2 Cosine(x^2) for |x| <= 1/8.
template <class T>
struct CosineTable;
template <>
struct CosineTable<float> {
  static constexpr float c[] = {-19.739208f, 64.93932f, -85.44324f, 59.229256f};
};
template <>
struct CosineTable<double> {
  static constexpr double c[] = {-19.739208802178716, 64.9393940226683,   -85.45681720669356,
                                 60.244641371818744,  -26.42625677256261, 7.903535192390835,
                                 -1.714315988608674,  0.27945418960657764};
};

// Sine and cosine of 2 pi u for 0 <= u < 1. Error: 1.01, 1.03. They equal those of v = u -
// round(u). |sin| is that of w = min(|v|, 1/2 - |v|), and |cos| is that of 1/4 - w with sine and
// cosine swapped; the smaller of w and 1/4 - w, at most 1/8, is exact.
template <class T>
NNF_INLINE void sincos_2pi(Vec<T> u, Vec<T>& sine, Vec<T>& cosine) {
  const Vec<T> quarter = broadcast<T>(T(0.25));
  const Vec<T> v = u - round_nearest(u);
  const Vec<T> a = abs(v);
  const Vec<T> w = min(a, broadcast<T>(T(0.5)) - a);
  const Mask<T> swap = less(broadcast<T>(T(0.125)), w);
  const Vec<T> x = select(swap, quarter - w, w);
  const Vec<T> square = x * x;
  const Vec<T> tail = x * polynomial<SineTable<T>>(square);
  const Vec<T> s = fma(x, broadcast<T>(SineTable<T>::leading), tail);
  const Vec<T> c = fma(square, polynomial<CosineTable<T>>(square), broadcast<T>(T(1)));
  sine = copysign(select(swap, c, s), v);
  cosine = copysign(select(swap, s, c), quarter - a);
}
