// Element-wise functions of two numbers, and their gradients. Comparisons and logic give 0 or 1; any number but 0, and
// NaN, is true.
#pragma once

#include "simd/division.h"
#include "simd/power.h"

// 1 where m, else 0.
template <class T>
NNF_INLINE Vec<T> truth_of(Mask<T> m) {
  return select(m, broadcast<T>(T(1)), zero<T>());
}

template <class T>
NNF_INLINE Mask<T> is_true(Vec<T> x) {
  return not_equal(x, zero<T>());
}

template <class T, class F>
NNF_INLINE void map_binary(T* y, const T* a, const T* b, index_t n, F f) {
  for_each_vector<T>(n, [=](index_t i, int count) {
    store_n(y + i, f(load_n(a + i, count), load_n(b + i, count)), count);
  });
}

// y (n) = f(a, b). y may be a or b. The maximum and the minimum are NaN where either is.
template <class T>
void binary(T* y, const T* a, const T* b, index_t n, Binary f) {
  using V = Vec<T>;
  switch (f) {
    case Binary::add:
      return map_binary<T>(y, a, b, n, [](V u, V v) { return u + v; });
    case Binary::subtract:
      return map_binary<T>(y, a, b, n, [](V u, V v) { return u - v; });
    case Binary::multiply:
      return map_binary<T>(y, a, b, n, [](V u, V v) { return u * v; });
    case Binary::divide:
      return map_binary<T>(y, a, b, n, [](V u, V v) { return u / v; });
    case Binary::power:
      return map_binary<T>(y, a, b, n, [](V u, V v) { return pow(u, v); });
    case Binary::maximum:
      return map_binary<T>(y, a, b, n, [](V u, V v) { return select(is_nan(u), u, max(u, v)); });
    case Binary::minimum:
      return map_binary<T>(y, a, b, n, [](V u, V v) { return select(is_nan(u), u, min(u, v)); });
    case Binary::equal:
      return map_binary<T>(y, a, b, n, [](V u, V v) { return truth_of(equal(u, v)); });
    case Binary::not_equal:
      return map_binary<T>(y, a, b, n, [](V u, V v) { return truth_of(not_equal(u, v)); });
    case Binary::less:
      return map_binary<T>(y, a, b, n, [](V u, V v) { return truth_of(less(u, v)); });
    case Binary::less_equal:
      return map_binary<T>(y, a, b, n, [](V u, V v) { return truth_of(less_equal(u, v)); });
    case Binary::greater:
      return map_binary<T>(y, a, b, n, [](V u, V v) { return truth_of(less(v, u)); });
    case Binary::greater_equal:
      return map_binary<T>(y, a, b, n, [](V u, V v) { return truth_of(less_equal(v, u)); });
    case Binary::logical_and:
      return map_binary<T>(y, a, b, n, [](V u, V v) { return truth_of(is_true(u) & is_true(v)); });
    case Binary::logical_or:
      return map_binary<T>(y, a, b, n, [](V u, V v) { return truth_of(is_true(u) | is_true(v)); });
    case Binary::logical_xor:
      return map_binary<T>(y, a, b, n, [](V u, V v) {
        return truth_of(not_equal(truth_of(is_true(u)), truth_of(is_true(v))));
      });
    case Binary::floor_divide:
      return map_binary<T>(y, a, b, n, [](V u, V v) { return floor_quotient(u, v); });
    case Binary::mod:
      return map_binary<T>(y, a, b, n, [](V u, V v) { return floor_remainder(u, v); });
  }
}

// da = first(dy, a, b, y) and db = second(dy, a, b, y); either output may be null, or dy.
template <class T, class First, class Second>
void map_gradients(T* da, T* db, const T* dy, const T* a, const T* b, const T* y, index_t n,
                   First first, Second second) {
  if (da && db) {
    for_each_vector<T>(n, [=](index_t i, int count) {
      const Vec<T> g = load_n(dy + i, count), u = load_n(a + i, count);
      const Vec<T> v = load_n(b + i, count), value = load_n(y + i, count);
      store_n(da + i, first(g, u, v, value), count);
      store_n(db + i, second(g, u, v, value), count);
    });
  } else if (da) {
    for_each_vector<T>(n, [=](index_t i, int count) {
      const Vec<T> g = load_n(dy + i, count), u = load_n(a + i, count);
      store_n(da + i, first(g, u, load_n(b + i, count), load_n(y + i, count)), count);
    });
  } else if (db) {
    for_each_vector<T>(n, [=](index_t i, int count) {
      const Vec<T> g = load_n(dy + i, count), u = load_n(a + i, count);
      store_n(db + i, second(g, u, load_n(b + i, count), load_n(y + i, count)), count);
    });
  }
}

// a^b: da = b a^(b - 1), but 0 where b = 0; db = y log(a), but 0 where a = 0 and b >= 0.
template <class T>
NNF_INLINE Vec<T> base_gradient(Vec<T> dy, Vec<T> a, Vec<T> b) {
  const Vec<T> slope = b * pow(a, b - broadcast<T>(T(1)));
  return dy * select(equal(b, zero<T>()), zero<T>(), slope);
}
template <class T>
NNF_INLINE Vec<T> exponent_gradient(Vec<T> dy, Vec<T> a, Vec<T> b, Vec<T> y) {
  const Mask<T> flat = equal(a, zero<T>()) & less_equal(zero<T>(), b);
  return dy * select(flat, zero<T>(), y * log(a));
}

// da (n) = dy times the derivative of f(a, b) with respect to a, db (n) that with respect to b,
// with y = f(a, b). Either may be null; one of them may be dy. Of a, b and y only what
// gradient_reads() of ops/tensor/elementwise.h says is read. Of a maximum or minimum of equal
// numbers the first gets the gradient; comparisons, logic and floor_divide have gradients of 0.
template <class T>
void binary_backward(T* da, T* db, const T* dy, const T* a, const T* b, const T* y, index_t n,
                     Binary f) {
  using V = Vec<T>;
  // What is not read may be null, but is loaded.
  a = a ? a : dy;
  b = b ? b : dy;
  y = y ? y : dy;
  const auto run = [=](auto first, auto second) {
    map_gradients<T>(da, db, dy, a, b, y, n, first, second);
  };
  const auto same = [](V g, V, V, V) { return g; };
  switch (f) {
    case Binary::add:
      return run(same, same);
    case Binary::subtract:
      return run(same, [](V g, V, V, V) { return -g; });
    case Binary::multiply:
      return run([](V g, V, V v, V) { return g * v; }, [](V g, V u, V, V) { return g * u; });
    case Binary::divide:
      return run([](V g, V, V v, V) { return g / v; },
                 [](V g, V, V v, V value) { return -(g / v) * value; });
    case Binary::power:
      return run([](V g, V u, V v, V) { return base_gradient(g, u, v); },
                 [](V g, V u, V v, V value) { return exponent_gradient(g, u, v, value); });
    case Binary::maximum:
      return run(
          [](V g, V u, V v, V) { return select(less_equal(v, u) | is_nan(u), g, zero<T>()); },
          [](V g, V u, V v, V) { return select(less_equal(v, u) | is_nan(u), zero<T>(), g); });
    case Binary::minimum:
      return run(
          [](V g, V u, V v, V) { return select(less_equal(u, v) | is_nan(u), g, zero<T>()); },
          [](V g, V u, V v, V) { return select(less_equal(u, v) | is_nan(u), zero<T>(), g); });
    case Binary::mod:
      return run(same, [](V g, V u, V v, V) { return -g * floor_quotient(u, v); });
    default: {
      const auto none = [](V, V, V, V) { return zero<T>(); };
      return run(none, none);
    }
  }
}

// y (n) = a where the condition is not 0, else b. y may be any of the inputs.
template <class T>
void where(T* y, const T* condition, const T* a, const T* b, index_t n) {
  for_each_vector<T>(n, [=](index_t i, int count) {
    const Mask<T> chosen = is_true(load_n(condition + i, count));
    store_n(y + i, select(chosen, load_n(a + i, count), load_n(b + i, count)), count);
  });
}

// da (n) = dy where the condition is not 0, else 0; db (n) the rest of dy. Either may be null; one
// of them may be dy.
template <class T>
void where_backward(T* da, T* db, const T* dy, const T* condition, index_t n) {
  for_each_vector<T>(n, [=](index_t i, int count) {
    const Mask<T> chosen = is_true(load_n(condition + i, count));
    const Vec<T> gradient = load_n(dy + i, count);
    if (da) store_n(da + i, select(chosen, gradient, zero<T>()), count);
    if (db) store_n(db + i, select(chosen, zero<T>(), gradient), count);
  });
}
