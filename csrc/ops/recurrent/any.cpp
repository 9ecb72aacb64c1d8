#include "ops/recurrent/any.h"

#include <algorithm>

#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/activation.h"

namespace nnfast {
namespace {

// y (n) = f(y); `before` gets what y was, unless it is null.
template <class T>
void activate(T* y, index_t n, T* before, const ActivationParams& f) {
  if (before) std::copy_n(y, n, before);
  kernels<T>().activation_forward(y, y, n, f);
}

// d (n) becomes d f'(x), where y = f(x); x may be null if f' does not read it.
template <class T>
void differentiate(T* d, const T* x, const T* y, index_t n, const ActivationParams& f) {
  kernels<T>().activation_backward(d, d, derivative_reads_input(f.kind) ? x : y, y, n, f);
}

template <class T>
T* part(T* before, index_t at) {
  return before ? before + at : nullptr;
}

template <class T>
void copy_row(T* y, const T* h, index_t n) {
  if (y) std::copy_n(h, n, y);
}

// d (n) = dh + dy
template <class T>
void add_gradients(T* d, const T* dh, const T* dy, index_t n) {
  for (index_t u = 0; u < n; ++u) d[u] = dy ? dh[u] + dy[u] : dh[u];
}

}  // namespace

template <class T>
void lstm_step_forward_any(const LstmStep<T>& p, T* before, const CellOptions& by) {
  const index_t n = p.units;
  for (index_t r = 0; r < p.rows; ++r) {
    T *i = p.z + r * 4 * n, *f = i + n, *g = f + n, *o = g + n, *x = part(before, r * 4 * n);
    const T* c_before = p.c_before + r * n;
    T *c = p.c + r * n, *h = p.h + r * n;
    activate(i, 2 * n, x, by.recurrent_activation);
    activate(g, n, part(x, 2 * n), by.activation);
    activate(o, n, part(x, 3 * n), by.recurrent_activation);
    for (index_t u = 0; u < n; ++u) c[u] = f[u] * c_before[u] + i[u] * g[u];
    kernels<T>().activation_forward(h, c, n, by.activation);
    for (index_t u = 0; u < n; ++u) h[u] = o[u] * h[u];
    copy_row(part(p.y, r * p.y_row), h, n);
  }
}

template <class T>
void lstm_step_backward_any(const LstmStepGradient<T>& p, const T* before, const CellOptions& by) {
  const index_t n = p.units;
  T *memory = scratch_of<T>(7 * n), *d = memory, *out = d + n, *state = out + n;
  T *di = state + n, *df = di + n, *dg = df + n, *d_o = dg + n;
  for (index_t r = 0; r < p.rows; ++r) {
    T *i = p.z + r * 4 * n, *f = i + n, *g = f + n, *o = g + n;
    const T *x = part(before, r * 4 * n), *c_before = p.c_before + r * n, *c = p.c + r * n;
    T *dh = p.dh + r * n, *dc = p.dc + r * n;
    add_gradients(d, dh, part(p.dy, r * p.dy_row), n);
    kernels<T>().activation_forward(out, c, n, by.activation);
    for (index_t u = 0; u < n; ++u) state[u] = d[u] * o[u];
    differentiate(state, c, out, n, by.activation);
    for (index_t u = 0; u < n; ++u) {
      state[u] += dc[u];
      di[u] = state[u] * g[u];
      df[u] = state[u] * c_before[u];
      dg[u] = state[u] * i[u];
      d_o[u] = d[u] * out[u];
      dc[u] = state[u] * f[u];
      dh[u] = 0;
    }
    differentiate(di, x, i, 2 * n, by.recurrent_activation);
    differentiate(dg, part(x, 2 * n), g, n, by.activation);
    differentiate(d_o, part(x, 3 * n), o, n, by.recurrent_activation);
    std::copy_n(di, 4 * n, i);
  }
}

template <class T>
void gru_step_forward_any(const GruStep<T>& p, T* before, const CellOptions& by) {
  const index_t n = p.units;
  for (index_t r = 0; r < p.rows; ++r) {
    T *z = p.z + r * 3 * n, *reset = z + n, *g = reset + n, *x = part(before, r * 3 * n);
    const T *h_before = p.h_before + r * n, *recurrent = part(p.recurrent, r * n);
    T* h = p.h + r * n;
    if (recurrent) {
      activate(z, 2 * n, x, by.recurrent_activation);
      for (index_t u = 0; u < n; ++u) g[u] += reset[u] * recurrent[u];
    }
    activate(g, n, part(x, 2 * n), by.activation);
    for (index_t u = 0; u < n; ++u) h[u] = g[u] + z[u] * (h_before[u] - g[u]);
    copy_row(part(p.y, r * p.y_row), h, n);
  }
}

template <class T>
void gru_step_backward_any(const GruStepGradient<T>& p, const T* before, const CellOptions& by) {
  const index_t n = p.units;
  T *memory = scratch_of<T>(4 * n), *d = memory, *dz = d + n, *d_reset = dz + n, *dg = d_reset + n;
  for (index_t r = 0; r < p.rows; ++r) {
    T *z = p.z + r * 3 * n, *reset = z + n, *g = reset + n, *dh = p.dh + r * n;
    const T *x = part(before, r * 3 * n), *h_before = p.h_before + r * n;
    T* recurrent = part(p.recurrent, r * n);
    add_gradients(d, dh, part(p.dy, r * p.dy_row), n);
    for (index_t u = 0; u < n; ++u) {
      dz[u] = d[u] * (h_before[u] - g[u]);
      dg[u] = d[u] * (1 - z[u]);
      dh[u] = d[u] * z[u];
    }
    differentiate(dg, part(x, 2 * n), g, n, by.activation);
    for (index_t u = 0; recurrent && u < n; ++u) {
      d_reset[u] = dg[u] * recurrent[u];
      recurrent[u] = dg[u] * reset[u];
    }
    differentiate(dz, x, z, n, by.recurrent_activation);
    if (recurrent) {
      differentiate(d_reset, part(x, n), reset, n, by.recurrent_activation);
      std::copy_n(d_reset, n, reset);
    }
    std::copy_n(dz, n, z);
    std::copy_n(dg, n, g);
  }
}

template <class T>
void gru_reset_forward_any(T* reset, T* z, const T* h, index_t rows, index_t n, T* before,
                           const CellOptions& by) {
  for (index_t r = 0; r < rows; ++r, z += 3 * n, h += n, reset += n) {
    activate(z, 2 * n, part(before, r * 3 * n), by.recurrent_activation);
    for (index_t u = 0; u < n; ++u) reset[u] = z[n + u] * h[u];
  }
}

template <class T>
void gru_reset_backward_any(T* d, T* z, const T* h, index_t rows, index_t n, const T* before,
                            const CellOptions& by) {
  T* d_gate = scratch_of<T>(n);
  for (index_t r = 0; r < rows; ++r, z += 3 * n, h += n, d += n) {
    T* gate = z + n;
    for (index_t u = 0; u < n; ++u) {
      d_gate[u] = d[u] * h[u];
      d[u] *= gate[u];
    }
    differentiate(d_gate, part(before, (3 * r + 1) * n), gate, n, by.recurrent_activation);
    std::copy_n(d_gate, n, gate);
  }
}

#define NNF_STEPS(T)                                                                               \
  template void lstm_step_forward_any<T>(const LstmStep<T>&, T*, const CellOptions&);              \
  template void lstm_step_backward_any<T>(const LstmStepGradient<T>&, const T*,                    \
                                          const CellOptions&);                                     \
  template void gru_step_forward_any<T>(const GruStep<T>&, T*, const CellOptions&);                \
  template void gru_step_backward_any<T>(const GruStepGradient<T>&, const T*, const CellOptions&); \
  template void gru_reset_forward_any<T>(T*, T*, const T*, index_t, index_t, T*,                   \
                                         const CellOptions&);                                      \
  template void gru_reset_backward_any<T>(T*, T*, const T*, index_t, index_t, const T*,            \
                                          const CellOptions&);
NNF_STEPS(float)
NNF_STEPS(double)
#undef NNF_STEPS

}  // namespace nnfast
