// Cut, padded and repeated tensors, gathers and sorting against plain loops, with arrays of exactly
// the size that is needed, so that sanitizers find every access outside.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "base/thread_pool.h"
#include "check.h"
#include "kernels/select.h"
#include "ops/tensor/gather.h"
#include "ops/tensor/remap.h"
#include "ops/tensor/sort.h"

using namespace nnfast;

namespace {

std::mt19937 random_bits(1);

index_t pick(index_t least, index_t most) {
  return least + static_cast<index_t>(random_bits() % static_cast<uint64_t>(most - least + 1));
}

// Small whole numbers, whose sums are exact.
template <class T>
std::vector<T> numbers(index_t n) {
  std::vector<T> x(static_cast<size_t>(n));
  for (T& v : x) v = static_cast<T>(pick(-9, 9));
  return x;
}

// The map of an axis of size n: nothing, a slice, a roll or a pad.
std::vector<PlaceRun> runs_of_axis(index_t n) {
  switch (pick(0, 4)) {
    case 0:
      return {};
    case 1: {
      const index_t start = pick(0, n - 1), step = pick(0, 1) != 0 ? pick(1, n) : -pick(1, n);
      return {{start, step, pick(1, step > 0 ? (n - 1 - start) / step + 1 : start / -step + 1)}};
    }
    case 2: {
      const index_t first = pick(0, n - 1);
      return {{first, 1, n - first}, {0, 1, first}};
    }
    case 3:
      return {{-1, 0, pick(0, 3)}, {0, 1, n}, {-1, 0, pick(0, 20)}};
    default:
      return {{0, 0, pick(0, 3)}, {0, 1, n}, {n - 1, -1, pick(0, n)}};
  }
}

// The place along x's axis for each of y's, or -1.
std::vector<index_t> places_of(const std::vector<PlaceRun>& runs, index_t n) {
  std::vector<index_t> places;
  for (const PlaceRun& run : runs) {
    for (index_t i = 0; i < run.length; ++i)
      places.push_back(run.x < 0 ? -1 : run.x + i * run.step);
  }
  for (index_t i = 0; runs.empty() && i < n; ++i) places.push_back(i);
  return places;
}

template <class T>
void test_remap() {
  Dims dims;
  dims.rank = static_cast<int>(pick(0, 5));
  std::vector<std::vector<PlaceRun>> axes;
  std::vector<index_t> offsets{0};  // of y's elements in x, or -1
  for (int k = 0; k < dims.rank; ++k) {
    dims.size[k] = pick(1, k == dims.rank - 1 ? 40 : 6);
    axes.push_back(runs_of_axis(dims.size[k]));
    std::vector<index_t> next;
    for (const index_t outer : offsets) {
      for (const index_t place : places_of(axes.back(), dims.size[k]))
        next.push_back(outer < 0 || place < 0 ? -1 : outer * dims.size[k] + place);
    }
    offsets = next;
  }
  const std::vector<T> x = numbers<T>(dims.elements());
  const std::vector<T> dy = numbers<T>(static_cast<index_t>(offsets.size()));
  std::vector<T> y(offsets.size(), T(99)), dx(x.size(), T(99)), wanted(x.size());
  const Remap remap(axes);
  remap.forward(y.data(), x.data(), dims, T(77));
  remap.backward(dx.data(), dy.data(), dims);
  bool same = true;
  for (size_t i = 0; i < y.size(); ++i) {
    same &= y[i] == (offsets[i] < 0 ? T(77) : x[static_cast<size_t>(offsets[i])]);
    if (offsets[i] >= 0) wanted[static_cast<size_t>(offsets[i])] += dy[i];
  }
  CHECK(same);
  CHECK(dx == wanted);
}

template <class T>
void test_take() {
  const AxisView s{pick(1, 40), pick(1, 9), pick(1, pick(0, 1) != 0 ? 3 : 70)};
  const index_t count = pick(1, 12), elements = s.outer * count * s.inner;
  const std::vector<T> x = numbers<T>(s.outer * s.n * s.inner), dy = numbers<T>(elements);
  for (const bool along : {false, true}) {
    std::vector<T> indices(static_cast<size_t>(along ? elements : count));
    for (T& index : indices) index = static_cast<T>(pick(-s.n, s.n - 1));
    std::vector<int32_t> places(indices.size());
    const index_t n = static_cast<index_t>(indices.size());
    CHECK(find_places(places.data(), indices.data(), n, -s.n, s.n) == -1);
    std::vector<T> y(dy.size()), dx(x.size(), T(99)), wanted_y(y.size()), wanted_dx(x.size());
    (along ? take_along<T> : take<T>)(y.data(), x.data(), places.data(), count, s);
    (along ? take_along_backward<T> : take_backward<T>)(dx.data(), dy.data(), places.data(), count,
                                                        s);
    for (size_t i = 0; i < y.size(); ++i) {
      const index_t at = static_cast<index_t>(i), k = at % s.inner, o = at / s.inner / count;
      const index_t place = places[along ? i : static_cast<size_t>(at / s.inner % count)];
      const size_t from = static_cast<size_t>((o * s.n + place) * s.inner + k);
      wanted_y[i] = x[from];
      wanted_dx[from] += dy[i];
    }
    CHECK(y == wanted_y);
    CHECK(dx == wanted_dx);
    const size_t bad = static_cast<size_t>(pick(0, n - 1));
    const T invalid[] = {static_cast<T>(s.n), static_cast<T>(-s.n - 1), T(0.5),
                         std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity()};
    indices[bad] = invalid[pick(0, 4)];
    CHECK(find_places(places.data(), indices.data(), n, -s.n, s.n) == static_cast<index_t>(bad));
  }
}

template <class T>
void test_sort() {
  const index_t rows = pick(1, 3), n = pick(1, pick(0, 1) != 0 ? 40 : 900), k = pick(1, n);
  const bool descending = pick(0, 1) != 0;
  std::vector<T> x = numbers<T>(rows * n);
  for (T& v : x) {
    if (v == 9) v = std::numeric_limits<T>::quiet_NaN();
  }
  std::vector<T> values(static_cast<size_t>(rows * k)), indices(values.size()), dx(x.size());
  sort_rows(values.data(), indices.data(), x.data(), rows, n, k, descending);
  sort_rows_backward(dx.data(), values.data(), indices.data(), rows, n, k);
  bool same = true;
  for (index_t r = 0; r < rows; ++r) {
    const T* row = x.data() + r * n;
    std::vector<index_t> order;
    for (index_t i = 0; i < n; ++i) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [=](index_t a, index_t b) {
      if (std::isnan(row[a]) || std::isnan(row[b]))
        return std::isnan(row[b]) && !std::isnan(row[a]);
      return descending ? row[a] > row[b] : row[a] < row[b];
    });
    for (index_t j = 0; j < k; ++j) {
      const T at = indices[static_cast<size_t>(r * k + j)];
      const T value = values[static_cast<size_t>(r * k + j)],
              wanted = row[order[static_cast<size_t>(j)]];
      same &= at == static_cast<T>(order[static_cast<size_t>(j)]);
      same &= value == wanted || (std::isnan(value) && std::isnan(wanted));
    }
  }
  CHECK(same);
}

void test_no_rows() {
  Dims dims;
  dims.rank = 2;
  dims.size[0] = 0;
  dims.size[1] = 3;
  const Remap remap({{}, {{0, 1, 2}}});
  remap.forward<float>(nullptr, nullptr, dims, 0);
  remap.backward<float>(nullptr, nullptr, dims);
  sort_rows<float>(nullptr, nullptr, nullptr, 0, 3, 2, false);
  sort_rows_backward<float>(nullptr, nullptr, nullptr, 0, 3, 2);
  take<float>(nullptr, nullptr, nullptr, 0, {0, 3, 2});
  one_hot<float>(nullptr, nullptr, 0, 4);
}

}  // namespace

int main() {
  select_table(nullptr);
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    for (int i = 0; i < 400; ++i) {
      test_remap<float>();
      test_remap<double>();
      test_take<float>();
      test_take<double>();
      test_sort<float>();
      test_sort<double>();
    }
  }
  test_no_rows();
  return nnfast_test::report("selection_test");
}
