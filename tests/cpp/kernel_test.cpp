// The kernels of every instruction set of this machine, against plain loops in long double. All
// outputs go into a hash; it is the same for every set with fused multiply-add, on any machine:
// compare the printed lines of an x86-64 and an Arm build.
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/thread_pool.h"
#include "check.h"
#include "kernel_check.h"
#include "kernel_reference.h"
#include "kernels/select.h"
#include "numbers.h"
#include "ops/gemm/gemm.h"
#include "ops/image/augment.h"
#include "tables.h"

using namespace nnfast;
using namespace nnfast_test;

namespace {

// An output, poisoned and with guards behind it.
template <class T>
class Output {
 public:
  explicit Output(index_t n) : n_(static_cast<size_t>(n)), values_(n_ + kGuards, poison()) {}
  T* data() { return values_.data(); }
  // Checks the guards and adds the values to the hash.
  std::vector<T> take() {
    for (size_t i = n_; i < values_.size(); ++i) CHECK(std::isnan(values_[i]));
    values_.resize(n_);
    add_to_hash(values_);
    return values_;
  }

 private:
  static constexpr size_t kGuards = 32;
  static T poison() { return std::numeric_limits<T>::quiet_NaN(); }
  size_t n_;
  std::vector<T> values_;
};

enum class Start { zero, bias, output };

// Error bound of a sum of K products: (K + 2) eps times the sum of magnitudes (Higham, Accuracy and
// Stability of Numerical Algorithms, 2nd ed., 3.1).
template <class T>
void check_product(index_t m, index_t n, index_t k, bool ta, bool tb, Start start, int threads) {
  Numbers numbers;
  const auto a = numbers.vector<T>(m * k, -1, 1), b = numbers.vector<T>(k * n, -1, 1);
  const auto bias = numbers.vector<T>(n, -1, 1), before = numbers.vector<T>(m * n, -1, 1);
  Output<T> c(m * n);
  for (index_t i = 0; i < m * n; ++i) c.data()[i] = before[static_cast<size_t>(i)];
  set_num_threads(threads);
  Gemm<T> p{};
  p.m = m, p.n = n, p.k = k;
  p.a = a.data(), p.a_row = ta ? 1 : k, p.a_k = ta ? m : 1;
  p.b = b.data(), p.b_k = tb ? 1 : n, p.b_n = tb ? k : 1;
  p.c = c.data(), p.c_row = n;
  p.bias = start == Start::bias ? bias.data() : nullptr;
  p.accumulate = start == Start::output;
  gemm(p);
  const auto got = c.take();
  bool good = true;
  for (index_t i = 0; i < m; ++i) {
    for (index_t j = 0; j < n; ++j) {
      const auto at = static_cast<size_t>(i * n + j);
      Exact sum = start == Start::bias     ? bias[static_cast<size_t>(j)]
                  : start == Start::output ? before[at]
                                           : 0;
      Exact size = std::fabs(sum);
      for (index_t q = 0; q < k; ++q) {
        const Exact term = static_cast<Exact>(a[static_cast<size_t>(i * p.a_row + q * p.a_k)]) *
                           b[static_cast<size_t>(q * p.b_k + j * p.b_n)];
        sum += term;
        size += std::fabs(term);
      }
      good = good && close(got[at], sum, static_cast<Exact>(k + 2), size);
    }
  }
  CHECK(good);
}

template <class T>
void test_products() {
  constexpr index_t shapes[][3] = {{1, 1, 1},    {1, 37, 19},   {2, 5, 0},     {5, 3, 1},
                                   {7, 17, 33},  {13, 100, 31}, {64, 64, 64},  {65, 1, 129},
                                   {3, 257, 8},  {33, 70, 600}, {130, 49, 17}, {1, 300, 64},
                                   {1, 300, 200}};
  for (const auto& shape : shapes) {
    for (const bool ta : {false, true}) {
      for (const bool tb : {false, true}) {
        for (const Start start : {Start::zero, Start::bias, Start::output}) {
          check_product<T>(shape[0], shape[1], shape[2], ta, tb, start, ta == tb ? 1 : 3);
        }
      }
    }
  }
}

// Positive numbers over many orders of magnitude, made without any function of the C library.
template <class T>
std::vector<T> wide_range(Numbers& numbers, index_t n) {
  std::vector<T> x(static_cast<size_t>(n));
  for (T& value : x) {
    const int power = static_cast<int>(numbers.uniform(-100, 100));
    value = static_cast<T>(std::ldexp(numbers.uniform(1, 2), power));
  }
  return x;
}

template <class T>
void test_math() {
  struct Case {
    MathFunction function;
    double low, high;
  };
  constexpr Case cases[] = {
      {MathFunction::exp, -80, 80},   {MathFunction::expm1, -20, 80},
      {MathFunction::log, 0, 0},      {MathFunction::log, 0.5, 2},
      {MathFunction::log1p, -.99, 9}, {MathFunction::tanh, -12, 12},
      {MathFunction::tanh, -.1, .1},  {MathFunction::sigmoid, -40, 40},
      {MathFunction::erf, -5, 5},     {MathFunction::softplus, -40, 40},
  };
  constexpr Exact most_ulp = 4;
  Numbers numbers;
  for (const Case& c : cases) {
    const index_t n = 2003;
    const auto x =
        c.low == c.high ? wide_range<T>(numbers, n) : numbers.vector<T>(n, c.low, c.high);
    Output<T> y(n);
    kernels<T>().math(y.data(), x.data(), n, c.function);
    const auto got = y.take();
    Exact worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const Exact exact = math_function(c.function, x[i]);
      if (exact != 0) {
        worst = std::fmax(worst, std::fabs(got[i] - exact) / (std::fabs(exact) * eps<T>));
      }
    }
    CHECK(worst <= most_ulp);
  }
}

// Tolerance: a few roundings of a value of size 1 + |x|, the largest that stands in any formula.
template <class T>
void test_activations() {
  for (int kind = 0; kind <= static_cast<int>(Activation::hard_sigmoid); ++kind) {
    const ActivationParams p{static_cast<Activation>(kind),
                             p.kind == Activation::heaviside ? 0.25 : 0.5};
    Numbers numbers;
    for (const index_t n : kLengths) {
      const auto x = numbers.vector<T>(n, -6, 6), dy = numbers.vector<T>(n, -1, 1);
      Output<T> y(n), dx(n);
      kernels<T>().activation_forward(y.data(), x.data(), n, p);
      kernels<T>().activation_backward(dx.data(), dy.data(), x.data(), y.data(), n, p);
      const auto got_y = y.take(), got_dx = dx.take();
      bool good = true;
      for (size_t i = 0; i < x.size(); ++i) {
        const auto exact = activation(p.kind, x[i], static_cast<Exact>(p.alpha));
        const Exact size = 1 + std::fabs(static_cast<Exact>(x[i]));
        good = good && close(got_y[i], exact.value, 8, size) &&
               close(got_dx[i], exact.slope * dy[i], 16, size);
      }
      CHECK(good);
    }
  }
}

// Targets and predictions lie in (0, 1), away from its ends, where the slopes of the logarithms
// are below 10.
template <class T>
void test_losses() {
  const index_t rows = 3;
  for (int kind = 0; kind <= static_cast<int>(Loss::cross_entropy); ++kind) {
    const LossParams p{static_cast<Loss>(kind), 0.3};
    Numbers numbers;
    for (const index_t n : kLengths) {
      if (n == 0) continue;
      const auto prediction = numbers.vector<T>(rows * n, 0.1, 0.9);
      const auto target = numbers.vector<T>(rows * n, 0.1, 0.9);
      const auto row_scale = numbers.vector<T>(rows, 0, 2);
      Output<T> value(rows), d(rows * n);
      kernels<T>().loss_forward(value.data(), prediction.data(), target.data(), rows, n, p);
      kernels<T>().loss_backward(d.data(), prediction.data(), target.data(), row_scale.data(), 0.25,
                                 rows, n, p);
      const auto got = value.take(), got_d = d.take();
      const Exact share = loss_is_mean(p.kind) ? 1 / static_cast<Exact>(n) : 1;
      bool good = true;
      for (size_t r = 0; r < rows; ++r) {
        Exact sum = 0;
        for (size_t i = r * static_cast<size_t>(n); i < (r + 1) * static_cast<size_t>(n); ++i) {
          const auto term =
              loss_term(p.kind, prediction[i], target[i], static_cast<Exact>(p.delta));
          sum += term.value;
          const Exact scale = share * 0.25L * row_scale[r];
          good = good && close(got_d[i], term.slope * scale, 16, 10 * scale);
        }
        good = good && close(got[r], sum * share, static_cast<Exact>(n + 8), 3 * n * share);
      }
      CHECK(good);
    }
  }
}

template <class T>
void test_softmax() {
  const index_t rows = 2;
  Numbers numbers;
  for (const index_t n : kLengths) {
    if (n == 0) continue;
    const auto x = numbers.vector<T>(rows * n, -5, 5), t = numbers.vector<T>(rows * n, 0, 1);
    Output<T> y(rows * n), log_y(rows * n), dx(rows * n), value(rows), d(rows * n);
    kernels<T>().softmax_forward(y.data(), x.data(), rows, n, false);
    kernels<T>().softmax_forward(log_y.data(), x.data(), rows, n, true);
    kernels<T>().softmax_backward(dx.data(), t.data(), y.data(), rows, n, false);
    SoftmaxCrossEntropy<T> p{};
    p.value = value.data(), p.d_logits = d.data(), p.logits = x.data(), p.targets = t.data();
    p.scale = 1, p.rows = rows, p.classes = n;
    kernels<T>().softmax_cross_entropy(p);
    const auto got_y = y.take(), got_log = log_y.take(), got_dx = dx.take();
    const auto got_value = value.take(), got_d = d.take();
    bool good = true;
    for (size_t first = 0; first < x.size(); first += static_cast<size_t>(n)) {
      const size_t end = first + static_cast<size_t>(n);
      Exact sum = 0, dot = 0, mass = 0, fit = 0;
      for (size_t i = first; i < end; ++i) sum += std::exp(static_cast<Exact>(x[i]));
      for (size_t i = first; i < end; ++i) {
        dot += std::exp(static_cast<Exact>(x[i])) / sum * t[i];
        mass += t[i];
        fit += static_cast<Exact>(t[i]) * x[i];
      }
      const Exact factor = static_cast<Exact>(n + 16);
      for (size_t i = first; i < end; ++i) {
        const Exact exact = std::exp(static_cast<Exact>(x[i])) / sum;
        good = good && close(got_y[i], exact, factor, 1) &&
               close(got_log[i], std::log(exact), factor, 16) &&
               close(got_dx[i], exact * (t[i] - dot), factor, 1) &&
               close(got_d[i], exact * mass - t[i], factor, 1 + mass);
      }
      good = good && close(got_value[first / static_cast<size_t>(n)], std::log(sum) * mass - fit,
                           factor, 16 * n);
    }
    CHECK(good);
  }
}

template <class T>
void test_reductions() {
  const index_t rows = 3;
  Numbers numbers;
  for (const index_t n : kLengths) {
    if (n == 0) continue;
    const auto x = numbers.vector<T>(rows * n, -1, 1);
    Output<T> sum(rows), largest(rows), columns(n);
    std::vector<int32_t> position(rows);
    for (index_t j = 0; j < n; ++j) columns.data()[j] = 0;
    kernels<T>().sum_rows(sum.data(), x.data(), rows, n);
    kernels<T>().fold_rows(largest.data(), x.data(), rows, n, Reduction::max);
    kernels<T>().argmax_rows(position.data(), x.data(), rows, n);
    kernels<T>().accumulate_columns(columns.data(), x.data(), n, rows, n);
    const auto got_sum = sum.take(), got_largest = largest.take(), got_columns = columns.take();
    bool good = kernels<T>().all_below(x.data(), rows * n, T(0));
    // A number that its product with the scale takes to infinity, of either sign and anywhere.
    const T scale = static_cast<T>(sizeof(T) == 4 ? 0x1p88 : 0x1p624), large = T(4) / scale;
    good = good && kernels<T>().all_below(x.data(), rows * n, scale);
    for (const index_t at : {index_t(0), n, rows * n - 1}) {
      for (const T sign : {T(1), T(-1)}) {
        auto with_large = x;
        with_large[static_cast<size_t>(at)] = sign * std::numeric_limits<T>::max() * large;
        good = good && kernels<T>().all_below(with_large.data(), rows * n, T(0)) &&
               !kernels<T>().all_below(with_large.data(), rows * n, scale);
      }
    }
    for (index_t r = 0; r < rows; ++r) {
      const T* row = x.data() + r * n;
      const auto at = static_cast<size_t>(r);
      Exact exact = 0;
      index_t best = 0;
      for (index_t j = 0; j < n; ++j) {
        exact += row[j];
        if (row[j] > row[best]) best = j;
      }
      good = good && close(got_sum[at], exact, static_cast<Exact>(n), static_cast<Exact>(n));
      good = good && got_largest[at] == row[best] && position[at] == best;
    }
    for (size_t j = 0; j < got_columns.size(); ++j) {
      const Exact exact =
          static_cast<Exact>(x[j]) + x[j + got_columns.size()] + x[j + 2 * got_columns.size()];
      good = good && close(got_columns[j], exact, 3, 3);
    }
    CHECK(good);
  }
}

// Rows (rows, n) with gaps behind them; x lies 3 above 0, so that shifts matter.
template <class T>
void test_column_norms(Numbers& numbers, index_t rows, index_t n) {
  const index_t row = n + 5;
  const auto x = numbers.vector<T>(rows * row, 2, 4), dy = numbers.vector<T>(rows * row, -1, 1);
  const auto mean = numbers.vector<T>(n, 2, 4), scale = numbers.vector<T>(n, -1, 1);
  const auto shift = numbers.vector<T>(n, -1, 1), factor = numbers.vector<T>(n, -1, 1);
  Output<T> sum(n), square(n), g_sum(n), product(n), y(rows * n), dx(rows * row);
  for (Output<T>* out : {&sum, &square, &g_sum, &product})
    for (index_t j = 0; j < n; ++j) out->data()[j] = T(0.5);
  for (index_t i = 0; i < rows * row; ++i) dx.data()[i] = 0;
  kernels<T>().column_moments(sum.data(), square.data(), x.data(), mean.data(), row, rows, n);
  kernels<T>().normalize_columns(y.data(), x.data(), {mean.data(), scale.data(), shift.data()},
                                 rows, n, true);
  NormGradient<T> p{};
  p.dx = dx.data(), p.dy = dy.data(), p.x = x.data(), p.mean = mean.data();
  p.scale = scale.data(), p.shift = shift.data(), p.x_factor = factor.data();
  p.offset = shift.data(), p.row = row, p.rows = rows, p.n = n, p.relu = true;
  kernels<T>().column_gradient_sums(g_sum.data(), product.data(), p);
  kernels<T>().normalize_columns_backward(p);
  const auto got_sum = sum.take(), got_square = square.take(), got_g = g_sum.take();
  const auto got_product = product.take(), got_y = y.take(), got_dx = dx.take();
  bool good = true;
  for (size_t j = 0; j < got_sum.size(); ++j) {
    Exact s = 0.5L, q = 0.5L, g_s = 0.5L, g_q = 0.5L;
    for (index_t r = 0; r < rows; ++r) {
      const size_t at = static_cast<size_t>(r * row) + j, flat = static_cast<size_t>(r * n) + j;
      const Exact d = static_cast<Exact>(x[at]) - mean[j];
      const T unit = std::fma(x[at] - mean[j], scale[j], shift[j]);
      const Exact g = unit > 0 ? dy[at] : 0;
      s += d, q += d * d, g_s += g, g_q += g * d;
      const Exact value =
          std::fmax(0.0L, (static_cast<Exact>(x[flat]) - mean[j]) * scale[j] + shift[j]);
      good = good && close(got_y[flat], value, 4, 5) &&
             close(got_dx[at], d * factor[j] + g * scale[j] + shift[j], 8, 5);
    }
    const Exact count = static_cast<Exact>(rows + 2);
    good = good && close(got_sum[j], s, count, 2 * count) &&
           close(got_square[j], q, count, 5 * count) && close(got_g[j], g_s, count, count) &&
           close(got_product[j], g_q, count, 2 * count);
  }
  CHECK(good);
}

template <class T>
void test_layer_norm(Numbers& numbers, index_t rows, index_t n) {
  const auto x = numbers.vector<T>(rows * n, 2, 4), dy = numbers.vector<T>(rows * n, -1, 1);
  const auto gamma = numbers.vector<T>(n, -1, 1), beta = numbers.vector<T>(n, -1, 1);
  const double epsilon = 0.25;
  Output<T> y(rows * n), dx(rows * n), d_gamma(n), d_beta(n);
  for (index_t j = 0; j < n; ++j) d_gamma.data()[j] = d_beta.data()[j] = 0;
  kernels<T>().layer_norm_forward(
      {y.data(), x.data(), gamma.data(), beta.data(), rows, n, epsilon});
  kernels<T>().layer_norm_backward({dx.data(), d_gamma.data(), d_beta.data(), dy.data(), x.data(),
                                    gamma.data(), rows, n, epsilon});
  const auto got_y = y.take(), got_dx = dx.take();
  d_gamma.take();
  d_beta.take();
  bool good = true;
  const Exact factor = static_cast<Exact>(n + 16), size = static_cast<Exact>(n);
  for (size_t first = 0; first < got_y.size(); first += gamma.size()) {
    Exact mean = 0, variance = 0, mean_g = 0, mean_gu = 0;
    for (size_t j = 0; j < gamma.size(); ++j) mean += x[first + j] / size;
    for (size_t j = 0; j < gamma.size(); ++j)
      variance += (x[first + j] - mean) * (x[first + j] - mean) / size;
    const Exact deviation = std::sqrt(variance + static_cast<Exact>(epsilon));
    for (size_t j = 0; j < gamma.size(); ++j) {
      const Exact g = static_cast<Exact>(dy[first + j]) * gamma[j];
      mean_g += g / size;
      mean_gu += g * (x[first + j] - mean) / deviation / size;
    }
    for (size_t j = 0; j < gamma.size(); ++j) {
      const Exact unit = (x[first + j] - mean) / deviation;
      const Exact g = static_cast<Exact>(dy[first + j]) * gamma[j];
      good = good && close(got_y[first + j], unit * gamma[j] + beta[j], factor, 8) &&
             close(got_dx[first + j], (g - mean_g - unit * mean_gu) / deviation, factor, 16);
    }
  }
  CHECK(good);
}

template <class T>
void test_norms() {
  Numbers numbers;
  for (const index_t n : kLengths) {
    if (n == 0) continue;
    test_column_norms<T>(numbers, 3, n);
    test_column_norms<T>(numbers, n, 3);
    test_layer_norm<T>(numbers, 3, n);
  }
}

template <class T>
void test_rows_and_random_numbers() {
  const std::vector<uint8_t> pixels = {0, 1, 2, 50, 100, 150, 200, 255, 3, 4, 5, 6};
  const std::vector<int64_t> order = {3, 0, 2};
  Output<T> gathered(9);
  kernels<T>().gather_byte_rows(gathered.data(), pixels.data(), order.data(), 3, 3, 1 / 255.0,
                                -0.5);
  const auto got = gathered.take();
  for (size_t i = 0; i < got.size(); ++i) {
    const Exact pixel = pixels[static_cast<size_t>(order[i / 3]) * 3 + i % 3];
    CHECK(close(got[i], pixel / 255 - 0.5L, 4, 1));
  }

  // The known answer of Philox4x32-10 for counter and key 0: 6627e8d5 e169c58d bc57ac4c 9b00dbd8
  // (Random123, tests/kat_vectors).
  const RandomStream stream{0, 0, 0};
  const index_t n = 1001;
  Output<T> uniform(n), normal(n), dropped(n);
  kernels<T>().random_uniform(uniform.data(), 0, n, stream);
  kernels<T>().random_normal(normal.data(), 0, n, stream);
  const std::vector<T> ones(static_cast<size_t>(n), T(1));
  kernels<T>().dropout(dropped.data(), ones.data(), 0, n, {stream, 0x80000000u, 2});
  const auto got_uniform = uniform.take(), got_normal = normal.take(), got_dropped = dropped.take();
  const double first = sizeof(T) == 4 ? 0x6627e8 / 0x1p24 : (0xe169c58d6627e8d5u >> 11) / 0x1p53;
  CHECK(static_cast<double>(got_uniform[0]) == first);
  const Exact radius = std::sqrt(-2 * std::log1p(-static_cast<Exact>(got_uniform[0])));
  CHECK(close(got_normal[0], radius * std::cos(2 * kPi * got_uniform[1]), 16, 1 + radius));
  CHECK(got_dropped[0] == 0 && got_dropped[1] == 2 && got_dropped[2] == 2 && got_dropped[3] == 2);
}

// Images in three channels, from bytes and from numbers. Without options they are gathered; all that
// the options do goes into the hash (tests/reference has the truth for it).
template <class T>
void test_augmentation() {
  const index_t count = 9, height = 11, width = 13, channels = 3, size = height * width * channels;
  Numbers numbers;
  const auto values = numbers.vector<T>(count * size, 0, 255);
  std::vector<uint8_t> bytes;
  for (const T value : values) bytes.push_back(static_cast<uint8_t>(value));
  const std::vector<int64_t> order = {8, 0, 3, 3, 7, 1, 2, 6, 5};
  AugmentParams plain{};
  plain.random = {1, 2, 3};
  plain.height = height, plain.width = width, plain.channels = channels;
  plain.scale = 1 / 255.0, plain.offset = -0.5;
  AugmentParams whole = plain, bent = plain;
  whole.horizontal_flip = whole.vertical_flip = true;
  whole.crop_padding = 3, whole.cutout = 4;
  bent.shift = 2.5, bent.rotation = 0.1, bent.shear = 0.02, bent.zoom = 0.25;
  bent.brightness = 10, bent.contrast = 0.5, bent.fill_value = 7;
  set_num_threads(2);
  for (const bool from_bytes : {false, true}) {
    const T* x = from_bytes ? nullptr : values.data();
    const uint8_t* b = from_bytes ? bytes.data() : nullptr;
    for (const AugmentParams* params : {&plain, &whole, &bent}) {
      for (const Fill fill : {Fill::constant, Fill::nearest, Fill::reflect}) {
        AugmentParams p = *params;
        p.fill = fill;
        Output<T> y(count * size);
        augment_images(y.data(), x, b, order.data(), count, p);
        const auto got = y.take();
        bool good = true;
        for (size_t i = 0; i < got.size(); ++i) {
          const auto row = static_cast<size_t>(order[i / static_cast<size_t>(size)]);
          const size_t at = row * static_cast<size_t>(size) + i % static_cast<size_t>(size);
          const Exact pixel =
              from_bytes ? static_cast<Exact>(bytes[at]) : static_cast<Exact>(values[at]);
          const bool same = close(got[i], pixel / 255 - 0.5L, 4, 1);
          good = good && (same || params != &plain) && std::isfinite(got[i]);
        }
        CHECK(good);
      }
    }
  }
}

template <class T>
void test_all() {
  test_products<T>();
  test_math<T>();
  test_activations<T>();
  test_losses<T>();
  test_softmax<T>();
  test_reductions<T>();
  test_norms<T>();
  test_rows_and_random_numbers<T>();
  test_augmentation<T>();
}

}  // namespace

int main() {
  for_each_table([] {
    hash = hash_of<char>(nullptr, 0);
    test_all<float>();
    test_all<double>();
    return hash;
  });
  return nnfast_test::report("kernel_test");
}
