#include "ops/tensor/reduce.h"

#include <algorithm>

#include "base/check.h"
#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/tensor/walk.h"

namespace nnfast {
namespace {

constexpr double kCost = 0.1;           // of reading an element
constexpr index_t kRowTile = 1024;      // elements of a row reduced at once
constexpr index_t kColumnTile = 256;    // rows whose columns are reduced at once
constexpr index_t kWide = 64;           // fewer columns are taken several rows at a time
constexpr index_t kColumnStrip = 1024;  // columns whose results stay in the first cache

// One pass: x (outer, n, inner) to y (outer, results, inner), each from a tile of x. A tile of few
// columns is taken as rows of `together` times as many, which leave as many results.
struct Pass {
  index_t outer, n, inner;
  index_t together = 1, tiles = 1;

  Pass(index_t outer_size, index_t n_size, index_t inner_size)
      : outer(outer_size), n(n_size), inner(inner_size) {
    if (inner == 1 && n >= 8 * kColumnStrip) together = kColumnStrip;
    if (inner > 1 && inner < kWide && n > 2 * kWide) together = kWide / inner;
    const index_t tile = is_of_rows() ? kRowTile : kColumnTile * together;
    tiles = std::max<index_t>((n + tile - 1) / tile, 1);
  }
  bool is_of_rows() const { return inner == 1 && together == 1; }
  index_t results() const { return tiles * together; }
  index_t first(index_t tile) const { return n * tile / tiles; }
};

template <class T>
void reduce_rows(T* y, const T* x, const Pass& pass, Reduction by) {
  const double cost = kCost * static_cast<double>(pass.outer * (pass.n + 8));
  parallel_ranges(pass.outer * pass.tiles, 1, cost, [&](index_t begin, index_t end) {
    if (pass.tiles == 1) {
      kernels<T>().fold_rows(y + begin, x + begin * pass.n, end - begin, pass.n, by);
      return;
    }
    for (index_t i = begin; i < end; ++i) {
      const index_t tile = i % pass.tiles, first = pass.first(tile);
      kernels<T>().fold_rows(y + i, x + i / pass.tiles * pass.n + first, 1,
                             pass.first(tile + 1) - first, by);
    }
  });
}

template <class T>
void reduce_columns(T* y, const T* x, const Pass& pass, Reduction by) {
  const index_t width = pass.together * pass.inner;
  const index_t strips = (width + kColumnStrip - 1) / kColumnStrip;
  const double cost = kCost * static_cast<double>(pass.outer * pass.n * pass.inner);
  parallel_ranges(pass.outer * pass.tiles * strips, 1, cost, [&](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      const index_t block = i / strips, tile = block % pass.tiles, first = pass.first(tile);
      const index_t from = i % strips * kColumnStrip, to = std::min(from + kColumnStrip, width);
      const T* rows = x + (block / pass.tiles * pass.n + first) * pass.inner;
      const index_t n = (pass.first(tile + 1) - first) * pass.inner;
      // Where the last row is not whole, there is one row less behind its end.
      const index_t end_of_last = std::min(std::max(n % width, from), to);
      T* out = y + block * width;
      const auto fold = [&](index_t a, index_t b, index_t count) {
        if (a < b) kernels<T>().fold_columns(out + a, rows + a, width, count, b - a, by);
      };
      fold(from, end_of_last, n / width + 1);
      fold(end_of_last, to, n / width);
    }
  });
}

template <class T>
void run_pass(T* y, const T* x, const Pass& pass, Reduction by) {
  if (pass.is_of_rows()) {
    reduce_rows(y, x, pass, by);
  } else {
    reduce_columns(y, x, pass, by);
  }
}

// The passes from x to y: the last chosen axis first. Calls body(pass, whether it is the last one).
template <class Body>
void for_each_pass(MergedAxes axes, const Body& body) {
  for (int i = axes.last_chosen(); i >= 0; i = axes.last_chosen()) {
    const Pass pass(axes.product(0, i), axes.axis[i].size, axes.product(i + 1, axes.count));
    axes = axes.with(i, pass.results());
    body(pass, axes.last_chosen() < 0);
  }
}

template <class T>
T reduction_of_none(Reduction function) {
  require(function != Reduction::max && function != Reduction::min,
          function == Reduction::max ? "max" : "min",
          ": expected at least one number to compare, got an axis of size 0");
  return function == Reduction::prod ? T(1) : T(0);
}

template <class T>
void divide(T* y, index_t n, index_t by) {
  if (by == 1) return;
  const T divisor = static_cast<T>(by);
  for (index_t i = 0; i < n; ++i) y[i] /= divisor;
}

}  // namespace

Reduce::Reduce(Reduction function, const Dims& x, AxisSet axes, index_t ddof)
    : function_(function), axes_(x, axes), ddof_(ddof) {
  for (int i = 0; i < axes_.count; ++i)
    (axes_.axis[i].chosen ? count_ : results_) *= axes_.axis[i].size;
}

index_t Reduce::scratch_size() const {
  if (count_ == 0 || results_ == 0) return 0;
  index_t size = 0;
  for_each_pass(axes_, [&](const Pass& pass, bool last) {
    if (!last) size += pass.outer * pass.results() * pass.inner;
  });
  return size;
}

template <class T>
void Reduce::forward(T* y, const T* x, T* scratch) const {
  if (results_ == 0) return;
  if (count_ == 0) {
    std::fill(y, y + results_, reduction_of_none<T>(function_));
  } else if (count_ == 1) {
    repeat_along(y, x, axes_);
  } else {
    for_each_pass(axes_, [&](const Pass& pass, bool last) {
      T* to = last ? y : scratch;
      run_pass(to, x, pass, function_);
      x = to;
      scratch += pass.outer * pass.results() * pass.inner;
    });
  }
  if (function_ == Reduction::mean) divide(y, results_, std::max<index_t>(count_ - ddof_, 0));
}

namespace {

template <class T>
void pass_to_first(T* dx, T* dy, const T* x, const T* y, const MergedAxes& axes) {
  const Walk walk(axes);
  const index_t lines = walk.reduced.total();
  const double cost = 2 * kCost * static_cast<double>(axes.product(0, axes.count));
  walk.for_each_strip(cost, [&](index_t at, index_t result, index_t width) {
    bool found = false;
    for (index_t i = 0; i < lines; ++i) {
      const index_t line = at + walk.reduced.offset(i);
      if (walk.run == 1) {
        kernels<T>().take_where_equal(dx + line, dy + result, x + line, y + result, width);
        continue;
      }
      std::fill(dx + line, dx + line + walk.run, T(0));
      const index_t place = found ? walk.run : find(x + line, walk.run, y[result]);
      if (place == walk.run) continue;
      dx[line + place] = dy[result];
      found = true;
    }
  });
}

// dx (n) = the product of `before` and all x (n) before each; returns that before the next number.
template <class T>
T set_before(T* dx, const T* x, index_t at, index_t n, T before) {
  for (index_t i = at; i < at + n; ++i) {
    dx[i] = before;
    before *= x[i];
  }
  return before;
}
// dx (n) times `behind` and all x (n) behind each; returns that behind the number before.
template <class T>
T take_behind(T* dx, const T* x, index_t at, index_t n, T behind) {
  for (index_t i = at + n - 1; i >= at; --i) {
    dx[i] *= behind;
    behind *= x[i];
  }
  return behind;
}

// Each number's factor is the product of all others: of those before it, from a first walk, and of
// those behind it. Nothing is divided, so zeros do no harm.
template <class T>
void product_gradient(T* dx, T* dy, const T* x, const MergedAxes& axes) {
  const Walk walk(axes);
  const index_t lines = walk.reduced.total();
  const double cost = 8 * kCost * static_cast<double>(axes.product(0, axes.count));
  walk.for_each_strip(cost, [&](index_t at, index_t result, index_t width) {
    T before[Walk::kStrip];
    std::fill(before, before + width, T(1));
    T* behind = dy + result;  // times dy
    for (index_t i = 0; i < lines; ++i) {
      const index_t line = at + walk.reduced.offset(i);
      for (index_t k = 0; k < width; ++k)
        before[k] = set_before(dx, x, line + k, walk.run, before[k]);
    }
    for (index_t i = lines - 1; i >= 0; --i) {
      const index_t line = at + walk.reduced.offset(i);
      for (index_t k = 0; k < width; ++k)
        behind[k] = take_behind(dx, x, line + k, walk.run, behind[k]);
    }
  });
}

}  // namespace

template <class T>
void Reduce::backward(T* dx, T* dy, const T* x, const T* y) const {
  if (count_ == 0 || results_ == 0) return;
  switch (function_) {
    case Reduction::mean:
      divide(dy, results_, std::max<index_t>(count_ - ddof_, 0));
      return repeat_along(dx, dy, axes_);
    case Reduction::sum:
      return repeat_along(dx, dy, axes_);
    case Reduction::max:
    case Reduction::min:
      return pass_to_first(dx, dy, x, y, axes_);
    case Reduction::prod:
      return product_gradient(dx, dy, x, axes_);
  }
}

#define NNF_INSTANTIATE(T)                                  \
  template void Reduce::forward<T>(T*, const T*, T*) const; \
  template void Reduce::backward<T>(T*, T*, const T*, const T*) const;
NNF_INSTANTIATE(float)
NNF_INSTANTIATE(double)
#undef NNF_INSTANTIATE

}  // namespace nnfast
