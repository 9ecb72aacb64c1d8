#include "ops/update.h"

#include <cmath>

#include "base/thread_pool.h"
#include "kernels/select.h"

namespace nnfast {
namespace {

// Reading and writing a state vector costs about this many nanoseconds per element.
constexpr double kSgdCost = 0.2;
constexpr double kAdamCost = 0.6;

}  // namespace

template <class T>
void sgd_update(T* parameters, T* velocity, const T* gradients, index_t n, const SgdParams& p) {
  parallel_ranges(n, 64, kSgdCost * static_cast<double>(n), [&](index_t begin, index_t end) {
    kernels<T>().sgd(parameters + begin, velocity ? velocity + begin : nullptr, gradients + begin,
                     end - begin, p);
  });
}

template <class T>
void adam_update(T* parameters, T* m, T* v, T* largest, const T* gradients, index_t n,
                 double learning_rate, double beta_1, double beta_2, double epsilon,
                 uint64_t step) {
  const double t = static_cast<double>(step);
  const AdamParams p = {learning_rate / (1 - std::pow(beta_1, t)), 1 / (1 - std::pow(beta_2, t)),
                        beta_1, beta_2, epsilon};
  parallel_ranges(n, 64, kAdamCost * static_cast<double>(n), [&](index_t begin, index_t end) {
    kernels<T>().adam(parameters + begin, m + begin, v + begin, largest ? largest + begin : nullptr,
                      gradients + begin, end - begin, p);
  });
}

template void sgd_update<float>(float*, float*, const float*, index_t, const SgdParams&);
template void sgd_update<double>(double*, double*, const double*, index_t, const SgdParams&);
template void adam_update<float>(float*, float*, float*, float*, const float*, index_t, double,
                                 double, double, double, uint64_t);
template void adam_update<double>(double*, double*, double*, double*, const double*, index_t,
                                  double, double, double, double, uint64_t);

}  // namespace nnfast
