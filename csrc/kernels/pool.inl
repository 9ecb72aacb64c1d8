// Pooling of images (N, H, W, C): the largest element or the mean of each window, channel by channel.
//
// A kernel does the output rows `first` to `end` of all N * OH. Padding never wins and is not counted:
// a window is what it sees of the image, at least one element. Elements of a window are taken row by
// row; a sum is a chain in that order.
//
// Where C is no multiple of the vector's lanes, the last vector of a pixel is written whole over the
// pixel after it, which comes later and puts its own there. Only the last pixels of a row need parts of
// vectors, so that six channels cost no masks.

// What a window sees along an axis.
struct Taps {
  index_t begin, end;
};

NNF_INLINE Taps taps_of(const PoolAxis& a, index_t o) {
  const index_t begin = o * a.stride - a.before, end = begin + a.size;
  return {begin < 0 ? 0 : begin, end < a.in ? end : a.in};
}

// The inputs up to the next window belong to window o; those before the first to that one.
NNF_INLINE index_t band_begin(const PoolAxis& a, index_t o) {
  if (o == 0) return 0;
  if (o == a.out) return a.in;
  const index_t begin = o * a.stride - a.before;
  return begin < 0 ? 0 : begin < a.in ? begin : a.in;
}

NNF_INLINE bool overlaps(const PoolAxis& a) { return a.stride < a.size && a.out > 1; }

// Windows [begin, end) lie inside of the row; those before `whole` may write whole vectors.
struct Inside {
  index_t begin, whole, end;
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

// The first of equals stays. A NaN stays only where it comes first. With a ReLU the floor is 0, which
// stands where a ReLU of each element would have put it; without, NaN: any number is as good.
template <class T>
struct Largest {
  static NNF_INLINE T parameter(index_t, bool relu) { return relu ? T(0) : MathConstants<T>::nan; }
  static NNF_INLINE Vec<T> start(Vec<T> v, T floor) { return max(broadcast<T>(floor), v); }
  static NNF_INLINE Vec<T> join(Vec<T> most, Vec<T> v) { return max(v, most); }
  static NNF_INLINE Vec<T> finish(Vec<T> most, T) { return most; }

  static constexpr bool kReadsInput = true;
  Vec<T> rest, most;
  NNF_INLINE Largest(Vec<T> dy, const T* y, int count, T floor) : most(load_n(y, count)) {
    rest = select(less_equal(most, broadcast<T>(floor)), zero<T>(), dy);
  }
  // dy for the element that won, if none has before.
  NNF_INLINE Vec<T> share(Vec<T> x) {
    const Mask<T> won = equal(x, most);
    const Vec<T> d = select(won, rest, zero<T>());
    rest = select(won, zero<T>(), rest);
    return d;
  }
};

template <class T>
struct Mean {
  static NNF_INLINE T parameter(index_t count, bool) { return T(1) / static_cast<T>(count); }
  static NNF_INLINE Vec<T> start(Vec<T> v, T) { return v; }
  static NNF_INLINE Vec<T> join(Vec<T> sum, Vec<T> v) { return sum + v; }
  static NNF_INLINE Vec<T> finish(Vec<T> sum, T share) { return sum * broadcast<T>(share); }

  static constexpr bool kReadsInput = false;
  Vec<T> part;
  NNF_INLINE Mean(Vec<T> dy, const T*, int, T share) : part(dy * broadcast<T>(share)) {}
  NNF_INLINE Vec<T> share(Vec<T>) { return part; }
};

// ---- forward ----------------------------------------------------------------------------------------

// VECTORS vectors of a window's output, from `rows` x `columns` taps.
template <class T, class Rule, int VECTORS>
NNF_INLINE void fold(T* y, const T* x, index_t row, index_t rows, index_t columns, index_t channels,
                     T parameter, int count) {
  constexpr int lanes = Vec<T>::lanes;
  Vec<T> v[VECTORS];
  for (int k = 0; k < VECTORS; ++k) v[k] = Rule::start(load_n(x + k * lanes, count), parameter);
  for (index_t i = 0; i < rows; ++i) {
    for (index_t j = i == 0 ? 1 : 0; j < columns; ++j) {
      const T* tap = x + i * row + j * channels;
      for (int k = 0; k < VECTORS; ++k) v[k] = Rule::join(v[k], load_n(tap + k * lanes, count));
    }
  }
  for (int k = 0; k < VECTORS; ++k) store_n(y + k * lanes, Rule::finish(v[k], parameter), count);
}

// Outputs `from` to `to` of a row. SIZE: windows of SIZE x SIZE that lie inside; 0: of any size.
template <class T, class Rule, int SIZE, bool WHOLE>
void fold_windows(T* y, const T* x, index_t rows, index_t from, index_t to, const PoolParams& p) {
  constexpr int lanes = Vec<T>::lanes;
  const index_t channels = p.channels, row = p.w.in * channels;
  for (index_t o = from; o < to; ++o) {
    Taps taps{o * p.w.stride - p.w.before, 0};
    if (SIZE == 0) taps = taps_of(p.w, o);
    const index_t height = SIZE ? SIZE : rows, width = SIZE ? SIZE : taps.end - taps.begin;
    const T parameter = Rule::parameter(height * width, p.relu);
    const T* window = x + taps.begin * channels;
    T* out = y + o * channels;
    index_t c = 0;
    if (SIZE == 0) {
      for (; c + 4 * lanes <= channels; c += 4 * lanes)
        fold<T, Rule, 4>(out + c, window + c, row, height, width, channels, parameter, lanes);
    }
    for (; c + lanes <= channels; c += lanes)
      fold<T, Rule, 1>(out + c, window + c, row, height, width, channels, parameter, lanes);
    if (c < channels) {
      const int count = WHOLE ? lanes : static_cast<int>(channels - c);
      fold<T, Rule, 1>(out + c, window + c, row, height, width, channels, parameter, count);
    }
  }
}

template <class T, class Rule, int SIZE>
NNF_INLINE void fold_row(T* y, const T* x, index_t rows, const Inside& inside,
                         const PoolParams& p) {
  fold_windows<T, Rule, 0, false>(y, x, rows, 0, inside.begin, p);
  fold_windows<T, Rule, SIZE, true>(y, x, rows, inside.begin, inside.whole, p);
  fold_windows<T, Rule, SIZE, false>(y, x, rows, inside.whole, inside.end, p);
  fold_windows<T, Rule, 0, false>(y, x, rows, inside.end, p.w.out, p);
}

template <class T, class Rule>
NNF_INLINE void pool_forward(T* y, const T* x, index_t first, index_t end, const PoolParams& p) {
  const Inside inside = inside_of<T>(p.w, p.channels);
  for (index_t r = first; r < end; ++r) {
    const Taps taps = taps_of(p.h, r % p.h.out);
    const index_t rows = taps.end - taps.begin;
    const T* from = x + (r / p.h.out * p.h.in + taps.begin) * p.w.in * p.channels;
    T* to = y + r * p.w.out * p.channels;
    if (rows == 2 && p.w.size == 2) {
      fold_row<T, Rule, 2>(to, from, rows, inside, p);
    } else if (rows == 3 && p.w.size == 3) {
      fold_row<T, Rule, 3>(to, from, rows, inside, p);
    } else {
      fold_row<T, Rule, 0>(to, from, rows, inside, p);
    }
  }
}

// y (N, OH, OW, C) = the largest of each window of x (N, H, W, C), or with relu 0 where that is
// below. y apart from x.
template <class T>
void max_pool_forward(T* y, const T* x, index_t first, index_t end, const PoolParams& p) {
  pool_forward<T, Largest<T>>(y, x, first, end, p);
}

// y (N, OH, OW, C) = the mean of each window of x (N, H, W, C): sum times (1 / count). y apart from x.
template <class T>
void avg_pool_forward(T* y, const T* x, index_t first, index_t end, const PoolParams& p) {
  pool_forward<T, Mean<T>>(y, x, first, end, p);
}

// ---- backward ---------------------------------------------------------------------------------------

// Rows of a window: `seen` of the image; those from `begin` to `end` are written.
struct WindowRows {
  index_t seen, begin, end;
};

// A vector's shares of dy over the taps, added (ADD) or written.
template <class T, class Rule, bool ADD>
NNF_INLINE void spread(T* dx, const T* dy, const T* x, const T* y, index_t row,
                       const WindowRows& rows, index_t columns, index_t channels, T parameter,
                       int count) {
  Rule rule(load_n(dy, count), y, count, parameter);
  for (index_t i = 0; i < rows.end; ++i) {
    for (index_t j = 0; j < columns; ++j) {
      const index_t at = i * row + j * channels;
      Vec<T> d = rule.share(Rule::kReadsInput ? load_n(x + at, count) : zero<T>());
      if (i < rows.begin) continue;
      if (ADD) d = load_n(dx + at, count) + d;
      store_n(dx + at, d, count);
    }
  }
}

// The windows `from` to `to` of a row, as in fold_windows. Unless they add, what lies between two of
// them becomes 0.
template <class T, class Rule, int SIZE, bool ADD, bool WHOLE>
void spread_windows(T* dx, const T* dy, const T* x, const T* y, const WindowRows& given,
                    index_t from, index_t to, const PoolParams& p) {
  constexpr int lanes = Vec<T>::lanes;
  const index_t channels = p.channels, row = p.w.in * channels, gap = p.w.stride - p.w.size;
  const index_t full = channels / lanes * lanes;
  WindowRows rows{SIZE, 0, SIZE};
  if (SIZE == 0) rows = given;
  for (index_t o = from; o < to; ++o) {
    Taps taps{o * p.w.stride - p.w.before, 0};
    if (SIZE == 0) taps = taps_of(p.w, o);
    const index_t columns = SIZE ? SIZE : taps.end - taps.begin;
    const T parameter = Rule::parameter(rows.seen * columns, p.relu);
    const index_t in = taps.begin * channels, out = o * channels;
    // First the vector that reaches into the next pixel, whose own come after it.
    if (full < channels) {
      const int count = WHOLE ? lanes : static_cast<int>(channels - full);
      spread<T, Rule, ADD>(dx + in + full, dy + out + full, x + in + full, y + out + full, row,
                           rows, columns, channels, parameter, count);
    }
    for (index_t c = 0; c < full; c += lanes) {
      spread<T, Rule, ADD>(dx + in + c, dy + out + c, x + in + c, y + out + c, row, rows, columns,
                           channels, parameter, lanes);
    }
    if (!ADD && gap > 0 && o + 1 < p.w.out) {
      for (index_t i = 0; i < rows.end; ++i)
        fill_zero(dx + i * row + in + columns * channels, gap * channels);
    }
  }
}

// A row of windows that share nothing: every element of its band of dx is written once.
template <class T, class Rule>
NNF_INLINE void spread_row(T* dx, const T* dy, const T* x, const T* y, index_t band,
                           const WindowRows& rows, const Inside& inside, const PoolParams& p) {
  const index_t row = p.w.in * p.channels;
  spread_windows<T, Rule, 0, false, false>(dx, dy, x, y, rows, 0, inside.begin, p);
  index_t done = inside.begin;
  if (rows.end == 2 && p.w.size == 2) {
    spread_windows<T, Rule, 2, false, true>(dx, dy, x, y, rows, done, inside.whole, p);
    spread_windows<T, Rule, 2, false, false>(dx, dy, x, y, rows, inside.whole, inside.end, p);
    done = inside.end;
  }
  spread_windows<T, Rule, 0, false, false>(dx, dy, x, y, rows, done, p.w.out, p);
  const index_t covered = taps_of(p.w, p.w.out - 1).end * p.channels;
  for (index_t i = 0; i < rows.end; ++i) fill_zero(dx + i * row + covered, row - covered);
  fill_zero(dx + rows.end * row, (band - rows.end) * row);
}

// A row of windows that share elements with their neighbours: they add.
template <class T, class Rule>
NNF_INLINE void add_row(T* dx, const T* dy, const T* x, const T* y, const WindowRows& rows,
                        const Inside& inside, const PoolParams& p) {
  index_t done = 0;
  if (rows.begin == 0 && rows.end == 3 && p.w.size == 3) {
    spread_windows<T, Rule, 0, true, false>(dx, dy, x, y, rows, 0, inside.begin, p);
    spread_windows<T, Rule, 3, true, false>(dx, dy, x, y, rows, inside.begin, inside.end, p);
    done = inside.end;
  }
  spread_windows<T, Rule, 0, true, false>(dx, dy, x, y, rows, done, p.w.out, p);
}

// Output rows `begin` to `end` of one image. They own the rows of dx from their first window's start
// to the next one's after them, and write nothing else; windows before them may reach into these.
template <class T, class Rule>
NNF_INLINE void pool_backward_image(T* dx, const T* dy, const T* x, const T* y, index_t begin,
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
    WindowRows rows{taps.end - taps.begin, own > taps.begin ? own - taps.begin : 0, 0};
    rows.end = (own_end < taps.end ? own_end : taps.end) - taps.begin;
    if (rows.begin >= rows.end) continue;
    const index_t in = taps.begin * row, out = o * out_row;
    if (add) {
      add_row<T, Rule>(dx + in, dy + out, x + in, y + out, rows, inside, p);
    } else {
      const index_t band = band_begin(p.h, o + 1) - taps.begin;
      spread_row<T, Rule>(dx + in, dy + out, x + in, y + out, band, rows, inside, p);
    }
  }
}

template <class T, class Rule>
NNF_INLINE void pool_backward(T* dx, const T* dy, const T* x, const T* y, index_t first,
                              index_t end, const PoolParams& p) {
  const Inside inside = inside_of<T>(p.w, p.channels);
  const index_t in = p.h.in * p.w.in * p.channels, out = p.h.out * p.w.out * p.channels;
  while (first < end) {
    const index_t image = first / p.h.out, start = image * p.h.out;
    const index_t stop = end < start + p.h.out ? end : start + p.h.out;
    pool_backward_image<T, Rule>(dx + image * in, dy + image * out, x + image * in, y + image * out,
                                 first - start, stop - start, inside, p);
    first = stop;
  }
}

// dx (N, H, W, C) from dy, y (N, OH, OW, C) and x: a window's dy goes to the first of its elements that
// equals y, and shares of an element add up in the order of their windows; with relu nothing goes where
// y is 0. dx apart from the others.
template <class T>
void max_pool_backward(T* dx, const T* dy, const T* x, const T* y, index_t first, index_t end,
                       const PoolParams& p) {
  pool_backward<T, Largest<T>>(dx, dy, x, y, first, end, p);
}

// dx (N, H, W, C) from dy (N, OH, OW, C): each element of a window gets dy (1 / count), added up in the
// order of the windows. dx apart from dy.
template <class T>
void avg_pool_backward(T* dx, const T* dy, index_t first, index_t end, const PoolParams& p) {
  pool_backward<T, Mean<T>>(dx, dy, dy, dy, first, end, p);
}
