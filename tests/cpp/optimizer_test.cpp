// The updates of optimizers on every instruction set of this machine, against plain loops in long
// double. The hash of all outputs is the same for every set with fused multiply-add.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "check.h"
#include "kernel_check.h"
#include "kernel_reference.h"
#include "kernels/select.h"
#include "numbers.h"
#include "tables.h"

using namespace nnfast;
using namespace nnfast_test;

namespace {

// AMSGrad, Nadam, Adamax, Lion, Adagrad and Adadelta from the same parameters, state and gradients.
template <class T>
void test_relatives_of_adam(const std::vector<T>& start, const std::vector<T>& m,
                            const std::vector<T>& v, const std::vector<T>& g) {
  using Vectors = std::vector<std::vector<T>>;
  const index_t n = static_cast<index_t>(start.size());
  const auto check = [&](const auto& kernel, const auto& move_of, size_t vectors) {
    Vectors got = {start, m, v, v};
    for (auto& number : got[3]) number = T(1) - number;
    const auto second = got[3];
    kernel(got);
    bool good = true;
    for (size_t i = 0; i < start.size(); ++i) {
      const Exact move = move_of(Exact(m[i]), Exact(v[i]), Exact(second[i]), Exact(g[i]));
      good = good && close(got[0][i], start[i] - move, 16, 1 + std::fabs(move));
    }
    CHECK(good);
    for (size_t k = 0; k <= vectors; ++k) add_to_hash(got[k]);
  };
  const auto root = [](Exact square) { return std::sqrt(square); };
  check(
      [&](Vectors& x) {
        kernels<T>().adam(x[0].data(), x[1].data(), x[2].data(), x[3].data(), g.data(), n,
                          {0.02, 1.5, 0.9, 0.99, 1e-3});
      },
      [&](Exact m0, Exact v0, Exact largest, Exact gi) {
        const Exact v1 = 0.99L * v0 + 0.01L * gi * gi;
        return 0.02L * (0.9L * m0 + 0.1L * gi) / (root(1.5L * std::max(largest, v1)) + 1e-3L);
      },
      3);
  check(
      [&](Vectors& x) {
        kernels<T>().nadam(x[0].data(), x[1].data(), x[2].data(), g.data(), n,
                           {0.02, 0.03, 1.5, 0.9, 0.99, 1e-3});
      },
      [&](Exact m0, Exact v0, Exact, Exact gi) {
        const Exact v1 = 0.99L * v0 + 0.01L * gi * gi;
        return (0.02L * (0.9L * m0 + 0.1L * gi) + 0.03L * gi) / (root(1.5L * v1) + 1e-3L);
      },
      2);
  check(
      [&](Vectors& x) {
        kernels<T>().adamax(x[0].data(), x[1].data(), x[2].data(), g.data(), n,
                            {0.02, 0.9, 0.99, 1e-3});
      },
      [&](Exact m0, Exact u0, Exact, Exact gi) {
        return 0.02L * (0.9L * m0 + 0.1L * gi) / (std::max(0.99L * u0, std::fabs(gi)) + 1e-3L);
      },
      2);
  check(
      [&](Vectors& x) {
        for (size_t i = 0; i < g.size(); ++i) x[1][i] = g[i];
        kernels<T>().lion(x[0].data(), x[1].data(), g.data(), n, {0.02, 0.9, 0.99});
      },
      [&](Exact, Exact, Exact, Exact gi) { return gi > 0   ? 0.02L
                                                  : gi < 0 ? -0.02L
                                                           : 0.0L; }, 1);
  check(
      [&](Vectors& x) {
        kernels<T>().adagrad(x[0].data(), x[2].data(), g.data(), n, {0.02, 1e-3});
      },
      [&](Exact, Exact v0, Exact, Exact gi) { return 0.02L * gi / root(v0 + gi * gi + 1e-3L); }, 2);
  check(
      [&](Vectors& x) {
        kernels<T>().adadelta(x[0].data(), x[2].data(), x[3].data(), g.data(), n, {0.5, 0.9, 1e-3});
      },
      [&](Exact, Exact v0, Exact u0, Exact gi) {
        return 0.5L * gi * root(u0 + 1e-3L) / root(0.9L * v0 + 0.1L * gi * gi + 1e-3L);
      },
      3);
}

template <class T>
void test_optimizers() {
  Numbers numbers;
  for (const index_t n : kLengths) {
    const auto start = numbers.vector<T>(n, -1, 1), g = numbers.vector<T>(n, -1, 1);
    const auto m = numbers.vector<T>(n, -1, 1), v = numbers.vector<T>(n, 0, 1);
    for (const bool nesterov : {false, true}) {
      const SgdParams p{0.1, 0.9, nesterov};
      auto w = start, velocity = m;
      kernels<T>().sgd(w.data(), velocity.data(), g.data(), n, p);
      bool good = true;
      for (size_t i = 0; i < w.size(); ++i) {
        const Exact v_new = 0.9L * m[i] - 0.1L * g[i];
        const Exact move = nesterov ? 0.9L * v_new - 0.1L * g[i] : v_new;
        good = good && close(velocity[i], v_new, 4, 1) && close(w[i], start[i] + move, 8, 2);
      }
      CHECK(good);
      add_to_hash(w);
      add_to_hash(velocity);
    }
    auto w = start;
    kernels<T>().sgd(w.data(), nullptr, g.data(), n, {0.1, 0, false});
    add_to_hash(w);
    bool good = true;
    for (size_t i = 0; i < w.size(); ++i) good = good && close(w[i], start[i] - 0.1L * g[i], 2, 2);

    w = start;
    auto m_new = m, v_new = v;
    kernels<T>().adam(w.data(), m_new.data(), v_new.data(), nullptr, g.data(), n,
                      {0.02, 1.5, 0.9, 0.99, 1e-3});
    for (size_t i = 0; i < w.size(); ++i) {
      const Exact m_exact = 0.9L * m[i] + 0.1L * g[i];
      const Exact v_exact = 0.99L * v[i] + 0.01L * g[i] * g[i];
      const Exact move = 0.02L * m_exact / (std::sqrt(1.5L * v_exact) + 1e-3L);
      good = good && close(m_new[i], m_exact, 4, 1) && close(v_new[i], v_exact, 4, 1) &&
             close(w[i], start[i] - move, 8, 1 + std::fabs(move));
    }
    CHECK(good);
    add_to_hash(w);
    add_to_hash(m_new);
    add_to_hash(v_new);

    test_relatives_of_adam<T>(start, m, v, g);

    w = start;
    m_new = m;
    auto square = numbers.vector<T>(n, 2, 3), velocity = start;
    const auto old_square = square;
    kernels<T>().rmsprop(w.data(), square.data(), m_new.data(), velocity.data(), g.data(), n,
                         {0.1, 0.9, 0.5, 1e-3});
    for (size_t i = 0; i < w.size(); ++i) {
      const Exact m_exact = 0.9L * m[i] + 0.1L * g[i];
      const Exact v_exact = 0.9L * old_square[i] + 0.1L * g[i] * g[i];
      const Exact move = -0.1L * g[i] / std::sqrt(v_exact - m_exact * m_exact + 1e-3L);
      good = good && close(m_new[i], m_exact, 4, 1) && close(square[i], v_exact, 4, 3) &&
             close(velocity[i], 0.5L * start[i] + move, 16, 1) &&
             close(w[i], start[i] + 0.5L * start[i] + move, 16, 2);
    }
    CHECK(good);
    for (const auto& made : {w, square, m_new, velocity}) add_to_hash(made);
  }
}

}  // namespace

int main() {
  for_each_table([] {
    hash = hash_of<char>(nullptr, 0);
    test_optimizers<float>();
    test_optimizers<double>();
    return hash;
  });
  return nnfast_test::report("optimizer_test");
}
