#include "ops/norm_limit.h"

#include <algorithm>
#include <cmath>

#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/reduce.h"
#include "ops/tensor/broadcast.h"

namespace nnfast {
namespace {

constexpr double kCost = 0.15;     // nanoseconds per element, approximately
constexpr double kEpsilon = 1e-7;  // keras.backend.epsilon()

template <class T>
void multiply(T* y, const T* a, const T* b, index_t n) {
  parallel_ranges(n, 64, kCost * static_cast<double>(n), [=](index_t begin, index_t end) {
    kernels<T>().multiply(y + begin, a + begin, b + begin, end - begin);
  });
}

}  // namespace

template <class T>
void NormLimit::apply(T* x, const NormLimits& limits, T* scratch) const {
  constexpr double tiny = sizeof(T) == 4 ? 0x1p-80 : 0x1p-540;  // squares of all numbers fit
  T *const whole = scratch, *const norms = whole + size_, *const rest = norms + sums_.results();
  double scale = 1;
  multiply(whole, x, x, size_);
  sums_.forward(norms, whole, rest);
  if (!all_finite(norms, sums_.results())) {
    scale = tiny;
    kernels<T>().scale_shift(whole, x, size_, scale, 0);
    multiply(whole, whole, whole, size_);
    sums_.forward(norms, whole, rest);
  }
  for (index_t i = 0; i < sums_.results(); ++i) {
    const double norm = std::sqrt(static_cast<double>(norms[i])) / scale;
    const double limited = std::min(std::max(norm, limits.least), limits.most);
    const double wanted = limits.rate * limited + (1 - limits.rate) * norm;
    norms[i] = static_cast<T>(wanted / (norm + kEpsilon));
  }
  repeat_along(whole, norms, axes_);
  multiply(x, x, whole, size_);
}

template void NormLimit::apply<float>(float*, const NormLimits&, float*) const;
template void NormLimit::apply<double>(double*, const NormLimits&, double*) const;

}  // namespace nnfast
