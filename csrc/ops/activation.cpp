#include "ops/activation.h"

#include <cmath>

#include "base/check.h"
#include "base/thread_pool.h"
#include "kernels/select.h"

namespace nnfast {
namespace {

struct Entry {
  const char* name;
  Activation kind;
  double default_alpha;
  bool reads_input;
  double cost;  // rough cost of an element forward, in nanoseconds on one thread
};

constexpr Entry kEntries[] = {
    {"identity", Activation::identity, 0, false, 0.1},
    {"heaviside", Activation::heaviside, 0, false, 0.1},
    {"sigmoid", Activation::sigmoid, 0, false, 0.5},
    {"tanh", Activation::tanh, 0, false, 0.6},
    {"relu", Activation::relu, 0, false, 0.1},
    {"leaky_relu", Activation::leaky_relu, 0.01, false, 0.1},
    {"elu", Activation::elu, 1, false, 0.6},
    {"selu", Activation::selu, 0, false, 0.6},
    {"gelu", Activation::gelu, 0, true, 1},
    {"gelu_tanh", Activation::gelu_tanh, 0, true, 0.8},
    {"silu", Activation::silu, 0, true, 0.6},
    {"softplus", Activation::softplus, 0, false, 1},
    {"softsign", Activation::softsign, 0, true, 0.2},
    {"hard_sigmoid", Activation::hard_sigmoid, 0, false, 0.1},
    {"softmax", Activation::softmax, 0, false, 1},
    {"log_softmax", Activation::log_softmax, 0, false, 1},
};

const Entry& entry(Activation kind) { return kEntries[static_cast<int>(kind)]; }

}  // namespace

const std::vector<std::string>& activation_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Entry& e : kEntries) list.push_back(e.name);
    return list;
  }();
  return names;
}

ActivationParams parse_activation(const std::string& name, double alpha, const std::string& where) {
  for (const Entry& e : kEntries) {
    if (name != e.name) continue;
    const double value = std::isnan(alpha) ? e.default_alpha : alpha;
    const bool sloped = e.kind == Activation::leaky_relu || e.kind == Activation::elu;
    require(std::isfinite(value) && !(sloped && value < 0), where, ": expected a finite alpha",
            sloped ? " of 0 or more" : "", " for ", name, ", got ", value);
    return {e.kind, value};
  }
  throw ValueError(
      text(where, ": expected an activation of ", join_names(kEntries), "; got '", name, "'"));
}

bool works_on_rows(Activation kind) {
  return kind == Activation::softmax || kind == Activation::log_softmax;
}
bool derivative_reads_input(Activation kind) { return entry(kind).reads_input; }

template <class T>
void activation_forward(T* y, const T* x, index_t rows, index_t n, const ActivationParams& p) {
  const Kernels<T>& table = kernels<T>();
  const double cost = static_cast<double>(rows * n) * entry(p.kind).cost;
  if (works_on_rows(p.kind)) {
    parallel_ranges(rows, 1, cost, [&](index_t begin, index_t end) {
      table.softmax_forward(y + begin * n, x + begin * n, end - begin, n,
                            p.kind == Activation::log_softmax);
    });
    return;
  }
  parallel_ranges(rows * n, 64, cost, [&](index_t begin, index_t end) {
    table.activation_forward(y + begin, x + begin, end - begin, p);
  });
}

template <class T>
void activation_backward(T* dx, const T* dy, const T* x, const T* y, index_t rows, index_t n,
                         const ActivationParams& p) {
  const Kernels<T>& table = kernels<T>();
  const double cost = static_cast<double>(rows * n) * entry(p.kind).cost;
  if (works_on_rows(p.kind)) {
    parallel_ranges(rows, 1, cost, [&](index_t begin, index_t end) {
      table.softmax_backward(dx + begin * n, dy + begin * n, y + begin * n, end - begin, n,
                             p.kind == Activation::log_softmax);
    });
    return;
  }
  const T* input = derivative_reads_input(p.kind) ? x : y;
  parallel_ranges(rows * n, 64, cost, [&](index_t begin, index_t end) {
    table.activation_backward(dx + begin, dy + begin, input + begin, y + begin, end - begin, p);
  });
}

template <class T>
void activate_rows(T* y, index_t rows, index_t row, index_t columns, const ActivationParams& p) {
  if (p.kind == Activation::identity || p.kind == Activation::relu) return;
  const bool together = columns == row;
  const index_t stretches = together ? 1 : rows, width = together ? rows * columns : columns;
  for (index_t i = 0; i < stretches; ++i, y += row) {
    kernels<T>().activation_forward(y, y, width, p);
  }
}

template void activation_forward<float>(float*, const float*, index_t, index_t,
                                        const ActivationParams&);
template void activation_forward<double>(double*, const double*, index_t, index_t,
                                         const ActivationParams&);
template void activation_backward<float>(float*, const float*, const float*, const float*, index_t,
                                         index_t, const ActivationParams&);
template void activation_backward<double>(double*, const double*, const double*, const double*,
                                          index_t, index_t, const ActivationParams&);
template void activate_rows<float>(float*, index_t, index_t, index_t, const ActivationParams&);
template void activate_rows<double>(double*, index_t, index_t, index_t, const ActivationParams&);

}  // namespace nnfast
