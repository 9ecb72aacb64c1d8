// Convolution and its gradients on every instruction set of this machine: small integers, whose sums
// are exact, against plain loops; random numbers into a hash, as kernel_test prints it; and a network
// of convolutions whose steps allocate nothing.
#include "ops/conv/conv.h"

#include <atomic>
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
#include "ops/conv/choose.h"
#include "ops/conv/pairs.h"
#include "plan/plan.h"
#include "tables.h"

using namespace nnfast;
using namespace nnfast_test;

namespace {

uint64_t hash = 0;

struct Case {
  index_t images;
  std::vector<int64_t> size, kernel, strides, dilation;
  Padding padding;
  index_t in, out, groups;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {9, {7, 8}, {3, 3}, {1, 1}, {1, 1}, {"valid", {}}, 1, 6, 1},     // pairs of images, and one
      {19, {6, 6}, {2, 3}, {1, 1}, {1, 1}, {"valid", {}}, 2, 4, 1},    // slabs of unequal length
      {17, {17, 18}, {2, 3}, {1, 1}, {1, 1}, {"valid", {}}, 1, 2, 1},  // a chain for each image
      {2, {8, 7}, {5, 5}, {1, 1}, {1, 1}, {"valid", {}}, 6, 16, 1},    // folded gradient
      {3, {9, 8}, {3, 2}, {2, 2}, {1, 1}, {"same", {}}, 3, 20, 1},     // strides
      {2, {9, 9}, {3, 3}, {1, 2}, {2, 1}, {"same", {}}, 4, 6, 2},      // dilation, groups
      {2, {5, 6}, {1, 1}, {1, 1}, {1, 1}, {"valid", {}}, 17, 33, 1},   // pointwise
      {2, {6, 5}, {3, 3}, {1, 1}, {1, 1}, {"", {2, 1, 0, 3}}, 16, 70, 1},
      {2, {6, 5}, {3, 3}, {1, 1}, {1, 1}, {"", {2, 1, 0, 3}}, 33, 70, 1},  // Winograd
      {41,
       {7, 5},
       {3, 3},
       {1, 1},
       {1, 1},
       {"same", {}},
       24,
       26,
       1},  // its gradient, in several passes
      {2,
       {9, 6},
       {5, 3},
       {2, 1},
       {1, 1},
       {"same", {}},
       16,
       17,
       1},  // three taps of every other row
      {2, {9, 6}, {3, 3}, {2, 2}, {2, 2}, {"same", {}}, 16, 17, 1},  // of Winograd's, or none
      {2,
       {6, 5},
       {3, 3},
       {1, 1},
       {1, 1},
       {"same", {}},
       130,
       140,
       1},                                                            // a kernel that threads share
      {2, {7, 6}, {3, 3}, {2, 1}, {1, 2}, {"same", {}}, 60, 270, 2},  // copied windows
      {2, {7, 9}, {1, 1}, {2, 3}, {1, 1}, {"valid", {}}, 260, 130, 1},
      {1, {6, 5}, {3, 3}, {1, 1}, {1, 1}, {"", {2, 0, 1, 2}}, 68, 530, 1},
      {2, {9, 6}, {3, 2}, {1, 2}, {2, 1}, {"same", {}}, 18, 18, 18},  // depthwise
      {1, {9}, {4}, {3}, {1}, {"same", {}}, 5, 3, 1},
  };
  return all;
}

template <class T>
struct Tensors {
  std::vector<T> x, kernel, bias, dy;
};

template <class T>
struct Results {
  std::vector<T> y, dx, d_kernel, d_bias;
};

template <class T>
std::vector<T> not_written(size_t n) {
  return std::vector<T>(n, std::numeric_limits<T>::quiet_NaN());
}

ConvShape shape_of(const Case& c) {
  return {make_window("test", c.size, c.kernel, c.strides, c.dilation, c.padding), c.in, c.out,
          c.groups};
}

template <class T>
Tensors<T> tensors(const Case& c, bool integers) {
  const ConvShape s = shape_of(c);
  Numbers numbers;
  const auto made = [&](index_t n) {
    std::vector<T> values = numbers.vector<T>(n, -3, 4);
    for (T& value : values) value = integers ? std::floor(value) : value;
    return values;
  };
  return {made(c.images * s.in_size()), made(s.kernel_size()), made(c.out),
          made(c.images * s.out_size())};
}

template <class T>
Results<T> computed(const Case& c, const Tensors<T>& t) {
  const ConvShape s = shape_of(c);
  Results<T> r = {not_written<T>(t.dy.size()), not_written<T>(t.x.size()),
                  not_written<T>(t.kernel.size()), not_written<T>(t.bias.size())};
  conv_forward(r.y.data(), t.x.data(), t.kernel.data(), t.bias.data(), c.images, s,
               {Activation::identity, 0});
  conv_input_gradient<T>(r.dx.data(), t.dy.data(), t.kernel.data(), nullptr, c.images, s,
                         {Activation::identity, 0});
  ConvKernelGradient<T> gradient;
  CHECK(gradient(r.d_kernel.data(), r.d_bias.data(), t.x.data(), t.dy.data(), c.images, s));
  return r;
}

// Calls body(place in x, place in the kernel, place in y) for every product of the convolution.
template <class Body>
void for_products(const Case& c, const Body& body) {
  const ConvShape s = shape_of(c);
  const WindowAxis &h = s.window.h, &w = s.window.w;
  const index_t in = c.in / c.groups, out = c.out / c.groups, taps = h.kernel * w.kernel;
  for (index_t pixel = 0; pixel < c.images * h.out * w.out; ++pixel) {
    const index_t image = pixel / (h.out * w.out), row = pixel / w.out % h.out;
    for (index_t tap = 0; tap < taps; ++tap) {
      const index_t i = row * h.stride + tap / w.kernel * h.dilation - h.before;
      const index_t j = pixel % w.out * w.stride + tap % w.kernel * w.dilation - w.before;
      if (i < 0 || i >= h.in || j < 0 || j >= w.in) continue;
      for (index_t k = 0; k < in * c.out; ++k) {
        const index_t o = k % c.out, channel = k / c.out;
        const index_t at = ((image * h.in + i) * w.in + j) * c.in + o / out * in + channel;
        body(static_cast<size_t>(at), static_cast<size_t>((tap * in + channel) * c.out + o),
             static_cast<size_t>(pixel * c.out + o));
      }
    }
  }
}

template <class T>
void check_exactly(const Case& c, int threads) {
  set_num_threads(threads);
  const Tensors<T> t = tensors<T>(c, true);
  const Results<T> got = computed(c, t);
  Results<T> want = {std::vector<T>(t.dy.size()), std::vector<T>(t.x.size()),
                     std::vector<T>(t.kernel.size()), std::vector<T>(t.bias.size())};
  for (size_t i = 0; i < t.dy.size(); ++i) {
    want.y[i] = t.bias[i % t.bias.size()];
    want.d_bias[i % t.bias.size()] += t.dy[i];
  }
  for_products(c, [&](size_t x, size_t kernel, size_t y) {
    want.y[y] += t.x[x] * t.kernel[kernel];
    want.dx[x] += t.dy[y] * t.kernel[kernel];
    want.d_kernel[kernel] += t.dy[y] * t.x[x];
  });
  CHECK(got.y == want.y && got.dx == want.dx);
  CHECK(got.d_kernel == want.d_kernel && got.d_bias == want.d_bias);
}

template <class T>
void test_all() {
  for (const Case& c : cases()) {
    check_exactly<T>(c, 1);
    check_exactly<T>(c, 3);
    const Results<T> r = computed(c, tensors<T>(c, false));
    for (const auto* values : {&r.y, &r.dx, &r.d_kernel, &r.d_bias})
      hash = hash_of(values->data(), values->size(), hash);
  }
}

// Takes a kernel's place in a table, and tells whether it was called.
template <auto Kernel>
struct Watched;
template <class T, class Result, class... Arguments, Result (*Kernels<T>::*Kernel)(Arguments...)>
struct Watched<Kernel> {
  static inline Result (*original)(Arguments...);
  static inline std::atomic<bool> called;

  static void install(Kernels<T>& table) {
    original = table.*Kernel;
    table.*Kernel = [](Arguments... arguments) -> Result {
      called = true;
      return original(arguments...);
    };
  }
  static bool take() { return called.exchange(false); }
};

// Kernels that belong to one algorithm each.
template <class T>
struct Telltales {
  using Depthwise = Watched<&Kernels<T>::depthwise_row>;
  using DepthwiseGradient = Watched<&Kernels<T>::depthwise_gradient>;
  using Winograd = Watched<&Kernels<T>::winograd_input>;
  using Fold = Watched<&Kernels<T>::fold_row>;
  using Pairs = Watched<&Kernels<T>::gemm_spread>;

  static void install(Kernels<T>& table) {
    Depthwise::install(table);
    DepthwiseGradient::install(table);
    Winograd::install(table);
    Fold::install(table);
    Pairs::install(table);
  }
  // Whether that algorithm ran since the last time; plain matrix products leave no traces.
  static bool show(ConvAlgorithm algorithm) {
    const bool depthwise = Depthwise::take() | DepthwiseGradient::take();
    const bool winograd = Winograd::take(), fold = Fold::take(), pairs = Pairs::take();
    return depthwise == (algorithm == ConvAlgorithm::depthwise) &&
           winograd == (algorithm == ConvAlgorithm::winograd) &&
           fold == (algorithm == ConvAlgorithm::fold) &&
           pairs == (algorithm == ConvAlgorithm::pairs);
  }
};

template <class T>
void test_the_chosen_algorithm_runs(Kernels<T>& table) {
  Telltales<T>::install(table);
  for (const Case& c : cases()) {
    const ConvShape s = shape_of(c);
    const Tensors<T> t = tensors<T>(c, false);
    Tensors<T> out = t;
    conv_forward(out.dy.data(), t.x.data(), t.kernel.data(), t.bias.data(), c.images, s,
                 {Activation::identity, 0});
    CHECK(Telltales<T>::show(choose_forward<T>(s)));
    for (const T* bias : {static_cast<const T*>(nullptr), t.x.data()}) {  // any numbers
      conv_input_gradient(out.x.data(), t.dy.data(), t.kernel.data(), bias, c.images, s,
                          {Activation::identity, 0});
      CHECK(Telltales<T>::show(choose_input_gradient(s, bias != nullptr)));
    }
    ConvKernelGradient<T> gradient;
    gradient(out.kernel.data(), nullptr, t.x.data(), t.dy.data(), c.images, s);
    ConvAlgorithm chosen = choose_kernel_gradient<T>(s);
    // Images that fill no chain in each of 8 slabs are summed one at a time.
    if (chosen == ConvAlgorithm::pairs && c.images < 8 * images_of_chain(s.window))
      chosen = ConvAlgorithm::direct;
    CHECK(Telltales<T>::show(chosen));
  }
}

void test_steps_do_not_allocate() {
#if defined(NNFAST_COUNTS_ALLOCATIONS)
  using namespace nnfast::plan;
  using Sizes = std::vector<int64_t>;
  const auto conv = [](const char* op, const char* name, const char* input, int64_t filters,
                       int64_t size) {
    return NodeSpec{op,
                    name,
                    {input},
                    {{"filters", filters},
                     {"kernel_size", Sizes{size, size}},
                     {"padding", std::string("same")},
                     {"activation", std::string("relu")}}};
  };
  const std::vector<NodeSpec> nodes = {
      {"input", "x", {}, {{"shape", Sizes{8, 8, 2}}}},
      conv("conv", "a", "x", 6, 5),
      conv("conv", "b", "a", 16, 3),
      conv("conv", "c", "b", 8, 1),
      conv("conv_transpose", "d", "c", 3, 3),
      {"flatten", "e", {"d"}, {}},
      {"dense", "f", {"e"}, {{"units", int64_t(4)}}},
  };
  const index_t rows = 9;
  PlanOptions options;
  options.capacity = rows;
  options.heads = {{0, NodeSpec{"mse", "", {}, {}}}};
  options.optimizer = NodeSpec{"adam", "", {}, {}};
  set_num_threads(1);
  Numbers numbers;
  const auto x = numbers.vector<float>(rows * 8 * 8 * 2, 0, 1),
             y = numbers.vector<float>(rows * 4, 0, 1);
  Dataset<float> data;
  data.x[0].values = x.data();
  data.y[0].values = y.data();
  data.size = rows;
  auto graph = std::make_shared<Graph<float>>(nodes, std::vector<std::string>{"f"});
  const auto values = numbers.vector<float>(graph->layout.flat_size(), -0.1f, 0.1f);
  for (size_t i = 0; i < values.size(); ++i) graph->flat.data()[i] = values[i];
  Plan<float> plan(graph, options, {});
  const double first = plan.train_step(data, 1e-3);
  const long before = allocations;
  double last = first;
  for (int step = 0; step < 20; ++step) last = plan.train_step(data, 1e-3);
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
  KernelTable watched = active_table();
  select_table(watched);
  test_the_chosen_algorithm_runs(watched.f32);
  test_the_chosen_algorithm_runs(watched.f64);
  select_table(nullptr);
  test_steps_do_not_allocate();
  return nnfast_test::report("conv_test");
}
