// Products of stacks of matrices and their gradients, on every instruction set of this machine,
// against plain loops in long double; and all outputs in a hash, as kernel_test prints it.
#include "ops/tensor/matmul.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/thread_pool.h"
#include "check.h"
#include "numbers.h"
#include "tables.h"

using namespace nnfast;
using namespace nnfast_test;

namespace {

using Exact = long double;
using Sizes = std::vector<index_t>;

uint64_t hash = 0;

Dims dims_of(const Sizes& sizes) {
  Dims dims;
  for (const index_t size : sizes) dims.size[dims.rank++] = size;
  return dims;
}

// A tensor as a stack of matrices: leading axes, rows, columns.
struct Stack {
  Sizes leading;
  index_t rows = 1, columns = 1;

  Stack(const Sizes& sizes, bool is_row) {
    if (sizes.size() == 1) {
      (is_row ? columns : rows) = sizes[0];
      return;
    }
    leading.assign(sizes.begin(), sizes.end() - 2);
    rows = sizes[sizes.size() - 2];
    columns = sizes.back();
  }
  // The first element of the matrix at a place of the leading axes of y.
  size_t at(const Sizes& place) const {
    index_t i = 0;
    const size_t skipped = place.size() - leading.size();
    for (size_t k = 0; k < leading.size(); ++k)
      i = i * leading[k] + (leading[k] == 1 ? 0 : place[skipped + k]);
    return static_cast<size_t>(i * rows * columns);
  }
};

Sizes broadcast(const Sizes& a, const Sizes& b) {
  Sizes out(std::max(a.size(), b.size()), 1);
  for (const Sizes* sizes : {&a, &b}) {
    for (size_t i = 0; i < sizes->size(); ++i) {
      index_t& size = out[out.size() - sizes->size() + i];
      if (size == 1) size = (*sizes)[i];
    }
  }
  return out;
}

// Calls body(place) for every place of the axes, the last fastest.
template <class Body>
void for_each_place(const Sizes& sizes, const Body& body) {
  index_t count = 1;
  for (const index_t size : sizes) count *= size;
  for (index_t i = 0; i < count; ++i) {
    Sizes place(sizes.size());
    index_t rest = i;
    for (size_t k = sizes.size(); k-- > 0; rest /= sizes[k]) place[k] = rest % sizes[k];
    body(place);
  }
}

// A sum, and that of the magnitudes of its terms.
struct Sum {
  Exact value = 0, size = 0;
  index_t terms = 0;
  void add(Exact term) {
    value += term;
    size += std::fabs(term);
    ++terms;
  }
};

template <class T>
void compare(const std::vector<T>& got, const std::vector<Sum>& exact) {
  bool good = got.size() == exact.size();
  for (size_t i = 0; i < got.size(); ++i) {
    const Exact factor = static_cast<Exact>(exact[i].terms) + 2;
    const Exact tolerance = factor * std::numeric_limits<T>::epsilon() * exact[i].size;
    good = good && std::fabs(got[i] - exact[i].value) <= tolerance;
  }
  CHECK(good);
  hash = hash_of(got.data(), got.size(), hash);
}

template <class T>
std::vector<T> poisoned(size_t n) {
  return std::vector<T>(n, std::numeric_limits<T>::quiet_NaN());
}

template <class T>
void test_product(const Sizes& a_sizes, const Sizes& b_sizes, bool a_turned, bool b_turned) {
  const Stack a(a_sizes, true), b(b_sizes, false);
  const index_t m = a_turned ? a.columns : a.rows, k = a_turned ? a.rows : a.columns;
  const index_t n = b_turned ? b.rows : b.columns;
  const Sizes leading = broadcast(a.leading, b.leading);
  Dims y_dims = dims_of(leading);
  y_dims.size[y_dims.rank++] = m;
  y_dims.size[y_dims.rank++] = n;
  Numbers numbers;
  const auto x = numbers.vector<T>(dims_of(a_sizes).elements(), -1, 1);
  const auto w = numbers.vector<T>(dims_of(b_sizes).elements(), -1, 1);
  const auto dy = numbers.vector<T>(y_dims.elements(), -1, 1);
  auto y = poisoned<T>(dy.size()), dx = poisoned<T>(x.size()), dw = poisoned<T>(w.size());
  const Matmul product(dims_of(a_sizes), a_turned, dims_of(b_sizes), b_turned);
  product.forward(y.data(), x.data(), w.data());
  product.gradient_of_a(dx.data(), dy.data(), w.data());
  product.gradient_of_b(dw.data(), dy.data(), x.data());
  std::vector<Sum> y_truth(y.size()), dx_truth(dx.size()), dw_truth(dw.size());
  size_t at = 0;
  for_each_place(leading, [&](const Sizes& place) {
    for (index_t i = 0; i < m; ++i) {
      for (index_t j = 0; j < n; ++j, ++at) {
        for (index_t l = 0; l < k; ++l) {
          const size_t p = a.at(place) + static_cast<size_t>(a_turned ? l * m + i : i * k + l);
          const size_t q = b.at(place) + static_cast<size_t>(b_turned ? j * k + l : l * n + j);
          y_truth[at].add(static_cast<Exact>(x[p]) * w[q]);
          dx_truth[p].add(static_cast<Exact>(dy[at]) * w[q]);
          dw_truth[q].add(static_cast<Exact>(dy[at]) * x[p]);
        }
      }
    }
  });
  compare(y, y_truth);
  compare(dx, dx_truth);
  compare(dw, dw_truth);
}

template <class T>
void test_products() {
  const std::vector<std::pair<Sizes, Sizes>> cases = {
      {{3, 4}, {4, 5}},
      {{4}, {4}},
      {{4}, {4, 5}},
      {{3, 4}, {4}},
      {{1, 1}, {1, 1}},
      {{7, 3, 4}, {4, 5}},
      {{3, 4}, {7, 4, 5}},
      {{4}, {2, 3, 4, 5}},
      {{2, 3, 5, 4}, {4}},
      {{7, 9, 16}, {7, 16, 17}},
      {{2, 1, 3, 4}, {6, 4, 5}},
      {{2, 6, 3, 4}, {2, 1, 4, 5}},
      {{5, 2, 3, 4}, {1, 2, 4, 3}},
      {{3, 1, 2, 4, 3}, {2, 1, 3, 2}},
      {{9, 1, 4}, {9, 4, 1}},
      {{9, 3, 1}, {1, 5}},
      {{6, 2, 1, 4}, {2, 4, 5}},
      {{2, 3, 1, 3, 2, 4}, {3, 2, 1, 4, 3}},
      {{1500, 4}, {4, 3}},
      {{30, 60, 4}, {4, 3}},
      {{300, 3, 4}, {300, 4, 2}},
      {{40, 33}, {20, 33, 70}},
      {{0, 3, 4}, {4, 5}},
      {{0, 3, 4}, {1, 4, 5}},
      {{3, 4}, {0, 4, 5}},
      {{3, 0}, {0, 5}},
      {{2, 0, 4}, {2, 4, 5}},
      {{2, 3, 0}, {2, 0, 5}},
  };
  for (const auto& [a, b] : cases) {
    for (const bool a_turned : {false, true}) {
      for (const bool b_turned : {false, true}) {
        if ((a_turned && a.size() == 1) || (b_turned && b.size() == 1)) continue;
        Sizes x = a, w = b;
        if (a_turned) std::swap(x[x.size() - 1], x[x.size() - 2]);
        if (b_turned) std::swap(w[w.size() - 1], w[w.size() - 2]);
        test_product<T>(x, w, a_turned, b_turned);
      }
    }
  }
}

}  // namespace

int main() {
  uint64_t bits = 0;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    for_each_table([&] {
      hash = 0;
      test_products<float>();
      test_products<double>();
      return hash;
    });
    CHECK(bits == 0 || bits == hash);
    bits = hash;
  }
  return nnfast_test::report("matmul_test");
}
