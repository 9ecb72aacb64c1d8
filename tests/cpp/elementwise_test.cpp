// Element-wise functions of one and two numbers on every instruction set of this machine, against
// the C library's in long double; and all outputs in a hash, as kernel_test prints it.
#include "ops/tensor/elementwise.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "check.h"
#include "kernels/select.h"
#include "numbers.h"
#include "tables.h"

using namespace nnfast;
using namespace nnfast_test;

namespace {

using Exact = long double;

uint64_t hash = 0;

constexpr index_t kLengths[] = {0, 1, 3, 7, 8, 9, 15, 16, 17, 33, 100, 2003};

template <class T>
std::vector<T> poisoned(index_t n) {
  return std::vector<T>(static_cast<size_t>(n) + 1, std::numeric_limits<T>::quiet_NaN());
}

// |got - exact| <= factor eps size; the element after the last is untouched.
template <class T>
void compare(const std::vector<T>& got, const std::vector<Exact>& exact, Exact factor,
             const std::vector<Exact>& size) {
  bool good = std::isnan(got.back());
  for (size_t i = 0; i < exact.size(); ++i) {
    const Exact tolerance =
        factor * std::numeric_limits<T>::epsilon() * size[i] + std::numeric_limits<T>::min();
    good = good && std::fabs(got[i] - exact[i]) <= tolerance;
  }
  CHECK(good);
  hash = hash_of(got.data(), exact.size(), hash);
}

Exact sign_of(Exact x) { return x > 0 ? 1.0L : x < 0 ? -1.0L : 0.0L; }

struct Slope {
  Exact y, dx;
};

Slope unary_truth(Unary f, Exact x) {
  const Exact two_over_sqrt_pi = 1.12837916709551257389615890312154517L;
  switch (f) {
    case Unary::negative:
      return {-x, -1};
    case Unary::abs:
      return {std::fabs(x), sign_of(x)};
    case Unary::sign:
      return {sign_of(x), 0};
    case Unary::square:
      return {x * x, 2 * x};
    case Unary::sqrt:
      return {std::sqrt(x), 0.5L / std::sqrt(x)};
    case Unary::rsqrt:
      return {1 / std::sqrt(x), -0.5L / (x * std::sqrt(x))};
    case Unary::reciprocal:
      return {1 / x, -1 / (x * x)};
    case Unary::exp:
      return {std::exp(x), std::exp(x)};
    case Unary::expm1:
      return {std::expm1(x), std::exp(x)};
    case Unary::log:
      return {std::log(x), 1 / x};
    case Unary::log1p:
      return {std::log1p(x), 1 / (1 + x)};
    case Unary::sin:
      return {std::sin(x), std::cos(x)};
    case Unary::cos:
      return {std::cos(x), -std::sin(x)};
    case Unary::tanh:
      return {std::tanh(x), 1 - std::tanh(x) * std::tanh(x)};
    case Unary::erf:
      return {std::erf(x), two_over_sqrt_pi * std::exp(-x * x)};
    case Unary::floor:
      return {std::floor(x), 0};
    case Unary::ceil:
      return {std::ceil(x), 0};
    case Unary::round:
      return {std::nearbyint(x), 0};
    case Unary::logical_not:
      return {x == 0 ? 1.0L : 0.0L, 0};
    case Unary::is_finite:
      return {1, 0};
    case Unary::is_nan:
      return {0, 0};
  }
  return {0, 0};
}

bool needs_positive(Unary f) {
  return f == Unary::sqrt || f == Unary::rsqrt || f == Unary::log || f == Unary::log1p;
}

template <class T>
void test_unary(Unary f, index_t n) {
  Numbers numbers;
  auto x = numbers.vector<T>(n, needs_positive(f) ? 0.05 : -5, 5);
  // Multiples of 1/4, with ties of rounding and zeros; large angles.
  if (!is_differentiable(f)) {
    for (T& v : x) v = std::round(4 * v) / 4;
  }
  if (f == Unary::sin || f == Unary::cos) {
    for (size_t i = 0; i < x.size(); i += 3)
      x[i] = static_cast<T>(std::ldexp(x[i], static_cast<int>(i % 37)));
  }
  const auto dy = numbers.vector<T>(n, -1, 1);
  auto y = poisoned<T>(n), dx = poisoned<T>(n), in_place = x, over_dy = dy;
  kernels<T>().unary(y.data(), x.data(), n, f);
  kernels<T>().unary(in_place.data(), in_place.data(), n, f);
  const UnaryReads reads = gradient_reads(f);
  const T *read_x = reads.x ? x.data() : nullptr, *read_y = reads.y ? y.data() : nullptr;
  kernels<T>().unary_backward(dx.data(), dy.data(), read_x, read_y, n, f);
  kernels<T>().unary_backward(over_dy.data(), over_dy.data(), read_x, read_y, n, f);
  std::vector<Exact> values, slopes, value_sizes, slope_sizes;
  for (size_t i = 0; i < x.size(); ++i) {
    const Slope truth = unary_truth(f, x[i]);
    values.push_back(truth.y);
    slopes.push_back(dy[i] * truth.dx);
    value_sizes.push_back(std::fabs(truth.y));
    // 1 is added in the derivatives of expm1 and tanh, x^2 rounded in the exponent of that of erf.
    const Exact own = 1 + (f == Unary::erf ? static_cast<Exact>(x[i]) * x[i] : 0);
    slope_sizes.push_back(own * std::fabs(slopes.back()) + std::fabs(dy[i]));
    CHECK(in_place[i] == y[i] && over_dy[i] == dx[i]);
  }
  compare(y, values, 3, value_sizes);
  compare(dx, slopes, 4, slope_sizes);
}

struct Slopes {
  Exact y, da, db;
};

Slopes binary_truth(Binary f, Exact a, Exact b) {
  const auto truth = [](bool value) { return Slopes{value ? 1.0L : 0.0L, 0, 0}; };
  switch (f) {
    case Binary::add:
      return {a + b, 1, 1};
    case Binary::subtract:
      return {a - b, 1, -1};
    case Binary::multiply:
      return {a * b, b, a};
    case Binary::divide:
      return {a / b, 1 / b, -a / (b * b)};
    case Binary::power:
      return {std::pow(a, b), b * std::pow(a, b - 1), std::pow(a, b) * std::log(a)};
    case Binary::maximum:
      return {std::fmax(a, b), a >= b ? 1.0L : 0.0L, a >= b ? 0.0L : 1.0L};
    case Binary::minimum:
      return {std::fmin(a, b), a <= b ? 1.0L : 0.0L, a <= b ? 0.0L : 1.0L};
    case Binary::equal:
      return truth(a == b);
    case Binary::not_equal:
      return truth(a != b);
    case Binary::less:
      return truth(a < b);
    case Binary::less_equal:
      return truth(a <= b);
    case Binary::greater:
      return truth(a > b);
    case Binary::greater_equal:
      return truth(a >= b);
    case Binary::logical_and:
      return truth(a != 0 && b != 0);
    case Binary::logical_or:
      return truth(a != 0 || b != 0);
    case Binary::logical_xor:
      return truth((a != 0) != (b != 0));
    case Binary::floor_divide:
      return {std::floor(a / b), 0, 0};
    case Binary::mod:
      return {a - b * std::floor(a / b), 1, -std::floor(a / b)};
  }
  return {0, 0, 0};
}

template <class T>
void test_binary(Binary f, index_t n) {
  Numbers numbers;
  const bool is_power = f == Binary::power, divides = f == Binary::floor_divide || f == Binary::mod;
  auto a = numbers.vector<T>(n, is_power ? 0.25 : -4, 4), b = numbers.vector<T>(n, -4, 4);
  if (!is_power && f != Binary::divide) {
    for (size_t i = 0; i < a.size(); ++i) {  // many are equal, or 0
      a[i] = std::round(a[i]);
      b[i] = divides ? std::round(b[i]) + T(0.5) : std::round(b[i]);
    }
  }
  const auto dy = numbers.vector<T>(n, -1, 1);
  auto y = poisoned<T>(n), da = poisoned<T>(n), db = poisoned<T>(n);
  kernels<T>().binary(y.data(), a.data(), b.data(), n, f);
  const BinaryReads reads = gradient_reads(f);
  const auto backward = [&](T* to_a, T* to_b, const T* gradient) {
    kernels<T>().binary_backward(to_a, to_b, gradient, reads.a ? a.data() : nullptr,
                                 reads.b ? b.data() : nullptr, reads.y ? y.data() : nullptr, n, f);
  };
  backward(da.data(), db.data(), dy.data());
  // One gradient alone, or in the memory of dy.
  auto only_a = dy, only_b = dy, a_over = dy, b_over = dy;
  auto other_a = poisoned<T>(n), other_b = poisoned<T>(n);
  backward(only_a.data(), nullptr, only_a.data());
  backward(nullptr, only_b.data(), only_b.data());
  backward(a_over.data(), other_b.data(), a_over.data());
  backward(other_a.data(), b_over.data(), b_over.data());
  std::vector<Exact> values, to_a, to_b, value_sizes, a_sizes, b_sizes;
  for (size_t i = 0; i < a.size(); ++i) {
    const Slopes truth = binary_truth(f, a[i], b[i]);
    values.push_back(truth.y);
    to_a.push_back(dy[i] * truth.da);
    to_b.push_back(dy[i] * truth.db);
    value_sizes.push_back(std::fabs(truth.y));
    // The exponent b - 1 is rounded.
    const Exact own =
        is_power ? 1 + (std::fabs(b[i]) + 1) * std::fabs(std::log(static_cast<Exact>(a[i]))) : 1;
    a_sizes.push_back(own * std::fabs(to_a.back()));
    b_sizes.push_back(std::fabs(to_b.back()));
    CHECK(only_a[i] == da[i] && a_over[i] == da[i] && other_a[i] == da[i]);
    CHECK(only_b[i] == db[i] && b_over[i] == db[i] && other_b[i] == db[i]);
  }
  compare(y, values, 3, value_sizes);
  compare(da, to_a, 6, a_sizes);
  compare(db, to_b, 6, b_sizes);
}

template <class T>
void test_where(index_t n) {
  Numbers numbers;
  auto condition = numbers.vector<T>(n, -1, 1);
  for (T& c : condition) c = std::round(c);
  const auto a = numbers.vector<T>(n, -1, 1), b = numbers.vector<T>(n, -1, 1);
  auto y = poisoned<T>(n), da = poisoned<T>(n), db = poisoned<T>(n), rest = a;
  kernels<T>().where(y.data(), condition.data(), a.data(), b.data(), n);
  kernels<T>().where_backward(da.data(), db.data(), a.data(), condition.data(), n);
  kernels<T>().where_backward(nullptr, rest.data(), rest.data(), condition.data(), n);
  bool good = std::isnan(y.back()) && std::isnan(da.back()) && std::isnan(db.back());
  for (size_t i = 0; i < a.size(); ++i) {
    const bool chosen = condition[i] != 0;
    good = good && y[i] == (chosen ? a[i] : b[i]) && da[i] == (chosen ? a[i] : 0) &&
           db[i] == (chosen ? 0 : a[i]) && rest[i] == db[i];
  }
  CHECK(good);
}

void test_names() {
  for (int i = 0; i <= static_cast<int>(Unary::is_nan); ++i) {
    const auto f = static_cast<Unary>(i);
    CHECK(find_unary(name_of(f)) == f);
  }
  for (int i = 0; i <= static_cast<int>(Binary::mod); ++i) {
    const auto f = static_cast<Binary>(i);
    CHECK(find_binary(name_of(f)) == f);
  }
  CHECK(!find_unary("add") && !find_binary("exp"));
}

template <class T>
void test_all() {
  for (const index_t n : kLengths) {
    for (int i = 0; i <= static_cast<int>(Unary::is_nan); ++i)
      test_unary<T>(static_cast<Unary>(i), n);
    for (int i = 0; i <= static_cast<int>(Binary::mod); ++i)
      test_binary<T>(static_cast<Binary>(i), n);
    test_where<T>(n);
  }
}

}  // namespace

int main() {
  test_names();
  for_each_table([] {
    hash = hash_of<char>(nullptr, 0);
    test_all<float>();
    test_all<double>();
    return hash;
  });
  return nnfast_test::report("elementwise_test");
}
