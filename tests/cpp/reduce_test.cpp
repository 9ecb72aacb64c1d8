// Reductions of tensors over every set of axes, broadcasting and cumulative sums, on every
// instruction set of this machine, against plain loops in long double; and all outputs in a hash,
// as kernel_test prints it.
#include "ops/tensor/reduce.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/thread_pool.h"
#include "check.h"
#include "numbers.h"
#include "ops/tensor/arg_reduce.h"
#include "ops/tensor/cumulative_sum.h"
#include "tables.h"

using namespace nnfast;
using namespace nnfast_test;

namespace {

using Exact = long double;

uint64_t hash = 0;

// For each element of x (dims): the element of y, which lacks the axes.
std::vector<size_t> results_of(const Dims& dims, AxisSet axes) {
  std::vector<size_t> place;
  for (index_t i = 0; i < dims.elements(); ++i) {
    index_t rest = i, at = 0, step = 1;
    for (int k = dims.rank - 1; k >= 0; rest /= dims.size[k--]) {
      if ((axes >> k & 1) != 0) continue;
      at += rest % dims.size[k] * step;
      step *= dims.size[k];
    }
    place.push_back(static_cast<size_t>(at));
  }
  return place;
}

// y, its sum of magnitudes and the gradient for dy, number by number.
struct Truth {
  std::vector<Exact> y, size, dx;
};

template <class T>
Truth truth_of(Reduction by, const std::vector<T>& x, const std::vector<T>& dy,
               const std::vector<size_t>& place, Exact count) {
  const Exact start = by == Reduction::prod  ? 1
                      : by == Reduction::max ? -std::numeric_limits<Exact>::infinity()
                      : by == Reduction::min ? std::numeric_limits<Exact>::infinity()
                                             : 0;
  Truth t{std::vector<Exact>(dy.size(), start), std::vector<Exact>(dy.size(), 0), {}};
  for (size_t i = 0; i < x.size(); ++i) {
    Exact& y = t.y[place[i]];
    const Exact v = x[i];
    t.size[place[i]] += std::fabs(v);
    if (by == Reduction::prod) {
      y *= v;
    } else if (by == Reduction::max || by == Reduction::min) {
      y = (by == Reduction::max ? v > y : v < y) ? v : y;
    } else {
      y += v / (by == Reduction::mean ? count : 1);
    }
  }
  std::vector<bool> taken(dy.size(), false);
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t at = place[i];
    Exact d = dy[at];
    if (by == Reduction::mean) d /= count;
    if (by == Reduction::prod) {
      for (size_t k = 0; k < x.size(); ++k) {
        if (k != i && place[k] == at) d *= x[k];
      }
    } else if (by == Reduction::max || by == Reduction::min) {
      const bool first = x[i] == t.y[at] && !taken[at];
      if (first) taken[at] = true;
      if (!first) d = 0;
    }
    t.dx.push_back(d);
  }
  return t;
}

template <class T>
void compare(const std::vector<T>& got, const std::vector<Exact>& exact,
             const std::vector<Exact>& size) {
  bool good = got.size() == exact.size();
  for (size_t i = 0; i < got.size(); ++i) {
    const Exact tolerance = size[i] * std::numeric_limits<T>::epsilon();
    good = good && std::fabs(got[i] - exact[i]) <= tolerance;
  }
  CHECK(good);
  hash = hash_of(got.data(), got.size(), hash);
}

template <class T>
void test_reduction(Reduction by, const Dims& dims, AxisSet axes) {
  Numbers numbers;
  const Reduce reduce(by, dims, axes);
  const auto n = dims.elements(), results = reduce.results();
  auto x = numbers.vector<T>(n, -1, 1);
  // Small integers: several maxima; and zeros in products.
  if (by != Reduction::sum && by != Reduction::mean) {
    for (T& v : x) v = std::round(2 * v);
  }
  const auto dy = numbers.vector<T>(results, -1, 1);
  const T poison = std::numeric_limits<T>::quiet_NaN();
  std::vector<T> y(static_cast<size_t>(results), poison), dx(x.size(), poison), used = dy;
  std::vector<T> scratch(static_cast<size_t>(reduce.scratch_size()) + 1, poison);
  reduce.forward(y.data(), x.data(), scratch.data());
  CHECK(std::isnan(scratch.back()));
  reduce.backward(dx.data(), used.data(), x.data(), y.data());
  const auto truth = truth_of(by, x, dy, results_of(dims, axes), reduce.count());
  std::vector<Exact> y_size, dx_size;
  const Exact count = static_cast<Exact>(reduce.count());
  for (size_t i = 0; i < y.size(); ++i) {
    y_size.push_back(by == Reduction::prod   ? count * std::fabs(truth.y[i])
                     : by == Reduction::sum  ? count * truth.size[i]
                     : by == Reduction::mean ? truth.size[i]
                                             : 0);
  }
  for (const Exact d : truth.dx)
    dx_size.push_back(by == Reduction::prod ? count * std::fabs(d) : std::fabs(d));
  compare(y, truth.y, y_size);
  compare(dx, truth.dx, dx_size);
}

Dims dims_of(const std::vector<index_t>& sizes) {
  Dims dims;
  for (const index_t size : sizes) dims.size[dims.rank++] = size;
  return dims;
}

template <class T>
void test_reductions() {
  for (const auto& sizes : std::vector<std::vector<index_t>>{
           {}, {1}, {17}, {3, 5}, {2, 3, 1, 5}, {5, 1, 2, 3, 2}, {2, 2, 3, 2, 2}, {7, 33, 2}}) {
    const Dims dims = dims_of(sizes);
    for (AxisSet axes = 0; axes < (1u << dims.rank); ++axes) {
      for (const Reduction by :
           {Reduction::sum, Reduction::mean, Reduction::max, Reduction::min, Reduction::prod})
        test_reduction<T>(by, dims, axes);
    }
  }
  // Several tiles and passes, of rows, columns, few columns and many; strips of columns.
  for (const auto& sizes : std::vector<std::vector<index_t>>{
           {4097}, {3, 9000}, {600, 70}, {1000, 3}, {20000, 2}, {2, 700, 5, 3}, {3, 2100}}) {
    const Dims dims = dims_of(sizes);
    for (AxisSet axes = 0; axes < (1u << dims.rank); ++axes) {
      for (const Reduction by : {Reduction::sum, Reduction::mean, Reduction::max, Reduction::min})
        test_reduction<T>(by, dims, axes);
    }
  }
}

template <class T>
void test_broadcasting() {
  const std::vector<std::pair<Dims, Dims>> cases = {
      {dims_of({}), dims_of({3, 4})},
      {dims_of({1}), dims_of({40000})},
      {dims_of({4}), dims_of({3, 4})},
      {dims_of({3, 1}), dims_of({3, 4})},
      {dims_of({3, 1, 2}), dims_of({5, 3, 4, 2})},
      {dims_of({2, 1, 3, 1}), dims_of({2, 3, 3, 5})},
      {dims_of({3, 4}), dims_of({3, 4})},
      {dims_of({1, 3}), dims_of({0, 3})},
  };
  Numbers numbers;
  for (const auto& [from, to] : cases) {
    AxisSet axes = 0;
    for (int i = 0; i < to.rank; ++i) {
      const int k = i - (to.rank - from.rank);
      if (k < 0 || from.size[k] == 1) axes |= 1u << i;
    }
    const auto place = results_of(to, axes);
    const auto x = numbers.vector<T>(from.elements(), -1, 1);
    const auto dy = numbers.vector<T>(to.elements(), -1, 1);
    std::vector<T> y(dy.size()), dx(x.size());
    std::vector<T> scratch(static_cast<size_t>(sum_to_scratch(from, to)));
    broadcast_to(y.data(), to, x.data(), from);
    sum_to(dx.data(), from, dy.data(), to, scratch.data());
    std::vector<Exact> exact_y, sum(x.size(), 0), size(x.size(), 0);
    for (const size_t at : place) exact_y.push_back(x[at]);
    for (size_t i = 0; i < dy.size(); ++i) {
      sum[place[i]] += dy[i];
      size[place[i]] += std::fabs(dy[i]);
    }
    for (Exact& s : size) s *= static_cast<Exact>(dy.size() / std::max<size_t>(x.size(), 1));
    compare(y, exact_y, std::vector<Exact>(y.size(), 0));
    compare(dx, sum, size);
  }
}

template <class T>
void test_places(const Dims& dims, AxisSet axes, bool with_nan) {
  Numbers numbers;
  auto x = numbers.vector<T>(dims.elements(), -1, 1);
  for (T& v : x) {
    v = std::round(2 * v);
    if (with_nan && numbers.uniform(0, 1) < .1) v = std::numeric_limits<T>::quiet_NaN();
  }
  const auto place = results_of(dims, axes);
  for (const bool largest : {false, true}) {
    const ArgReduce reduce(largest, dims, axes);
    const size_t results = *std::max_element(place.begin(), place.end()) + 1;
    std::vector<T> y(results, T(-1)), scratch(static_cast<size_t>(reduce.scratch_size()));
    reduce.forward(y.data(), x.data(), scratch.data());
    std::vector<T> best(results);
    std::vector<Exact> count(results, 0), exact(results, 0);
    for (size_t i = 0; i < x.size(); ++i) {
      T& b = best[place[i]];
      const bool better = x[i] != x[i] ? b == b : largest ? x[i] > b : x[i] < b;
      if (count[place[i]] == 0 || better) {
        b = x[i];
        exact[place[i]] = count[place[i]];
      }
      count[place[i]] += 1;
    }
    compare(y, exact, std::vector<Exact>(results, 0));
  }
}

template <class T>
void test_cumulative_sum(const Dims& dims, int axis) {
  Numbers numbers;
  const auto x = numbers.vector<T>(dims.elements(), -1, 1);
  const auto inner = static_cast<size_t>(dims.product(axis + 1, dims.rank));
  const auto n = static_cast<size_t>(dims.size[axis]);
  for (const bool reverse : {false, true}) {
    for (const bool exclusive : {false, true}) {
      std::vector<T> y(x.size()), dx(x.size());
      CumulativeSum{axis, reverse, exclusive}.forward(y.data(), x.data(), dims);
      CumulativeSum{axis, reverse, exclusive}.backward(dx.data(), x.data(), dims);
      std::vector<Exact> exact(x.size(), 0), size(x.size(), 0), exact_dx(x.size(), 0);
      for (size_t i = 0; i < x.size(); ++i) {
        if (i / inner % n != 0) continue;
        const auto run = [&](std::vector<Exact>& to, bool backwards) {
          Exact sum = 0;
          for (size_t k = 0; k < n; ++k) {
            const size_t at = i + (backwards ? n - 1 - k : k) * inner;
            to[at] = exclusive ? sum : sum + x[at];
            sum += x[at];
          }
        };
        run(exact, reverse);
        run(exact_dx, !reverse);
        Exact whole = 0;
        for (size_t k = 0; k < n; ++k) whole += std::fabs(x[i + k * inner]);
        for (size_t k = 0; k < n; ++k) size[i + k * inner] = whole;
      }
      // float: a chain in double, rounded once.
      for (size_t i = 0; i < x.size(); ++i)
        size[i] *= sizeof(T) == 4 ? 0.51L : static_cast<Exact>(n);
      compare(y, exact, size);
      compare(dx, exact_dx, size);
    }
  }
}

template <class T>
void test_places_and_cumulative_sums() {
  for (const auto& sizes : std::vector<std::vector<index_t>>{
           {1}, {200}, {3, 5}, {2, 3, 4, 5}, {2, 1, 3, 2, 3}, {7, 33, 2}, {5, 700}, {5000}}) {
    const Dims dims = dims_of(sizes);
    for (AxisSet axes = 0; axes < (1u << dims.rank); ++axes) {
      for (const bool with_nan : {false, true}) test_places<T>(dims, axes, with_nan);
    }
    for (int axis = 0; axis < dims.rank && dims.elements() < 4000; ++axis)
      test_cumulative_sum<T>(dims, axis);
  }
}

// A chain of float32 stands still at 2^24.
void test_long_sums() {
  const Dims dims = dims_of({17000000, 2});
  const std::vector<float> ones(static_cast<size_t>(dims.elements()), 1.0f);
  for (const AxisSet axes : {1u, 3u}) {
    const Reduce reduce(Reduction::sum, dims, axes);
    std::vector<float> y(2), scratch(static_cast<size_t>(reduce.scratch_size()));
    reduce.forward(y.data(), ones.data(), scratch.data());
    CHECK(y[0] == (axes == 1 ? 17000000.0f : 34000000.0f));
  }
}

}  // namespace

int main() {
  uint64_t bits = 0;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    for_each_table([&] {
      hash = 0;
      test_reductions<float>();
      test_reductions<double>();
      test_broadcasting<float>();
      test_broadcasting<double>();
      test_places_and_cumulative_sums<float>();
      test_places_and_cumulative_sums<double>();
      return hash;
    });
    CHECK(bits == 0 || bits == hash);
    bits = hash;
  }
  test_long_sums();
  return nnfast_test::report("reduce_test");
}
