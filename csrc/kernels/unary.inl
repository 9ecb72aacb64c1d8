// Element-wise functions of one number, and their gradients. Truth values are 0 and 1; any number but 0, and NaN, is
// true. NaN in, NaN out, except for logical_not, is_finite and is_nan.
#pragma once

#include "simd/round.h"
#include "simd/trigonometry.h"

// 1 where m, else 0.
template <class T>
NNF_INLINE Vec<T> truth(Mask<T> m) {
  return select(m, broadcast<T>(T(1)), zero<T>());
}

// 1, 0 or -1; NaN of NaN.
template <class T>
NNF_INLINE Vec<T> sign_of(Vec<T> x) {
  const Vec<T> one = broadcast<T>(T(1)), magnitude = select(equal(x, zero<T>()), zero<T>(), one);
  return select(is_nan(x), x, select(less(x, zero<T>()), -one, magnitude));
}

template <class T, class F>
NNF_INLINE void map_unary(T* y, const T* x, index_t n, F f) {
  for_each_vector<T>(n,
                     [=](index_t i, int count) { store_n(y + i, f(load_n(x + i, count)), count); });
}

// y (n) = f(x). y may be x.
template <class T>
void unary(T* y, const T* x, index_t n, Unary f) {
  using V = Vec<T>;
  const V one = broadcast<T>(T(1));
  switch (f) {
    case Unary::negative:
      return map_unary<T>(y, x, n, [](V v) { return -v; });
    case Unary::abs:
      return map_unary<T>(y, x, n, [](V v) { return abs(v); });
    case Unary::sign:
      return map_unary<T>(y, x, n, [](V v) { return sign_of(v); });
    case Unary::square:
      return map_unary<T>(y, x, n, [](V v) { return v * v; });
    case Unary::sqrt:
      return map_unary<T>(y, x, n, [](V v) { return sqrt(v); });
    case Unary::rsqrt:
      return map_unary<T>(y, x, n, [=](V v) { return one / sqrt(v); });
    case Unary::reciprocal:
      return map_unary<T>(y, x, n, [=](V v) { return one / v; });
    case Unary::exp:
      return map_unary<T>(y, x, n, [](V v) { return exp(v); });
    case Unary::expm1:
      return map_unary<T>(y, x, n, [](V v) { return expm1(v); });
    case Unary::log:
      return map_unary<T>(y, x, n, [](V v) { return log(v); });
    case Unary::log1p:
      return map_unary<T>(y, x, n, [](V v) { return log1p(v); });
    case Unary::sin:
      return map_unary<T>(y, x, n, [](V v) { return sin(v); });
    case Unary::cos:
      return map_unary<T>(y, x, n, [](V v) { return cos(v); });
    case Unary::tanh:
      return map_unary<T>(y, x, n, [](V v) { return tanh(v); });
    case Unary::erf:
      return map_unary<T>(y, x, n, [](V v) { return erf(v); });
    case Unary::floor:
      return map_unary<T>(y, x, n, [](V v) { return floor(v); });
    case Unary::ceil:
      return map_unary<T>(y, x, n, [](V v) { return -floor(-v); });
    case Unary::round:
      return map_unary<T>(y, x, n, [](V v) { return round_to_even(v); });
    case Unary::logical_not:
      return map_unary<T>(y, x, n, [](V v) { return truth(equal(v, zero<T>())); });
    case Unary::is_finite:
      return map_unary<T>(y, x, n, [](V v) { return truth(equal(v - v, zero<T>())); });
    case Unary::is_nan:
      return map_unary<T>(y, x, n, [](V v) { return truth(is_nan(v)); });
  }
}

// dx = f(dy, v), v an array of n elements.
template <class T, class F>
NNF_INLINE void map_gradient(T* dx, const T* dy, const T* v, index_t n, F f) {
  for_each_vector<T>(n, [=](index_t i, int count) {
    store_n(dx + i, f(load_n(dy + i, count), load_n(v + i, count)), count);
  });
}

// dx (n) = dy f'(x), with y = f(x); 0 for steps and truth values. dx may be dy. Of x and y only
// what gradient_reads() of ops/tensor/elementwise.h says is read. The derivative of |x| at 0 is 0.
template <class T>
void unary_backward(T* dx, const T* dy, const T* x, const T* y, index_t n, Unary f) {
  using V = Vec<T>;
  const V one = broadcast<T>(T(1)), half = broadcast<T>(T(0.5));
  switch (f) {
    case Unary::negative:
      return map_unary<T>(dx, dy, n, [](V g) { return -g; });
    case Unary::abs:
      return map_gradient<T>(dx, dy, x, n, [](V g, V v) { return g * sign_of(v); });
    case Unary::square:
      return map_gradient<T>(dx, dy, x, n, [](V g, V v) { return g * (v + v); });
    case Unary::sqrt:
      return map_gradient<T>(dx, dy, y, n, [=](V g, V v) { return g * (half / v); });
    case Unary::rsqrt:
      return map_gradient<T>(dx, dy, y, n, [=](V g, V v) { return g * (-half * v * (v * v)); });
    case Unary::reciprocal:
      return map_gradient<T>(dx, dy, y, n, [](V g, V v) { return -g * (v * v); });
    case Unary::exp:
      return map_gradient<T>(dx, dy, y, n, [](V g, V v) { return g * v; });
    case Unary::expm1:
      return map_gradient<T>(dx, dy, y, n, [=](V g, V v) { return g * (v + one); });
    case Unary::log:
      return map_gradient<T>(dx, dy, x, n, [](V g, V v) { return g / v; });
    case Unary::log1p:
      return map_gradient<T>(dx, dy, x, n, [=](V g, V v) { return g / (v + one); });
    case Unary::sin:
      return map_gradient<T>(dx, dy, x, n, [](V g, V v) { return g * cos(v); });
    case Unary::cos:
      return map_gradient<T>(dx, dy, x, n, [](V g, V v) { return -g * sin(v); });
    case Unary::tanh:
      return map_gradient<T>(dx, dy, y, n, [=](V g, V v) { return g * fnma(v, v, one); });
    case Unary::erf: {
      const V scale = broadcast<T>(T(1.12837916709551257390));  // 2 / sqrt(pi)
      return map_gradient<T>(dx, dy, x, n,
                             [=](V g, V v) { return g * (scale * exp_nonpositive(-(v * v))); });
    }
    case Unary::sign:
    case Unary::floor:
    case Unary::ceil:
    case Unary::round:
    case Unary::logical_not:
    case Unary::is_finite:
    case Unary::is_nan:
      return fill_zero(dx, n);
  }
}
