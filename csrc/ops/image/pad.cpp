#include "ops/image/pad.h"

#include <cstring>

#include "base/thread_pool.h"

namespace nnfast {
namespace {

template <class T>
void copy(T* to, const T* from, index_t n) {
  std::memcpy(to, from, sizeof(T) * static_cast<size_t>(n));
}
template <class T>
void clear(T* to, index_t n) {
  std::memset(to, 0, sizeof(T) * static_cast<size_t>(n));
}

// body(begin, end) over rows of n elements.
template <class Body>
void for_rows(index_t rows, index_t n, const Body& body) {
  if (rows == 0 || n == 0) return;
  parallel_ranges(rows, 1, 0.15 * static_cast<double>(rows) * static_cast<double>(n), body);
}

}  // namespace

template <class T>
void pad_images(T* y, const T* x, index_t images, index_t h, index_t w, index_t channels,
                const Margins& m) {
  const index_t rows = m.top + h + m.bottom, n = (m.left + w + m.right) * channels;
  for_rows(images * rows, n, [=](index_t begin, index_t end) {
    for (index_t r = begin; r < end; ++r) {
      const index_t i = r % rows - m.top;
      T* row = y + r * n;
      if (i < 0 || i >= h) {
        clear(row, n);
        continue;
      }
      clear(row, m.left * channels);
      copy(row + m.left * channels, x + (r / rows * h + i) * w * channels, w * channels);
      clear(row + (m.left + w) * channels, m.right * channels);
    }
  });
}

template <class T>
void crop_images(T* x, const T* y, index_t images, index_t h, index_t w, index_t channels,
                 const Margins& m) {
  const index_t rows = m.top + h + m.bottom, n = (m.left + w + m.right) * channels;
  for_rows(images * h, w * channels, [=](index_t begin, index_t end) {
    for (index_t r = begin; r < end; ++r) {
      const index_t from = r / h * rows + m.top + r % h;
      copy(x + r * w * channels, y + from * n + m.left * channels, w * channels);
    }
  });
}

template void pad_images<float>(float*, const float*, index_t, index_t, index_t, index_t,
                                const Margins&);
template void pad_images<double>(double*, const double*, index_t, index_t, index_t, index_t,
                                 const Margins&);
template void crop_images<float>(float*, const float*, index_t, index_t, index_t, index_t,
                                 const Margins&);
template void crop_images<double>(double*, const double*, index_t, index_t, index_t, index_t,
                                  const Margins&);

}  // namespace nnfast
