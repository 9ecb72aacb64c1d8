// Pooling, resampling and depthwise convolution of images, on every instruction set of this machine, against plain loops; and
// a network of them, whose steps allocate nothing. Prints a hash of all outputs, as kernel_test does.
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "allocations.h"
#include "base/thread_pool.h"
#include "check.h"
#include "kernels/select.h"
#include "numbers.h"
#include "ops/conv/conv.h"
#include "ops/image/pad.h"
#include "ops/image/pool.h"
#include "ops/image/resample.h"
#include "plan/plan.h"
#include "tables.h"

using namespace nnfast;
using namespace nnfast_test;

namespace {

using Exact = long double;

uint64_t hash = 0;

template <class T>
void add_to_hash(const std::vector<T>& values) {
  hash = hash_of(values.data(), values.size(), hash);
}

// As large as it is: a sanitizer sees every access beyond it. What is not written stays NaN.
template <class T>
std::vector<T> output(index_t n) {
  return std::vector<T>(static_cast<size_t>(n), std::numeric_limits<T>::quiet_NaN());
}

constexpr index_t kImages = 3;

struct PoolCase {
  std::vector<int64_t> size, pool, strides;
  Padding padding;
};

const std::vector<PoolCase>& pool_cases() {
  static const std::vector<PoolCase> cases = {
      {{8, 8}, {2, 2}, {2, 2}, {"valid", {}}},      {{7, 9}, {2, 2}, {2, 2}, {"same", {}}},
      {{7, 9}, {2, 2}, {3, 4}, {"valid", {}}},      {{9, 8}, {3, 3}, {2, 2}, {"same", {}}},
      {{5, 6}, {3, 3}, {1, 1}, {"same", {}}},       {{5, 6}, {2, 2}, {2, 2}, {"", {1, 0, 1, 1}}},
      {{6, 7}, {4, 2}, {3, 1}, {"", {3, 2, 1, 0}}},
  };
  return cases;
}

// Calls body(index in x, first tap) for each tap of the window at (row, column) that the image has.
template <class Body>
void for_taps(const Window& w, index_t image, index_t row, index_t column, const Body& body) {
  for (index_t i = 0; i < w.h.kernel * w.w.kernel; ++i) {
    const index_t h = row * w.h.stride - w.h.before + i / w.w.kernel;
    const index_t c = column * w.w.stride - w.w.before + i % w.w.kernel;
    if (h >= 0 && h < w.h.in && c >= 0 && c < w.w.in)
      body(static_cast<size_t>((image * w.h.in + h) * w.w.in + c));
  }
}

// Values are small integers: maxima have ties, and sums are exact.
template <class T>
std::vector<T> integers(Numbers& numbers, index_t n) {
  std::vector<T> values = numbers.vector<T>(n, -3, 4);
  for (T& value : values) value = std::floor(value);
  return values;
}

template <class T>
void check_pooling(const PoolCase& c, index_t channels, int threads) {
  const Window w = make_window("test", c.size, c.pool, c.strides, {1, 1}, c.padding);
  const index_t in = kImages * w.h.in * w.w.in * channels;
  const index_t out = kImages * w.h.out * w.w.out * channels;
  Numbers numbers;
  const auto x = integers<T>(numbers, in), dy = integers<T>(numbers, out);
  auto y = output<T>(out), winners = output<T>(out), mean = output<T>(out);
  auto dx = output<T>(in), d_mean = output<T>(in);
  set_num_threads(threads);
  max_pool_forward(y.data(), winners.data(), x.data(), kImages, channels, w);
  max_pool_backward(dx.data(), dy.data(), winners.data(), kImages, channels, w);
  avg_pool_forward(mean.data(), x.data(), kImages, channels, w);
  avg_pool_backward(d_mean.data(), dy.data(), kImages, channels, w);
  std::vector<Exact> want_dx(x.size(), 0), want_d_mean(x.size(), 0);
  bool good = true;
  for (size_t at = 0; at < y.size(); ++at) {
    const auto channel = at % static_cast<size_t>(channels);
    const auto pixel = static_cast<index_t>(at / static_cast<size_t>(channels));
    const index_t column = pixel % w.w.out, row = pixel / w.w.out % w.h.out;
    const index_t image = pixel / w.w.out / w.h.out;
    const auto index = [&](size_t tap) { return tap * static_cast<size_t>(channels) + channel; };
    Exact sum = 0, count = 0;
    size_t best = x.size();
    for_taps(w, image, row, column, [&](size_t tap) {
      if (best == x.size() || x[index(tap)] > x[best]) best = index(tap);
      sum += x[index(tap)];
      ++count;
    });
    want_dx[best] += dy[at];
    for_taps(w, image, row, column, [&](size_t tap) { want_d_mean[index(tap)] += dy[at] / count; });
    good = good && y[at] == x[best] &&
           std::fabs(mean[at] - sum / count) <= 4 * std::numeric_limits<T>::epsilon();
  }
  // At most 9 shares of at most 3 each.
  for (size_t i = 0; i < x.size(); ++i) {
    good = good && dx[i] == want_dx[i] &&
           std::fabs(d_mean[i] - want_d_mean[i]) <= 200 * std::numeric_limits<T>::epsilon();
  }
  CHECK(good);
  for (const auto* values : {&y, &mean, &dx, &d_mean}) add_to_hash(*values);
}

// Integers again, so that every order of the sums gives the same: the forward pass and both gradients.
template <class T>
void check_depthwise(const PoolCase& c, index_t channels, int threads) {
  ConvShape s;
  s.window = make_window("test", c.size, c.pool, c.strides, {1, 1}, c.padding);
  s.in_channels = s.out_channels = s.groups = channels;
  const Window& w = s.window;
  const index_t in = kImages * s.in_size(), out = kImages * s.out_size();
  Numbers numbers;
  const auto x = integers<T>(numbers, in), dy = integers<T>(numbers, out);
  const auto kernel = integers<T>(numbers, s.kernel_size()), bias = integers<T>(numbers, channels);
  auto y = output<T>(out), dx = output<T>(in), d_kernel = output<T>(s.kernel_size());
  auto d_bias = output<T>(channels);
  set_num_threads(threads);
  const ActivationParams identity = {Activation::identity, 0};
  conv_forward(y.data(), x.data(), kernel.data(), bias.data(), kImages, s, identity);
  conv_input_gradient<T>(dx.data(), dy.data(), kernel.data(), nullptr, kImages, s, identity);
  ConvKernelGradient<T> gradient;
  CHECK(gradient(d_kernel.data(), d_bias.data(), x.data(), dy.data(), kImages, s));
  std::vector<T> want_dx(x.size(), 0), want_kernel(kernel.size(), 0);
  std::vector<T> want_bias(bias.size(), 0);
  bool good = true;
  for (size_t at = 0; at < y.size(); ++at) {
    const auto width = static_cast<size_t>(channels), channel = at % width;
    const auto pixel = static_cast<index_t>(at / width);
    const index_t column = pixel % w.w.out, row = pixel / w.w.out % w.h.out;
    const index_t image = pixel / w.w.out / w.h.out;
    T sum = bias[channel];
    for (index_t i = 0; i < w.h.kernel * w.w.kernel; ++i) {
      const index_t h = row * w.h.stride - w.h.before + i / w.w.kernel;
      const index_t v = column * w.w.stride - w.w.before + i % w.w.kernel;
      if (h < 0 || h >= w.h.in || v < 0 || v >= w.w.in) continue;
      const auto index = static_cast<size_t>((image * w.h.in + h) * w.w.in + v) * width + channel;
      const auto tap = static_cast<size_t>(i) * width + channel;
      sum += x[index] * kernel[tap];
      want_dx[index] += dy[at] * kernel[tap];
      want_kernel[tap] += dy[at] * x[index];
    }
    want_bias[channel] += dy[at];
    good = good && y[at] == sum;
  }
  CHECK(good && dx == want_dx && d_kernel == want_kernel && d_bias == want_bias);
  // Sums of fractions: their bits show the order.
  const auto fractions = numbers.vector<T>(in, -1, 1);
  conv_forward(y.data(), fractions.data(), kernel.data(), bias.data(), kImages, s, identity);
  gradient(d_kernel.data(), d_bias.data(), fractions.data(), y.data(), kImages, s);
  conv_input_gradient<T>(dx.data(), y.data(), kernel.data(), nullptr, kImages, s, identity);
  for (const auto* values : {&y, &dx, &d_kernel, &d_bias}) add_to_hash(*values);
}

// <up(x), dy> = <x, down(dy)>, for maps that keep constants.
template <class T>
void check_upsampling(Interpolation interpolation, index_t factor_h, index_t factor_w,
                      index_t channels) {
  const index_t h = 3, w = 4, in = kImages * h * w * channels, out = in * factor_h * factor_w;
  const Upsampling<T> map(h, w, factor_h, factor_w, channels, interpolation);
  Numbers numbers;
  const auto x = numbers.vector<T>(in, -1, 1), dy = numbers.vector<T>(out, -1, 1);
  const std::vector<T> ones(x.size(), T(1));
  auto y = output<T>(out), dx = output<T>(in), flat = output<T>(out);
  map.forward(y.data(), x.data(), kImages);
  map.backward(dx.data(), dy.data(), kImages);
  map.forward(flat.data(), ones.data(), kImages);
  Exact forward = 0, backward = 0;
  bool good = true;
  for (size_t i = 0; i < y.size(); ++i) {
    forward += static_cast<Exact>(y[i]) * dy[i];
    good = good && std::fabs(flat[i] - 1) <= 4 * std::numeric_limits<T>::epsilon();
  }
  for (size_t i = 0; i < x.size(); ++i) backward += static_cast<Exact>(dx[i]) * x[i];
  CHECK(good && std::fabs(forward - backward) <=
                    16 * static_cast<Exact>(out) * std::numeric_limits<T>::epsilon());
  add_to_hash(y);
  add_to_hash(dx);
}

template <class T>
void check_margins() {
  const index_t h = 3, w = 4, channels = 5;
  const Margins m = {1, 2, 0, 3};
  Numbers numbers;
  const auto x = numbers.vector<T>(kImages * h * w * channels, 1, 2);
  auto wide = output<T>(kImages * 6 * 7 * channels), back = output<T>(kImages * h * w * channels);
  pad_images(wide.data(), x.data(), kImages, h, w, channels, m);
  crop_images(back.data(), wide.data(), kImages, h, w, channels, m);
  index_t zeros = 0;
  for (const T value : wide) zeros += value == 0 ? 1 : 0;
  CHECK(back == x && zeros == kImages * (6 * 7 - h * w) * channels);
}

template <class T>
void test_all() {
  for (const index_t channels : {1, 3, 6, 8, 16, 17, 20, 33, 70}) {
    for (const PoolCase& c : pool_cases()) {
      check_pooling<T>(c, channels, channels == 70 ? 3 : 1);
      check_depthwise<T>(c, channels, channels == 70 ? 3 : 1);
    }
    for (const auto interpolation : {Interpolation::nearest, Interpolation::bilinear}) {
      check_upsampling<T>(interpolation, 2, 2, channels);
      check_upsampling<T>(interpolation, 3, 4, channels);
    }
  }
  check_margins<T>();
}

void test_steps_do_not_allocate() {
#if defined(NNFAST_COUNTS_ALLOCATIONS)
  using namespace nnfast::plan;
  using Sizes = std::vector<int64_t>;
  const std::vector<NodeSpec> nodes = {
      {"input", "x", {}, {{"shape", Sizes{8, 8, 6}}}},
      {"dense", "a", {"x"}, {{"units", int64_t(6)}}},
      {"max_pool", "b", {"a"}, {{"pool_size", Sizes{3, 3}}, {"strides", Sizes{2, 2}}}},
      {"upsampling",
       "c",
       {"b"},
       {{"size", Sizes{2, 2}}, {"interpolation", std::string("bilinear")}}},
      {"zero_padding", "d", {"c"}, {{"padding", Sizes{1, 1, 0, 2}}}},
      {"cropping", "e", {"d"}, {{"cropping", Sizes{1, 0, 0, 1}}}},
      {"avg_pool", "f", {"e"}, {{"pool_size", Sizes{2, 2}}, {"strides", Sizes{2, 2}}}},
      {"global_avg_pool", "g", {"f"}, {{"axes", int64_t(2)}}},
  };
  const index_t rows = 5;
  PlanOptions options;
  options.capacity = rows;
  options.heads = {{0, NodeSpec{"mse", "", {}, {}}}};
  options.optimizer = NodeSpec{"adam", "", {}, {}};
  set_num_threads(1);
  Numbers numbers;
  const auto x = numbers.vector<float>(rows * 8 * 8 * 6, 0, 1),
             y = numbers.vector<float>(rows * 6, 0, 1);
  Dataset<float> data;
  data.x[0].values = x.data();
  data.y[0].values = y.data();
  data.size = rows;
  Plan<float> plan(std::make_shared<Graph<float>>(nodes, std::vector<std::string>{"g"}), options,
                   {});
  const double first = plan.train_step(data, 1e-2);
  const long before = allocations;
  double last = first;
  for (int step = 0; step < 20; ++step) last = plan.train_step(data, 1e-2);
  CHECK(allocations == before);
  CHECK(last < first);
#endif
}

}  // namespace

int main() {
  for_each_table([] {
    hash = hash_of<char>(nullptr, 0);
    test_all<float>();
    test_all<double>();
    return hash;
  });
  test_steps_do_not_allocate();
  return nnfast_test::report("image_test");
}
