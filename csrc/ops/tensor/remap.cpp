#include "ops/tensor/remap.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/thread_pool.h"
#include "kernels/select.h"

namespace nnfast {
namespace {

constexpr index_t kLargestBlock = 4096, kPiece = 1 << 14, kLongestPattern = 16;  // elements
constexpr index_t kNowhere = std::numeric_limits<index_t>::min();

// Rounded up; b > 0.
index_t ceil_divide(index_t a, index_t b) { return a > 0 ? (a + b - 1) / b : -(-a / b); }

template <class T>
void copy_strided(T* NNF_RESTRICT y, const T* x, index_t step, index_t n) {
  // The compiler makes vectors of those steps that it knows.
  if (step == -1) {
    for (index_t i = 0; i < n; ++i) y[i] = x[-i];
  } else if (step == 2) {
    for (index_t i = 0; i < n; ++i) y[i] = x[2 * i];
  } else {
    for (index_t i = 0; i < n; ++i) y[i] = x[i * step];
  }
}

// y (n, block) = blocks of x that begin `step` elements apart.
template <class T>
void copy_blocks(T* y, const T* x, index_t step, index_t n, index_t block) {
  const auto bytes = [](index_t count) { return sizeof(T) * static_cast<size_t>(count); };
  if (step == block) {
    std::memcpy(y, x, bytes(n * block));
  } else if (block == 1) {
    copy_strided(y, x, step, n);
  } else {
    for (index_t i = 0; i < n; ++i) std::memcpy(y + i * block, x + i * step, bytes(block));
  }
}

// n groups of Width neighbors.
template <int Width, class T>
void copy_groups(T* y, index_t y_step, const T* x, index_t x_step, index_t n) {
  for (index_t i = 0; i < n; ++i) std::memcpy(y + i * y_step, x + i * x_step, Width * sizeof(T));
}

// How many of the next elements of a pattern are neighbors in x: 4, 2 or 1.
index_t group_width(const index_t* pattern, index_t left) {
  const auto is_next = [=](index_t i) { return i < left && pattern[i] == pattern[0] + i; };
  if (pattern[0] == kNowhere || !is_next(1)) return 1;
  return is_next(2) && is_next(3) ? 4 : 2;
}

// Likewise, with the elements of a block at these offsets, or nowhere.
template <class T>
void copy_patterns(T* y, const T* x, index_t step, index_t n, index_t block, const index_t* pattern,
                   T constant) {
  constexpr index_t stretch = 256;  // which stays in the cache
  for (index_t begin = 0; begin < n; begin += stretch) {
    const index_t count = std::min(stretch, n - begin);
    T* to = y + begin * block;
    const T* from = x + begin * step;
    for (index_t k = 0, width = 1; k < block; k += width) {
      width = group_width(pattern + k, block - k);
      if (pattern[k] == kNowhere) {
        for (index_t i = 0; i < count; ++i) to[i * block + k] = constant;
        continue;
      }
      const auto copy = width == 4   ? copy_groups<4, T>
                        : width == 2 ? copy_groups<2, T>
                                     : copy_groups<1, T>;
      copy(to + k, block, from + pattern[k], step, count);
    }
  }
}

// Blocks of dx that begin `step` elements apart += dy (n, block).
template <class T>
void add_blocks(T* dx, const T* dy, index_t step, index_t n, index_t block) {
  if (step == block) {
    kernels<T>().add(dx, dx, dy, n * block);
  } else if (block == 1) {
    for (index_t i = 0; i < n; ++i) dx[i * step] += dy[i];
  } else {
    for (index_t i = 0; i < n; ++i)
      kernels<T>().add(dx + i * step, dx + i * step, dy + i * block, block);
  }
}

}  // namespace

// An axis of y for which a step along x's axis is `step` elements of x (or, in a sum, an axis of dx
// for which a step along dy's axis is `step` elements of dy).
struct Remap::Axis {
  index_t size = 1, step = 1;
  const std::vector<Run>* runs = nullptr;  // null: place i is i steps away

  index_t offset(index_t i) const {
    if (!runs) return i * step;
    auto run = runs->begin();
    while (i >= run->y + run->length) ++run;
    return run->x < 0 ? kNowhere : (run->x + (i - run->y) * run->step) * step;
  }
};

// Places along some axes, which change like the digits of a number.
class Remap::OuterPlaces {
 public:
  OuterPlaces(const Axis* axes, int count, index_t line) : axes_(axes), count_(count) {
    for (int k = 0; k < count; ++k) {
      place_[k] = line % axes[k].size;
      line /= axes[k].size;
    }
  }
  void advance() {
    for (int k = 0; k < count_; ++k) {
      if (++place_[k] < axes_[k].size) return;
      place_[k] = 0;
    }
  }
  index_t operator[](int axis) const { return place_[axis]; }
  index_t offset() const {
    index_t sum = 0;
    for (int k = 0; k < count_; ++k) {
      const index_t own = axes_[k].offset(place_[k]);
      if (own == kNowhere) return kNowhere;
      sum += own;
    }
    return sum;
  }

 private:
  const Axis* axes_;
  int count_;
  index_t place_[kMaxAxes];
};

// Axes from the innermost, those that are one in memory merged: blocks of contiguous elements, lines
// of blocks, and the outer axes, which count the lines.
class Remap::Layout {
 public:
  void add(const Axis& axis) {
    if (!axis.runs && axis.size == 1) return;
    elements_ *= axis.size;
    Axis& last = axes_[count_ > 0 ? count_ - 1 : 0];
    if (count_ > 0 && !axis.runs && !last.runs && axis.step == last.step * last.size) {
      last.size *= axis.size;
    } else {
      axes_[count_++] = axis;
    }
  }
  // With `pattern`, inner axes that are short together are copied element by element, in loops along
  // the next axis.
  void finish(bool pattern) {
    if (count_ == 0) axes_[count_++] = {};
    if (!pattern || !find_pattern()) {
      const Axis& inner = axes_[0];
      if (count_ > 1 && is_contiguous(inner) && inner.size <= kLargestBlock) {
        block_ = inner.size;
        line_ = 1;
      }
    }
    lines_ = elements_ / (line().size * block_);
    piece_ = std::max<index_t>(1, kPiece / block_);
    pieces_ = (line().size + piece_ - 1) / piece_;
  }

  // Offsets of the elements of a block; null if they are contiguous.
  const index_t* pattern() const { return has_pattern_ ? pattern_ : nullptr; }
  index_t block() const { return block_; }
  const Axis& line() const { return axes_[line_]; }
  const Axis* outer() const { return axes_ + line_ + 1; }
  int outer_count() const { return count_ - line_ - 1; }

  // body(line, places of the outer axes, begin, end) for stretches of lines, shared among threads.
  template <class Body>
  void for_each_stretch(const Body& body) const;

 private:
  static bool is_contiguous(const Axis& axis) { return !axis.runs && axis.step == 1; }

  bool find_pattern() {
    index_t size = 1;
    int axes = 0;
    while (axes < count_ - 1 && size * axes_[axes].size <= kLongestPattern)
      size *= axes_[axes++].size;
    // A copy of eight contiguous elements is faster than eight loops.
    if (axes == 0 || (axes == 1 && is_contiguous(axes_[0]) && size >= 8)) return false;
    for (index_t i = 0; i < size; ++i) pattern_[i] = OuterPlaces(axes_, axes, i).offset();
    has_pattern_ = true;
    block_ = size;
    line_ = axes;
    return true;
  }

  Axis axes_[kMaxAxes] = {};
  bool has_pattern_ = false;
  index_t pattern_[kLongestPattern];
  int count_ = 0, line_ = 0;
  index_t elements_ = 1, block_ = 1, lines_ = 1, piece_ = 1, pieces_ = 1;
};

template <class Body>
void Remap::Layout::for_each_stretch(const Body& body) const {
  const double elements = static_cast<double>(lines_ * line().size * block_);
  const double cost = (block_ == 1 ? 0.4 : 0.15) * elements + 10 * static_cast<double>(lines_);
  parallel_ranges(lines_ * pieces_, 1, cost, [&](index_t begin, index_t end) {
    index_t at = begin / pieces_, part = begin % pieces_;
    OuterPlaces places(outer(), outer_count(), at);
    for (index_t i = begin; i < end; ++i) {
      body(at, places, part * piece_, std::min((part + 1) * piece_, line().size));
      if (++part < pieces_) continue;
      part = 0;
      ++at;
      places.advance();
    }
  });
}

Remap::Remap(const std::vector<std::vector<PlaceRun>>& axes) {
  for (const std::vector<PlaceRun>& runs : axes) {
    std::vector<Run>& own = axes_.emplace_back();
    index_t y = 0;
    for (const PlaceRun& run : runs) {
      if (run.length == 0) continue;
      own.push_back({y, run.x, run.step, run.length});
      y += run.length;
    }
  }
}

index_t Remap::y_size(int axis, const Dims& x_dims) const {
  const std::vector<Run>& runs = axes_[static_cast<size_t>(axis)];
  return runs.empty() ? x_dims.size[axis] : runs.back().y + runs.back().length;
}

// y = places begin, ..., end - 1 of a line that begins at x.
template <class T>
void Remap::copy_line(T* y, const T* x, const Layout& layout, index_t begin, index_t end,
                      T constant) {
  const index_t block = layout.block(), step = layout.line().step;
  const auto copy = [&](const T* from, index_t by, index_t n) {
    const index_t own = by == 0 ? 1 : n;
    if (layout.pattern()) {
      copy_patterns(y, from, by, own, block, layout.pattern(), constant);
    } else {
      copy_blocks(y, from, by, own, block);
    }
    // The same block again and again: copies of what is there already grow.
    for (index_t done = own; done < n; done *= 2) {
      const index_t count = std::min(done, n - done) * block;
      std::memcpy(y + done * block, y, sizeof(T) * static_cast<size_t>(count));
    }
  };
  if (!layout.line().runs) {
    copy(x + begin * step, step, end - begin);
    return;
  }
  for (const Run& run : *layout.line().runs) {
    const index_t first = std::max(begin, run.y), stop = std::min(end, run.y + run.length);
    if (first >= stop) continue;
    if (run.x < 0) {
      std::fill_n(y, (stop - first) * block, constant);
    } else {
      copy(x + (run.x + (first - run.y) * run.step) * step, run.step * step, stop - first);
    }
    y += (stop - first) * block;
  }
}

template <class T>
void Remap::copy(T* y, const T* x, Layout* layout, T constant) {
  layout->finish(true);
  const index_t line = layout->line().size, block = layout->block();
  layout->for_each_stretch([&](index_t at, const OuterPlaces& places, index_t begin, index_t end) {
    T* to = y + (at * line + begin) * block;
    const index_t offset = places.offset();
    if (offset == kNowhere) {
      std::fill_n(to, (end - begin) * block, constant);
    } else {
      copy_line(to, x + offset, *layout, begin, end, constant);
    }
  });
}

template <class T>
void Remap::forward(T* y, const T* x, const Dims& x_dims, T constant) const {
  if (x_dims.elements() == 0) return;
  Layout layout;
  index_t step = 1;
  for (int k = x_dims.rank; k-- > 0; step *= x_dims.size[k]) {
    const std::vector<Run>& runs = axes_[static_cast<size_t>(k)];
    if (runs.size() == 1 && runs[0].x >= 0) {
      x += runs[0].x * step;
      layout.add({runs[0].length, runs[0].step * step, nullptr});
    } else {
      layout.add({y_size(k, x_dims), step, runs.empty() ? nullptr : &runs});
    }
  }
  copy(y, x, &layout, constant);
}

template <class T>
void Remap::broadcast(T* y, const Dims& y_dims, const T* x, const Dims& x_dims) {
  if (y_dims.elements() == 0) return;
  Layout layout;
  index_t step = 1;
  for (int k = y_dims.rank; k-- > 0;) {
    const int own = k - (y_dims.rank - x_dims.rank);
    const index_t size = own >= 0 ? x_dims.size[own] : 1;
    layout.add({y_dims.size[k], size == 1 ? 0 : step, nullptr});
    step *= size;
  }
  copy(y, x, &layout, T(0));
}

// What a stretch begin, ..., end - 1 of a line of dx receives.
template <class T>
class Remap::Sum {
 public:
  Sum(const Layout& layout, const OuterPlaces& places, T* dx, index_t begin, index_t end)
      : layout_(layout), places_(places), dx_(dx), begin_(begin), end_(end) {}

  // From the places of y that lead to those of the outer axes; of axes `axis`, ..., 0 all.
  void add(int axis, const T* dy) const {
    if (axis < 0) {
      add_line(dy);
      return;
    }
    const Axis& outer = layout_.outer()[axis];
    const index_t place = places_[axis];
    if (!outer.runs) {
      add(axis - 1, dy + place * outer.step);
      return;
    }
    for (const Run& run : *outer.runs) {
      if (run.x < 0) continue;
      const Range range = places_within(run, place, place + 1);
      for (index_t i = range.begin; i < range.end; ++i)
        add(axis - 1, dy + (run.y + i) * outer.step);
    }
  }

 private:
  struct Range {
    index_t begin, end;
  };

  // Those places of a run that lead to begin, ..., end - 1.
  static Range places_within(const Run& run, index_t begin, index_t end) {
    if (run.step == 0) return {0, begin <= run.x && run.x < end ? run.length : 0};
    const index_t first = run.step > 0 ? ceil_divide(begin - run.x, run.step)
                                       : ceil_divide(run.x - end + 1, -run.step);
    const index_t stop = run.step > 0 ? ceil_divide(end - run.x, run.step)
                                      : ceil_divide(run.x - begin + 1, -run.step);
    return {std::max<index_t>(first, 0), std::min(stop, run.length)};
  }

  void add_line(const T* dy) const {
    const Axis& line = layout_.line();
    if (!line.runs) {
      add_run({0, 0, 1, line.size}, dy);
      return;
    }
    for (const Run& run : *line.runs) {
      if (run.x >= 0) add_run(run, dy);
    }
  }
  void add_run(const Run& run, const T* dy) const {
    const Range range = places_within(run, begin_, end_);
    if (range.begin >= range.end) return;
    const index_t block = layout_.block();
    add_blocks(dx_ + (run.x + range.begin * run.step - begin_) * block,
               dy + (run.y + range.begin) * block, run.step * block, range.end - range.begin,
               block);
  }

  const Layout& layout_;
  const OuterPlaces& places_;
  T* dx_;
  index_t begin_, end_;
};

template <class T>
void Remap::backward(T* dx, const T* dy, const Dims& x_dims) const {
  if (x_dims.elements() == 0) return;
  Layout layout;
  index_t step = 1;
  for (int k = x_dims.rank; k-- > 0; step *= y_size(k, x_dims)) {
    const std::vector<Run>& runs = axes_[static_cast<size_t>(k)];
    layout.add({x_dims.size[k], step, runs.empty() ? nullptr : &runs});
  }
  layout.finish(false);
  layout.for_each_stretch([&](index_t at, const OuterPlaces& places, index_t begin, index_t end) {
    T* to = dx + (at * layout.line().size + begin) * layout.block();
    std::memset(static_cast<void*>(to), 0,
                sizeof(T) * static_cast<size_t>((end - begin) * layout.block()));
    Sum<T>(layout, places, to, begin, end).add(layout.outer_count() - 1, dy);
  });
}

#define NNF_INSTANTIATE(T)                                                   \
  template void Remap::forward<T>(T*, const T*, const Dims&, T) const;       \
  template void Remap::broadcast<T>(T*, const Dims&, const T*, const Dims&); \
  template void Remap::backward<T>(T*, const T*, const Dims&) const;
NNF_INSTANTIATE(float)
NNF_INSTANTIATE(double)
#undef NNF_INSTANTIATE

}  // namespace nnfast
