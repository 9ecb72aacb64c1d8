#include <algorithm>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/norm/norm.h"

namespace nnfast {
namespace {

constexpr index_t kTileRows = 64;   // their parameter gradients are summed in T
constexpr index_t kMaxBlocks = 16;  // of tiles, whose sums are kept in float64
constexpr double kForwardCost = 0.6, kBackwardCost = 1;  // per element, in nanoseconds

template <class T>
double cost_of(const Normalization<T>& p, double element) {
  return element * static_cast<double>(p.rows * p.n);
}

template <class T>
using ForwardKernel = void (*)(const LayerNorm<T>&);
template <class T>
using BackwardKernel = void (*)(const LayerNormGradient<T>&);

template <class T>
void norm_forward(T* y, const T* x, const Normalization<T>& p, ForwardKernel<T> kernel) {
  parallel_ranges(p.rows, 1, cost_of(p, kForwardCost), [&](index_t begin, index_t end) {
    const index_t at = begin * p.n;
    kernel({y + at, x + at, p.gamma, p.beta, end - begin, p.n, p.epsilon});
  });
}

template <class T>
void norm_backward(const NormalizationGradients<T>& out, const T* dy, const T* x,
                   const Normalization<T>& p, BackwardKernel<T> kernel) {
  const index_t tiles = (p.rows + kTileRows - 1) / kTileRows;
  const index_t blocks = std::min(tiles, kMaxBlocks);
  const size_t n = static_cast<size_t>(p.n), doubles = align_up(2 * n * sizeof(double));
  const size_t bytes = doubles + align_up(2 * n * sizeof(T));
  char* memory = static_cast<char*>(thread_scratch(static_cast<size_t>(blocks) * bytes));
  const auto totals_of = [&](index_t block) {  // d_gamma, then d_beta
    return reinterpret_cast<double*>(memory + static_cast<size_t>(block) * bytes);
  };
  const auto run_block = [&](index_t block) {
    double* totals = totals_of(block);
    T* sums = reinterpret_cast<T*>(reinterpret_cast<char*>(totals) + doubles);
    std::fill(totals, totals + 2 * n, 0.0);
    for (index_t i = tiles * block / blocks; i < tiles * (block + 1) / blocks; ++i) {
      const index_t row = i * kTileRows, at = row * p.n;
      std::fill(sums, sums + 2 * n, T(0));
      kernel({out.dx ? out.dx + at : nullptr, sums, sums + n, dy + at, x + at, p.gamma,
              std::min(kTileRows, p.rows - row), p.n, p.epsilon});
      for (size_t c = 0; c < 2 * n; ++c) totals[c] += static_cast<double>(sums[c]);
    }
  };
  parallel_ranges(blocks, 1, cost_of(p, kBackwardCost), [&](index_t begin, index_t end) {
    for (index_t block = begin; block < end; ++block) run_block(block);
  });
  double* totals = totals_of(0);
  for (index_t block = 1; block < blocks; ++block) {
    for (size_t c = 0; c < 2 * n; ++c) totals[c] += totals_of(block)[c];
  }
  for (size_t c = 0; c < n; ++c) {
    if (out.d_gamma) out.d_gamma[c] = static_cast<T>(totals[c]);
    if (out.d_beta) out.d_beta[c] = static_cast<T>(totals[n + c]);
  }
}

}  // namespace

template <class T>
void layer_norm_forward(T* y, const T* x, const Normalization<T>& p) {
  norm_forward(y, x, p, kernels<T>().layer_norm_forward);
}
template <class T>
void layer_norm_backward(const NormalizationGradients<T>& out, const T* dy, const T* x,
                         const Normalization<T>& p) {
  norm_backward(out, dy, x, p, kernels<T>().layer_norm_backward);
}
template <class T>
void rms_norm_forward(T* y, const T* x, const Normalization<T>& p) {
  norm_forward(y, x, p, kernels<T>().rms_norm_forward);
}
template <class T>
void rms_norm_backward(const NormalizationGradients<T>& out, const T* dy, const T* x,
                       const Normalization<T>& p) {
  norm_backward(out, dy, x, p, kernels<T>().rms_norm_backward);
}

template void layer_norm_forward<float>(float*, const float*, const Normalization<float>&);
template void layer_norm_forward<double>(double*, const double*, const Normalization<double>&);
template void layer_norm_backward<float>(const NormalizationGradients<float>&, const float*,
                                         const float*, const Normalization<float>&);
template void layer_norm_backward<double>(const NormalizationGradients<double>&, const double*,
                                          const double*, const Normalization<double>&);
template void rms_norm_forward<float>(float*, const float*, const Normalization<float>&);
template void rms_norm_forward<double>(double*, const double*, const Normalization<double>&);
template void rms_norm_backward<float>(const NormalizationGradients<float>&, const float*,
                                       const float*, const Normalization<float>&);
template void rms_norm_backward<double>(const NormalizationGradients<double>&, const double*,
                                        const double*, const Normalization<double>&);

}  // namespace nnfast
