#include "ops/tensor/gather.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/interrupt.h"
#include "base/thread_pool.h"
#include "kernels/select.h"

namespace nnfast {
namespace {

// Whether x is a whole number from `least` to n - 1. In double: float32 may round the bounds.
template <class T>
bool to_place(int32_t* place, T x, index_t least, index_t n) {
  const double index = static_cast<double>(x);
  const bool is_within = index >= static_cast<double>(least) && index < static_cast<double>(n);
  const int32_t whole = is_within ? static_cast<int32_t>(index) : 0;  // NaN is not within
  *place = whole < 0 ? whole + static_cast<int32_t>(n) : whole;
  return is_within && static_cast<double>(whole) == index;
}

// Part of a tensor (outer, n, inner); begin and end of each axis.
struct Box {
  index_t outer, outer_end, n, n_end, inner, inner_end;
};

// body(box) for parts of dx that threads fill alone: whoever adds, a sum has the order of its terms.
// Cut along the outer axis, where threads read only their own places; else along another one.
template <class Body>
void share_sums(AxisView s, index_t count, const Body& body) {
  constexpr index_t kEnough = 32;
  const index_t terms = s.outer * count * s.inner;
  const double cost = 0.2 * static_cast<double>(s.outer * s.n * s.inner) +
                      (s.inner < 8 ? 2 : 0.4) * static_cast<double>(terms);
  const Box all{0, s.outer, 0, s.n, 0, s.inner};
  const auto of_part = [&](index_t Box::* first, index_t Box::* last) {
    return [&body, all, first, last](index_t begin, index_t end) {
      Box box = all;
      box.*first = begin;
      box.*last = end;
      body(box);
    };
  };
  if (s.outer >= kEnough) {
    parallel_ranges(s.outer, 1, cost, of_part(&Box::outer, &Box::outer_end));
  } else if (s.inner >= kEnough) {
    parallel_shares(s.inner, 16, cost, of_part(&Box::inner, &Box::inner_end));
  } else {
    parallel_shares(s.n, 1, cost, of_part(&Box::n, &Box::n_end));
  }
}

// Of zeros as bytes: twice as fast as std::fill.
template <class T>
void set_zero(T* x, index_t n) {
  std::memset(static_cast<void*>(x), 0, sizeof(T) * static_cast<size_t>(n));
}

// Zeros in a part of dx.
template <class T>
void clear(T* dx, AxisView s, const Box& box) {
  const index_t width = box.inner_end - box.inner;
  for (index_t o = box.outer; o < box.outer_end; ++o) {
    T* line = dx + o * s.n * s.inner;
    if (width == s.inner) {
      set_zero(line + box.n * s.inner, (box.n_end - box.n) * s.inner);
      continue;
    }
    for (index_t i = box.n; i < box.n_end; ++i) set_zero(line + i * s.inner + box.inner, width);
  }
}

}  // namespace

AxisView view_along(const Dims& dims, int axis) {
  return {dims.product(0, axis), dims.size[axis], dims.product(axis + 1, dims.rank)};
}

template <class T>
index_t find_places(int32_t* places, const T* indices, index_t count, index_t least, index_t n) {
  std::atomic<bool> fit{true};
  parallel_ranges(count, 64, static_cast<double>(count), [&](index_t begin, index_t end) {
    bool own = true;
    for (index_t i = begin; i < end; ++i) own &= to_place(&places[i], indices[i], least, n);
    if (!own) fit.store(false, std::memory_order_relaxed);
  });
  if (fit.load(std::memory_order_relaxed)) return -1;
  index_t first = 0;
  while (to_place(&places[first], indices[first], least, n)) ++first;
  return first;
}

template <class T>
void take(T* y, const T* x, const int32_t* places, index_t count, AxisView s) {
  const size_t bytes = sizeof(T) * static_cast<size_t>(s.inner);
  const double lines = static_cast<double>(s.outer * count);
  const double cost = lines * (3 + 0.2 * static_cast<double>(s.inner));
  parallel_ranges(s.outer * count, 1, cost, [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end;) {
      const index_t o = i / count, stop = std::min(end, (o + 1) * count);
      const T* from = x + o * s.n * s.inner;
      const int32_t* place = places - o * count;
      if (s.inner == 1) {
        for (; i < stop; ++i) y[i] = from[place[i]];
      } else {
        for (; i < stop; ++i) std::memcpy(y + i * s.inner, from + place[i] * s.inner, bytes);
      }
    }
  });
}

template <class T>
void take_backward(T* dx, const T* dy, const int32_t* places, index_t count, AxisView s) {
  share_sums(s, count, [&](const Box& box) {
    clear(dx, s, box);
    const index_t width = box.inner_end - box.inner;
    InterruptWatch watch;
    for (index_t o = box.outer; o < box.outer_end; ++o) {
      T* to = dx + o * s.n * s.inner + box.inner;
      const T* from = dy + o * count * s.inner + box.inner;
      for (index_t j = 0; j < count; ++j) {
        watch.did(static_cast<double>(width));
        const index_t place = places[j];
        if (place < box.n || place >= box.n_end) continue;
        T* sum = to + place * s.inner;
        if (width == 1) {
          *sum += from[j * s.inner];
        } else {
          kernels<T>().add(sum, sum, from + j * s.inner, width);
        }
      }
    }
  });
}

template <class T>
void take_along(T* y, const T* x, const int32_t* places, index_t count, AxisView s) {
  const index_t lines = s.outer * count;
  const double cost = 1.5 * static_cast<double>(lines * s.inner);
  parallel_ranges(lines, 1, cost, [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end;) {
      const index_t o = i / count, stop = std::min(end, (o + 1) * count);
      const T* from = x + o * s.n * s.inner;
      if (s.inner == 1) {
        for (; i < stop; ++i) y[i] = from[places[i]];
        continue;
      }
      for (; i < stop; ++i) {
        for (index_t k = 0; k < s.inner; ++k)
          y[i * s.inner + k] = from[places[i * s.inner + k] * s.inner + k];
      }
    }
  });
}

template <class T>
void take_along_backward(T* dx, const T* dy, const int32_t* places, index_t count, AxisView s) {
  share_sums(s, count, [&](const Box& box) {
    clear(dx, s, box);
    InterruptWatch watch;
    for (index_t i = box.outer * count; i < box.outer_end * count; ++i) {
      watch.did(static_cast<double>(box.inner_end - box.inner));
      T* to = dx + i / count * s.n * s.inner;
      for (index_t k = box.inner; k < box.inner_end; ++k) {
        const index_t at = i * s.inner + k, place = places[at];
        if (place >= box.n && place < box.n_end) to[place * s.inner + k] += dy[at];
      }
    }
  });
}

template <class T>
void one_hot(T* y, const int32_t* places, index_t count, index_t classes) {
  const double cost = static_cast<double>(count) * (2 + 0.15 * static_cast<double>(classes));
  parallel_ranges(count, 1, cost, [&](index_t begin, index_t end) {
    set_zero(y + begin * classes, (end - begin) * classes);
    for (index_t i = begin; i < end; ++i) y[i * classes + places[i]] = T(1);
  });
}

#define NNF_INSTANTIATE(T)                                                               \
  template index_t find_places<T>(int32_t*, const T*, index_t, index_t, index_t);        \
  template void take<T>(T*, const T*, const int32_t*, index_t, AxisView);                \
  template void take_backward<T>(T*, const T*, const int32_t*, index_t, AxisView);       \
  template void take_along<T>(T*, const T*, const int32_t*, index_t, AxisView);          \
  template void take_along_backward<T>(T*, const T*, const int32_t*, index_t, AxisView); \
  template void one_hot<T>(T*, const int32_t*, index_t, index_t);
NNF_INSTANTIATE(float)
NNF_INSTANTIATE(double)
#undef NNF_INSTANTIATE

}  // namespace nnfast
