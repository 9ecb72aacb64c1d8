#include "ops/image/pool.h"

#include "base/check.h"
#include "base/thread_pool.h"
#include "kernels/select.h"

namespace nnfast {
namespace {

PoolAxis pool_axis(const WindowAxis& a) { return {a.in, a.out, a.kernel, a.stride, a.before}; }

// Work is split by output rows; windows shared by chunks of the gradient are computed twice.
template <class Body>
void for_output_rows(index_t images, index_t channels, const Window& w, bool relu,
                     const Body& body) {
  if (channels == 0) return;
  const PoolParams p = {pool_axis(w.h), pool_axis(w.w), channels, relu};
  const double elements = static_cast<double>(images) * static_cast<double>(channels);
  const double taps = static_cast<double>(w.h.out) * static_cast<double>(w.w.out) *
                      static_cast<double>(w.h.kernel) * static_cast<double>(w.w.kernel);
  parallel_ranges(images * w.h.out, 1, 0.15 * elements * taps,
                  [&](index_t begin, index_t end) { body(begin, end, p); });
}

}  // namespace

void require_pooling(const std::string& where, const Window& window) {
  for (const WindowAxis* a : {&window.h, &window.w}) {
    require(a->before < a->kernel && a->after < a->kernel, where,
            ": expected padding smaller than the window, ", a->kernel, ", got ", a->before, " and ",
            a->after, "; a window in the padding sees nothing");
    require(a->dilation == 1, where, ": expected a dilation of 1, got ", a->dilation);
  }
}

void require_numbered(const std::string& where, const Window& window) {
  const index_t limit = index_t(1) << 24;
  require(window.h.kernel <= limit && window.w.kernel <= limit / window.h.kernel, where,
          ": expected windows of at most 2^24 elements if winners are requested, got ",
          window.h.kernel, " x ", window.w.kernel, "; pool in two steps");
}

Window whole_image(index_t h, index_t w) {
  Window window;
  window.h.in = window.h.kernel = window.h.stride = h;
  window.w.in = window.w.kernel = window.w.stride = w;
  return window;
}

template <class T>
void max_pool_forward(T* y, T* winners, const T* x, index_t images, index_t channels,
                      const Window& window, bool relu) {
  for_output_rows(images, channels, window, relu,
                  [=](index_t begin, index_t end, const PoolParams& p) {
                    kernels<T>().max_pool_forward(y, winners, x, begin, end, p);
                  });
}

template <class T>
void max_pool_backward(T* dx, const T* dy, const T* winners, index_t images, index_t channels,
                       const Window& window) {
  for_output_rows(images, channels, window, false,
                  [=](index_t begin, index_t end, const PoolParams& p) {
                    kernels<T>().max_pool_backward(dx, dy, winners, begin, end, p);
                  });
}

template <class T>
void avg_pool_forward(T* y, const T* x, index_t images, index_t channels, const Window& window) {
  for_output_rows(images, channels, window, false,
                  [=](index_t begin, index_t end, const PoolParams& p) {
                    kernels<T>().avg_pool_forward(y, x, begin, end, p);
                  });
}

template <class T>
void avg_pool_backward(T* dx, const T* dy, index_t images, index_t channels, const Window& window) {
  for_output_rows(images, channels, window, false,
                  [=](index_t begin, index_t end, const PoolParams& p) {
                    kernels<T>().avg_pool_backward(dx, dy, begin, end, p);
                  });
}

#define NNF_INSTANTIATE(T)                                                                     \
  template void max_pool_forward<T>(T*, T*, const T*, index_t, index_t, const Window&, bool);  \
  template void max_pool_backward<T>(T*, const T*, const T*, index_t, index_t, const Window&); \
  template void avg_pool_forward<T>(T*, const T*, index_t, index_t, const Window&);            \
  template void avg_pool_backward<T>(T*, const T*, index_t, index_t, const Window&);
NNF_INSTANTIATE(float)
NNF_INSTANTIATE(double)
#undef NNF_INSTANTIATE

}  // namespace nnfast
