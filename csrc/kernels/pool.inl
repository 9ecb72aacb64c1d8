// Pooling of images (N, H, W, C): the maximum or the mean of each window, per channel.
//
// A kernel computes the output rows `first` to `end` of all N * OH. Padding does not count: a
// window is clipped to the image and has at least one element. Elements of a window are processed
// in row-major order; a sum is a chain in that order, or for large windows a sum over tiles. The
// maximum is NaN if an element is NaN.
//
// If C is not a multiple of the vector width, the last vector of a pixel is written whole over the
// beginning of the next pixel, which is written later. Only the last pixels of a kernel's rows need
// partial vectors, so that six channels need no masks.
//
// Loops over windows use local copies of the parameters: for all the compiler knows, vector stores
// may change what a reference refers to, and it would reload that after each store.

// The part of an axis covered by a window.
struct Taps {
  index_t begin, end;
};

NNF_INLINE Taps taps_of(const PoolAxis& a, index_t o) {
  const index_t begin = o * a.stride - a.before, end = begin + a.size;
  return {begin < 0 ? 0 : begin, end < a.in ? end : a.in};
}

// The inputs up to the next window belong to window o; those before the first window to the first.
NNF_INLINE index_t band_begin(const PoolAxis& a, index_t o) {
  if (o == 0) return 0;
  if (o == a.out) return a.in;
  const index_t begin = o * a.stride - a.before;
  return begin < 0 ? 0 : begin < a.in ? begin : a.in;
}

NNF_INLINE bool overlaps(const PoolAxis& a) { return a.stride < a.size && a.out > 1; }

// Windows [begin, end) lie inside the row; those before `whole` may write whole vectors if nothing
// follows the row, and all of them if enough follows.
struct Inside {
  index_t begin, whole, end;

  NNF_INLINE Inside with_room(bool enough) const { return {begin, enough ? end : whole, end}; }
};

template <class T>
NNF_INLINE Inside inside_of(const PoolAxis& a, index_t channels) {
  constexpr index_t lanes = Vec<T>::lanes;
  Inside w;
  w.begin = (a.before + a.stride - 1) / a.stride;
  if (w.begin > a.out) w.begin = a.out;
  const index_t room = a.in + a.before - a.size;
  w.end = room < 0 ? 0 : room / a.stride + 1;
  if (w.end > a.out) w.end = a.out;
  if (w.end < w.begin) w.end = w.begin;
  const index_t written = (channels + lanes - 1) / lanes * lanes;
  w.whole = w.end - ((written + channels - 1) / channels - 1);
  if (w.whole < w.begin) w.whole = w.begin;
  return w;
}

// Calls body(image, begin, end) for the output rows `begin` to `end` of each image among `first` to
// `end`.
template <class Body>
NNF_INLINE void for_each_image(index_t first, index_t end, const PoolParams& p, const Body& body) {
  while (first < end) {
    const index_t image = first / p.h.out, start = image * p.h.out;
    const index_t stop = end < start + p.h.out ? end : start + p.h.out;
    body(image, first - start, stop - start);
    first = stop;
  }
}

// Calls body(c, vectors, count) for runs of a pixel's channels: of 4, 2 or 1 vectors of `count`.
// Since a window may be a whole image, the sums of several vectors are computed side by side, and
// its elements are written in order.
template <class T, class Body>
NNF_INLINE void for_vectors(index_t channels, const Body& body) {
  constexpr int lanes = Vec<T>::lanes;
  index_t c = 0;
  for (; c + 4 * lanes <= channels; c += 4 * lanes) body(c, Constant<4>(), lanes);
  for (; c + 2 * lanes <= channels; c += 2 * lanes) body(c, Constant<2>(), lanes);
  for (; c + lanes <= channels; c += lanes) body(c, Constant<1>(), lanes);
  if (c < channels) body(c, Constant<1>(), static_cast<int>(channels - c));
}

// ---- forward ----------------------------------------------------------------------------------------

// Reductions over a window: start with its first element, join the others, numbered by `tap`, and
// finish.

// The first of equal maxima is kept; a NaN is kept, and of several the last. With a ReLU the floor
// is 0, the result if the ReLU were applied to each element; without, it is NaN, and its value does
// not matter.
template <class T>
struct Largest {
  static constexpr bool kTellsWinner = false, kSums = false;
  static NNF_INLINE T parameter(index_t, bool relu) { return relu ? T(0) : MathConstants<T>::nan; }
  Vec<T> largest;
  NNF_INLINE void start(Vec<T> v, T floor) { largest = max(broadcast<T>(floor), v); }
  NNF_INLINE void join(Vec<T> v, T) { largest = select(is_nan(v), v, max(v, largest)); }
  NNF_INLINE Vec<T> finish(T) { return largest; }
  NNF_INLINE Vec<T> winner() { return largest; }
};

// Also the index of the maximum within the window; -1 if it is the floor, or a NaN, through which
// ReLU passes no gradient.
template <class T>
struct LargestAndWinner {
  static constexpr bool kTellsWinner = true, kSums = false;
  static NNF_INLINE T parameter(index_t count, bool relu) {
    return Largest<T>::parameter(count, relu);
  }
  Vec<T> largest, index;
  NNF_INLINE void start(Vec<T> v, T floor) {
    largest = max(broadcast<T>(floor), v);
    index = zero<T>();
  }
  NNF_INLINE void join(Vec<T> v, T tap) {
    const Mask<T> wins = less(largest, v) | is_nan(v);
    index = select(wins, broadcast<T>(tap), index);
    largest = select(wins, v, largest);
  }
  NNF_INLINE Vec<T> finish(T floor) {
    const Vec<T> lowest = broadcast<T>(floor);
    index = select(less(lowest, largest) | is_nan(lowest), index, broadcast<T>(T(-1)));
    return largest;
  }
  NNF_INLINE Vec<T> winner() { return index; }
};

template <class T>
struct Mean {
  static constexpr bool kTellsWinner = false, kSums = true;
  static NNF_INLINE T parameter(index_t count, bool) { return T(1) / static_cast<T>(count); }
  Vec<T> sum;
  NNF_INLINE void start(Vec<T> v, T) { sum = v; }
  NNF_INLINE void join(Vec<T> v, T) { sum = sum + v; }
  NNF_INLINE Vec<T> finish(T share) { return sum * broadcast<T>(share); }
  NNF_INLINE Vec<T> winner() { return sum; }
};

// Windows of more elements are summed in tiles: parts of rows of at most this many columns.
constexpr index_t kLongWindow = 128, kTileColumns = 64;

// The mean of a large window with rows of `columns` taps. The rounding error of the sum over tiles
// is kept and added to the next (Kahan 1965, DOI 10.1145/363707.363723).
template <class T, int VECTORS>
NNF_INLINE void mean_of_tiles(T* y, const T* x, index_t row, index_t rows, index_t columns,
                              index_t channels, T share, int count) {
  constexpr int lanes = Vec<T>::lanes;
  Vec<T> total[VECTORS], lost[VECTORS];
  for (int k = 0; k < VECTORS; ++k) total[k] = lost[k] = zero<T>();
  for (index_t i = 0; i < rows; ++i) {
    for (index_t begin = 0; begin < columns; begin += kTileColumns) {
      const index_t end = columns - begin < kTileColumns ? columns : begin + kTileColumns;
      Vec<T> sum[VECTORS];
      for (int k = 0; k < VECTORS; ++k) sum[k] = zero<T>();
      const T* tap = x + i * row + begin * channels;
      for (index_t j = begin; j < end; ++j, tap += channels) {
        for (int k = 0; k < VECTORS; ++k) sum[k] = sum[k] + load_n(tap + k * lanes, count);
      }
      for (int k = 0; k < VECTORS; ++k) {
        const Vec<T> more = sum[k] - lost[k], next = total[k] + more;
        const Vec<T> error = (next - total[k]) - more;
        lost[k] = select(is_nan(error), zero<T>(), error);  // of an infinite sum
        total[k] = next;
      }
    }
  }
  for (int k = 0; k < VECTORS; ++k) {
    store_n(y + k * lanes, total[k] * broadcast<T>(share), count);
  }
}

// VECTORS vectors of a window's output, from `rows` x `columns` taps.
template <class T, class Rule, int VECTORS>
NNF_INLINE void fold(T* y, T* winners, const T* x, index_t row, index_t rows, index_t columns,
                     index_t channels, T parameter, int count) {
  constexpr int lanes = Vec<T>::lanes;
  Rule rule[VECTORS];
  for (int k = 0; k < VECTORS; ++k) rule[k].start(load_n(x + k * lanes, count), parameter);
  T number = 0;
  for (index_t i = 0; i < rows; ++i) {
    for (index_t j = i == 0 ? 1 : 0; j < columns; ++j) {
      const T* tap = x + i * row + j * channels;
      number += 1;
      for (int k = 0; k < VECTORS; ++k) rule[k].join(load_n(tap + k * lanes, count), number);
    }
  }
  for (int k = 0; k < VECTORS; ++k) {
    store_n(y + k * lanes, rule[k].finish(parameter), count);
    if (Rule::kTellsWinner) store_n(winners + k * lanes, rule[k].winner(), count);
  }
}

// A row of outputs, the part of x covered by its windows, and the number of rows of that part. For
// a rule without winners, y is passed in place of these.
template <class T>
struct FoldedRow {
  T *y, *winners;
  const T* x;
  index_t rows;
};

// Outputs `from` to `end` of a row. A separate function, so that the loops over the many inner
// windows have the registers.
template <class T, class Rule>
NNF_OUTLINE void fold_any(const FoldedRow<T>& r, index_t from, index_t end, const PoolParams& p) {
  const index_t channels = p.channels, row = p.w.in * channels;
  for (index_t o = from; o < end; ++o) {
    const Taps taps = taps_of(p.w, o);
    const index_t width = taps.end - taps.begin;
    const T parameter = Rule::parameter(r.rows * width, p.relu);
    const T* window = r.x + taps.begin * channels;
    const index_t out = o * channels;
    for_vectors<T>(channels, [&](index_t c, auto vectors, int count) {
      if (Rule::kSums && r.rows * width > kLongWindow) {
        mean_of_tiles<T, vectors>(r.y + out + c, window + c, row, r.rows, width, channels,
                                  parameter, count);
      } else {
        fold<T, Rule, vectors>(r.y + out + c, r.winners + out + c, window + c, row, r.rows, width,
                               channels, parameter, count);
      }
    });
  }
}

// The same for windows of SIZE x SIZE inside the image, which may write whole vectors.
template <class T, class Rule, int SIZE>
NNF_INLINE void fold_inside(const FoldedRow<T>& r, index_t from, index_t end, const PoolParams& p) {
  constexpr int lanes = Vec<T>::lanes;
  const index_t channels = p.channels, row = p.w.in * channels, step = p.w.stride * channels;
  const T parameter = Rule::parameter(SIZE * SIZE, p.relu);
  const T* window = r.x + (from * p.w.stride - p.w.before) * channels;
  T *y = r.y + from * channels, *won = r.winners + from * channels;
  for (index_t o = from; o < end; ++o, window += step) {
    for (index_t c = 0; c < channels; c += lanes) {
      fold<T, Rule, 1>(y + c, won + c, window + c, row, SIZE, SIZE, channels, parameter, lanes);
    }
    y += channels;
    won += channels;
  }
}

template <class T, class Rule>
NNF_INLINE void fold_row(const FoldedRow<T>& to, const Inside& inside, const PoolParams& p) {
  index_t done = 0;
  if (to.rows == p.w.size && (to.rows == 2 || to.rows == 3)) {
    if (inside.begin > 0) fold_any<T, Rule>(to, 0, inside.begin, p);
    if (to.rows == 2) {
      fold_inside<T, Rule, 2>(to, inside.begin, inside.whole, p);
    } else {
      fold_inside<T, Rule, 3>(to, inside.begin, inside.whole, p);
    }
    done = inside.whole;
  }
  if (done < p.w.out) fold_any<T, Rule>(to, done, p.w.out, p);
}

template <class T, class Rule>
NNF_INLINE void pool_forward(T* y, T* winners, const T* x, index_t first, index_t end,
                             const PoolParams& p) {
  constexpr index_t lanes = Vec<T>::lanes;
  const Inside inside = inside_of<T>(p.w, p.channels);
  const index_t row = p.w.in * p.channels, out_row = p.w.out * p.channels;
  for_each_image(first, end, p, [&](index_t image, index_t begin, index_t stop) {
    const T* from = x + image * p.h.in * row;
    const index_t read = taps_of(p.h, stop - 1).end;
    for (index_t o = begin; o < stop; ++o) {
      const Taps taps = taps_of(p.h, o);
      const index_t rows = taps.end - taps.begin, at = (image * p.h.out + o) * out_row;
      const bool room = (stop - 1 - o) * out_row >= lanes && (read - taps.end) * row >= lanes;
      fold_row<T, Rule>({y + at, winners + at, from + taps.begin * row, rows},
                        inside.with_room(room), p);
    }
  });
}

// y (N, OH, OW, C) = the maximum of each window of x (N, H, W, C), or max(0, .) of it with relu.
// winners, like y, or null: the index of the maximum among the elements of the clipped window; -1
// if relu leaves none. Arrays must not overlap.
template <class T>
void max_pool_forward(T* y, T* winners, const T* x, index_t first, index_t end,
                      const PoolParams& p) {
  if (winners) {
    pool_forward<T, LargestAndWinner<T>>(y, winners, x, first, end, p);
  } else {
    pool_forward<T, Largest<T>>(y, y, x, first, end, p);
  }
}

// y (N, OH, OW, C) = the mean of each window of x (N, H, W, C): sum times (1 / count). y must not
// overlap x.
template <class T>
void avg_pool_forward(T* y, const T* x, index_t first, index_t end, const PoolParams& p) {
  pool_forward<T, Mean<T>>(y, y, x, first, end, p);
}

// ---- backward ---------------------------------------------------------------------------------------

// Distribution of a window's dy: the contribution to the element with index `tap`.

template <class T>
struct AllToWinner {
  static constexpr bool kReadsWinners = true;
  static NNF_INLINE T parameter(index_t) { return 0; }
  Vec<T> dy, index;
  NNF_INLINE void start(Vec<T> given, const T* winners, int count, T) {
    dy = given;
    index = load_n(winners, count);
  }
  NNF_INLINE Vec<T> share(T tap) { return select(equal(index, broadcast<T>(tap)), dy, zero<T>()); }
};

template <class T>
struct SameToAll {
  static constexpr bool kReadsWinners = false;
  static NNF_INLINE T parameter(index_t count) { return T(1) / static_cast<T>(count); }
  Vec<T> part;
  NNF_INLINE void start(Vec<T> dy, const T*, int, T share) { part = dy * broadcast<T>(share); }
  NNF_INLINE Vec<T> share(T) { return part; }
};

// A row of dx and of dy, and the index of the row among the `rows` of its windows. For a rule
// without winners, dy is passed in place of these.
template <class T>
struct SpreadRow {
  T* dx;
  const T *dy, *winners;
  index_t row, rows;
};

// The contributions of VECTORS vectors of dy to a window's taps in a row, added (ADD) or written.
template <class T, class Rule, bool ADD, int VECTORS>
NNF_INLINE void spread(T* dx, const T* dy, const T* winners, index_t row, index_t columns,
                       index_t channels, T parameter, int count) {
  constexpr int lanes = Vec<T>::lanes;
  Rule rule[VECTORS];
  for (int k = 0; k < VECTORS; ++k) {
    rule[k].start(load_n(dy + k * lanes, count), winners + k * lanes, count, parameter);
  }
  for (index_t j = 0; j < columns; ++j) {
    const T number = static_cast<T>(row * columns + j);
    for (int k = 0; k < VECTORS; ++k) {
      T* tap = dx + j * channels + k * lanes;
      Vec<T> d = rule[k].share(number);
      if (ADD) d = load_n(tap, count) + d;
      store_n(tap, d, count);
    }
  }
}

// A row of the windows `from` to `end`. Unless they add, gaps between windows are set to 0.
template <class T, class Rule, bool ADD>
NNF_OUTLINE void spread_any(const SpreadRow<T>& r, index_t from, index_t end, const PoolParams& p) {
  const index_t channels = p.channels, gap = p.w.stride - p.w.size;
  for (index_t o = from; o < end; ++o) {
    const Taps taps = taps_of(p.w, o);
    const index_t columns = taps.end - taps.begin;
    const T parameter = Rule::parameter(r.rows * columns);
    T* in = r.dx + taps.begin * channels;
    const index_t out = o * channels;
    for_vectors<T>(channels, [&](index_t c, auto vectors, int count) {
      spread<T, Rule, ADD, vectors>(in + c, r.dy + out + c, r.winners + out + c, r.row, columns,
                                    channels, parameter, count);
    });
    if (!ADD && gap > 0 && o + 1 < p.w.out) fill_zero(in + columns * channels, gap * channels);
  }
}

// The same for windows of SIZE x SIZE that lie inside and leave no gaps. Unless they add, they may
// write whole vectors.
template <class T, class Rule, int SIZE, bool ADD>
NNF_INLINE void spread_inside(const SpreadRow<T>& r, index_t from, index_t end,
                              const PoolParams& p) {
  constexpr int lanes = Vec<T>::lanes;
  const index_t channels = p.channels, full = channels / lanes * lanes;
  const index_t step = p.w.stride * channels, row = r.row;
  const int last = ADD ? static_cast<int>(channels - full) : lanes;
  const T parameter = Rule::parameter(SIZE * SIZE);
  T* dx = r.dx + (from * p.w.stride - p.w.before) * channels;
  const T *dy = r.dy + from * channels, *won = r.winners + from * channels;
  for (index_t o = from; o < end; ++o, dx += step) {
    // First the vector that extends into the next pixel, whose own values follow.
    if (full < channels)
      spread<T, Rule, ADD, 1>(dx + full, dy + full, won + full, row, SIZE, channels, parameter,
                              last);
    for (index_t c = 0; c < full; c += lanes)
      spread<T, Rule, ADD, 1>(dx + c, dy + c, won + c, row, SIZE, channels, parameter, lanes);
    dy += channels;
    won += channels;
  }
}

// A row of disjoint windows: every element of dx's row is written once.
template <class T, class Rule>
NNF_INLINE void spread_row(const SpreadRow<T>& to, const Inside& inside, const PoolParams& p) {
  index_t done = 0;
  if (to.rows == 2 && p.w.size == 2 && p.w.stride == 2) {
    if (inside.begin > 0) spread_any<T, Rule, false>(to, 0, inside.begin, p);
    spread_inside<T, Rule, 2, false>(to, inside.begin, inside.whole, p);
    done = inside.whole;
  }
  if (done < p.w.out) spread_any<T, Rule, false>(to, done, p.w.out, p);
  const index_t covered = taps_of(p.w, p.w.out - 1).end;
  if (covered < p.w.in) fill_zero(to.dx + covered * p.channels, (p.w.in - covered) * p.channels);
}

// A row of overlapping windows: they add.
template <class T, class Rule>
NNF_INLINE void add_row(const SpreadRow<T>& to, const Inside& inside, const PoolParams& p) {
  index_t done = 0;
  if (to.rows == 3 && p.w.size == 3) {
    if (inside.begin > 0) spread_any<T, Rule, true>(to, 0, inside.begin, p);
    spread_inside<T, Rule, 3, true>(to, inside.begin, inside.end, p);
    done = inside.end;
  }
  if (done < p.w.out) spread_any<T, Rule, true>(to, done, p.w.out, p);
}

// Output rows `begin` to `end` of one image. They own the rows of dx from the start of their first
// window to that of the next one after them, and write nothing else; earlier windows may extend
// into these rows.
template <class T, class Rule>
NNF_INLINE void pool_backward_image(T* dx, const T* dy, const T* winners, index_t begin,
                                    index_t end, const Inside& inside, const PoolParams& p) {
  const index_t row = p.w.in * p.channels, out_row = p.w.out * p.channels;
  const bool add = overlaps(p.h) || overlaps(p.w);
  const index_t own = band_begin(p.h, begin), own_end = band_begin(p.h, end);
  index_t o = begin;
  if (add) {
    fill_zero(dx + own * row, (own_end - own) * row);
    o -= (p.h.size - 1) / p.h.stride;
    if (o < 0) o = 0;
  }
  for (; o < end; ++o) {
    const Taps taps = taps_of(p.h, o);
    const index_t from = own > taps.begin ? own : taps.begin;
    const index_t to = own_end < taps.end ? own_end : taps.end;
    for (index_t at = from; at < to; ++at) {
      const SpreadRow<T> r = {dx + at * row, dy + o * out_row, winners + o * out_row,
                              at - taps.begin, taps.end - taps.begin};
      if (add) {
        add_row<T, Rule>(r, inside, p);
      } else {
        // Rows of dx to write, and of dy to read.
        const bool room =
            (own_end - 1 - at) * row >= Vec<T>::lanes && (end - 1 - o) * out_row >= Vec<T>::lanes;
        spread_row<T, Rule>(r, inside.with_room(room), p);
      }
    }
    const index_t band = add ? to : band_begin(p.h, o + 1);
    if (to < band) fill_zero(dx + to * row, (band - to) * row);
  }
}

template <class T, class Rule>
NNF_INLINE void pool_backward(T* dx, const T* dy, const T* winners, index_t first, index_t end,
                              const PoolParams& p) {
  const Inside inside = inside_of<T>(p.w, p.channels);
  const index_t in = p.h.in * p.w.in * p.channels, out = p.h.out * p.w.out * p.channels;
  for_each_image(first, end, p, [&](index_t image, index_t begin, index_t stop) {
    pool_backward_image<T, Rule>(dx + image * in, dy + image * out, winners + image * out, begin,
                                 stop, inside, p);
  });
}

// dx (N, H, W, C) from dy and the winners (N, OH, OW, C) of max_pool_forward: a window's dy goes to
// its winner, and contributions to an element are added in the order of their windows. dx must not
// overlap the others.
template <class T>
void max_pool_backward(T* dx, const T* dy, const T* winners, index_t first, index_t end,
                       const PoolParams& p) {
  pool_backward<T, AllToWinner<T>>(dx, dy, winners, first, end, p);
}

// dx (N, H, W, C) from dy (N, OH, OW, C): each element of a window receives dy (1 / count), added
// in the order of the windows. dx must not overlap dy.
template <class T>
void avg_pool_backward(T* dx, const T* dy, index_t first, index_t end, const PoolParams& p) {
  pool_backward<T, SameToAll<T>>(dx, dy, dy, first, end, p);
}
