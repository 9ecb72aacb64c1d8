// Rounding of numbers of any size to whole numbers. Included inside namespace
// nnfast::<isa>::{anonymous}, after vec.h.
#pragma once

// From this number on, all are whole.
template <class T>
struct AllWhole;
template <>
struct AllWhole<float> {
  static constexpr float value = 0x1p23f;
};
template <>
struct AllWhole<double> {
  static constexpr double value = 0x1p52;
};

// The nearest whole number, the even one of two; keeps the sign of 0, infinities and NaN.
template <class T>
NNF_INLINE Vec<T> round_to_even(Vec<T> x) {
  const Vec<T> whole = broadcast<T>(AllWhole<T>::value), a = abs(x);
  return select(less(a, whole), copysign((a + whole) - whole, x), x);
}

// The largest whole number that is not above x.
template <class T>
NNF_INLINE Vec<T> floor(Vec<T> x) {
  const Vec<T> nearest = round_to_even(x);
  return select(less(x, nearest), nearest - broadcast<T>(T(1)), nearest);
}
