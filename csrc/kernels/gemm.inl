// Matrix product. Every element of C is one chain of fma over k in ascending order, so its bits do
// not depend on tile, panel or vector width.

// The check of all_moderate(). On registers it costs a few operations; a separate pass over C took
// a twelfth of a training step of 784-128-10. Lanes past n are 0 times A.
template <class T, int ROWS, int VECTORS>
NNF_INLINE bool tile_is_moderate(const Vec<T> (&sum)[ROWS][VECTORS]) {
  const Vec<T> scale = broadcast<T>(MathConstants<T>::moderate);
  Vec<T> total = zero<T>();
  NNF_UNROLL for (int v = 0; v < VECTORS; ++v) {
    Vec<T> column = zero<T>();  // independent chains
    NNF_UNROLL for (int r = 0; r < ROWS; ++r) column = fma(sum[r][v], scale, column);
    total = total + column;
  }
  return !any(is_nan(total * zero<T>()));
}

// Initial values of the chains.
template <class T, int ROWS, int VECTORS, class Load>
NNF_INLINE void start_tile(Vec<T> (&sum)[ROWS][VECTORS], const GemmPanel<T>& p, const T* c,
                           Load load_columns) {
  if (p.start == GemmStart::output) {
    NNF_UNROLL for (int r = 0; r < ROWS; ++r) {
      NNF_UNROLL for (int v = 0; v < VECTORS; ++v) sum[r][v] = load_columns(c + r * p.c_row, v);
    }
    return;
  }
  NNF_UNROLL for (int v = 0; v < VECTORS; ++v) {
    const Vec<T> first = p.start == GemmStart::bias ? load_columns(p.bias, v) : zero<T>();
    NNF_UNROLL for (int r = 0; r < ROWS; ++r) sum[r][v] = forget_origin(first);
  }
}

// Output of the sums if they are added to C.
template <class T, int ROWS, int VECTORS, class Load>
NNF_INLINE void add_tile(Vec<T> (&sum)[ROWS][VECTORS], const T* c, index_t c_row,
                         Load load_columns) {
  NNF_UNROLL for (int r = 0; r < ROWS; ++r) {
    NNF_UNROLL for (int v = 0; v < VECTORS; ++v) sum[r][v] =
        load_columns(c + r * c_row, v) + sum[r][v];
  }
}

// Output of the sums if they are scaled.
template <class T, int ROWS, int VECTORS, class Load>
NNF_INLINE void scale_tile(Vec<T> (&sum)[ROWS][VECTORS], const ColumnScale<T>& p,
                           Load load_columns) {
  NNF_UNROLL for (int v = 0; v < VECTORS; ++v) {
    const Vec<T> center = load_columns(p.center, v);
    const Vec<T> scale = load_columns(p.scale, v), shift = load_columns(p.shift, v);
    NNF_UNROLL for (int r = 0; r < ROWS; ++r) sum[r][v] = fma(sum[r][v] - center, scale, shift);
  }
}

template <class T, int ROWS, int VECTORS, class Load>
NNF_INLINE void finish_tile(Vec<T> (&sum)[ROWS][VECTORS], const GemmPanel<T>& p, const T* c,
                            Load load_columns) {
  if (p.start == GemmStart::added) add_tile<T, ROWS, VECTORS>(sum, c, p.c_row, load_columns);
  if (p.scaled.scale) scale_tile<T, ROWS, VECTORS>(sum, p.scaled, load_columns);
}

// A chain of at least this length hides the prefetch of a tile's part of C: 512^3 took 2361 us
// instead of 2434 (AVX-512, Zen 4). For shorter ones the prefetch does not pay.
constexpr index_t kPrefetchDepth = 64;

template <class T, int ROWS, int VECTORS>
NNF_INLINE void prefetch_tile(const T* c, index_t c_row) {
  NNF_UNROLL for (int r = 0; r < ROWS; ++r) {
    NNF_UNROLL for (int v = 0; v < VECTORS; ++v) {
      prefetch_for_writing(c + r * c_row + v * Vec<T>::lanes);
    }
  }
}

// The hardware prefetcher does not recognize rows of B that are far apart. If B does not fit in the
// L2 cache, the first tile of a panel waited for each of them: predictions of 784-512-512-10 for
// 128 rows took 1.62 ms, and now 1.54 (AVX-512, Zen 4).
constexpr index_t kRowsAhead = 8;

template <class T, int VECTORS>
NNF_INLINE void prefetch_row(const T* b) {
  NNF_UNROLL for (int v = 0; v < VECTORS; ++v) {
    constexpr size_t size = Vec<T>::lanes * sizeof(T);
    if (static_cast<size_t>(v) * size % 64 == 0) prefetch_for_reading(b + v * Vec<T>::lanes);
  }
}

// What a tile does with a row of B besides multiplying: it prefetches the row `ahead` and, if
// PACKS, copies this one. Returns the destination of the next one. Packing a panel in a separate
// pass took a tenth of 128x512x784; here it is hidden behind the fma: 1.07 to 1.11 times as fast,
// 512^3 and 1024^3 1.05 times (AVX2, Zen 3).
template <bool PACKS, class T, int VECTORS>
NNF_INLINE T* pass_row(const T* ahead, T* packed, const Vec<T> (&row)[VECTORS]) {
  if constexpr (VECTORS >= 4 || PACKS) prefetch_row<T, VECTORS>(ahead);
  if constexpr (!PACKS) return packed;
  NNF_UNROLL for (int v = 0; v < VECTORS; ++v) store(packed + v * Vec<T>::lanes, row[v]);
  return packed + VECTORS * Vec<T>::lanes;
}

// How a tile reads A: elements with any strides, or several steps of k per iteration, along rows of
// A (a_k = 1) or across them (a_row = 1). This leaves fewer instructions beside the fma: with AVX2
// 10 per 12 fma instead of 15. It matters if two threads share a core, so that each issues three
// per cycle: 12 per 12 were 1.1 to 1.15 times as fast there (Zen 3), and 10 another 1.01 to 1.07
// times; without sharing there was almost no difference.
enum class Walk { any, along_rows, across_rows };

template <bool SPREAD, int STEPS, class T, int VECTORS>
NNF_INLINE void add_row(Vec<T> (&sum)[VECTORS], const T* a, const Vec<T> (&b)[VECTORS]) {
  if constexpr (STEPS > 1) return add_multiple(sum, a, b);
  const Vec<T> factor = SPREAD ? load(a) : broadcast<T>(*a);
  NNF_UNROLL for (int v = 0; v < VECTORS; ++v) sum[v] = fma(factor, b[v], sum[v]);
}

template <class T>
struct StoreVector {
  NNF_INLINE void operator()(T* to, Vec<T> y) const { store(to, y); }
};
template <class T>
struct StreamVector {
  NNF_INLINE void operator()(T* to, Vec<T> y) const { stream(to, y); }
};

// Number of elements that a tile may write from the start of its first row. If C has no other
// columns, a whole vector may run over the end of a row, which the rows below overwrite.
template <class T, int ROWS, bool PARTIAL>
NNF_INLINE index_t writable_numbers(const GemmPanel<T>& p) {
  return PARTIAL && p.c_row == p.n ? (ROWS - 1) * p.c_row + p.n : p.n;
}

// A tile of ROWS x VECTORS sums in registers. PARTIAL: the last vector has fewer columns. SPREAD:
// each element of A is a vector, with one number per column. STEPS of k, which must divide it, are
// unrolled. PACKS: it copies B to p.packed. Returns false if the check is requested and not all
// results are moderate. GCC 12 keeps the sums in registers only if all code that uses them is in
// the tile itself: with the loops or the output in separate functions, tiles were a twentieth to a
// half slower.
template <class T, int ROWS, int VECTORS, bool PARTIAL, bool SPREAD = false, Walk WALK = Walk::any,
          int STEPS = 1, bool PACKS = false>
NNF_OUTLINE bool gemm_tile(const GemmPanel<T>& p, index_t row) {
  constexpr int lanes = Vec<T>::lanes;
  const int tail = static_cast<int>(p.n) - (VECTORS - 1) * lanes;
  const T* NNF_RESTRICT b = p.b;
  const index_t c_row = p.c_row;
  T *NNF_RESTRICT packed = p.packed, *NNF_RESTRICT c = p.c + row * c_row;
  const auto load_columns = [tail](const T* from, int v) NNF_INLINE_LAMBDA {
    return PARTIAL && v == VECTORS - 1 ? load_partial(from + v * lanes, tail)
                                       : load(from + v * lanes);
  };

  Vec<T> sum[ROWS][VECTORS];
  start_tile<T, ROWS, VECTORS>(sum, p, c, load_columns);

  // Rows share pointers: one for each of many rows would exceed the registers.
  constexpr bool along = WALK == Walk::along_rows, across = WALK == Walk::across_rows;
  constexpr int share = along ? 1 : across ? ROWS : 4, pointers = (ROWS + share - 1) / share;
  const index_t a_row = across ? 1 : p.a_row, a_k = along ? 1 : p.a_k, b_k = p.b_k, k = p.k;
  const T* a[pointers] = {};
  index_t at = 0;  // along rows: the step of k, shared by the pointers of all rows
  const auto multiply = [&]() NNF_INLINE_LAMBDA {
    NNF_UNROLL for (int step = 0; step < STEPS; ++step) {
      Vec<T> column[VECTORS];
      NNF_UNROLL for (int v = 0; v < VECTORS; ++v) column[v] = load_columns(b, v);
      packed = pass_row<PACKS, T, VECTORS>(b + kRowsAhead * b_k, packed, column);
      NNF_UNROLL for (int r = 0; r < ROWS; ++r) {
        const T* from = a[r / share] + r % share * a_row + (along ? at + step : 0);
        add_row<SPREAD, STEPS>(sum[r], from, column);
      }
      b += b_k;
      if (STEPS > 1) NNF_IN_REGISTER(b);
      if (along) continue;
      NNF_UNROLL for (int q = 0; q < pointers; ++q) {
        a[q] += a_k;
        NNF_IN_REGISTER(a[q]);
      }
    }
    if (along) NNF_IN_REGISTER(at);
    at += along ? STEPS : 0;
  };
  if (p.k >= kPrefetchDepth && !p.streams) prefetch_tile<T, ROWS, VECTORS>(c, c_row);
  // Loops known to run at least once keep the sums in registers.
  if (p.outer * p.inner * p.k > 0) {
    const T* line = p.a + row * a_row;
    index_t i = p.outer;
    do {
      const T* run = line;
      index_t j = p.inner;
      do {
        NNF_UNROLL for (int q = 0; q < pointers; ++q) a[q] = run + share * q * a_row;
        at = 0;
        index_t turns = p.k / STEPS;
        do {
          multiply();
        } while (along ? at != k : --turns != 0);
        run += p.a_inner;
      } while (--j != 0);
      line += p.a_outer;
    } while (--i != 0);
  }

  finish_tile<T, ROWS, VECTORS>(sum, p, c, load_columns);
  const Vec<T> lower = broadcast<T>(p.relu ? T(0) : -MathConstants<T>::infinity);
  index_t room = writable_numbers<T, ROWS, PARTIAL>(p);
  const auto write = [&](auto put) NNF_INLINE_LAMBDA {
    NNF_UNROLL for (int r = 0; r < ROWS; ++r) {
      NNF_UNROLL for (int v = 0; v < VECTORS; ++v) {
        const Vec<T> y = max(lower, sum[r][v]);
        const bool part = PARTIAL && v == VECTORS - 1 && room < VECTORS * lanes;
        part ? store_partial(c + v * lanes, y, tail) : put(c + v * lanes, y);
      }
      c += c_row, room -= c_row;
      NNF_IN_REGISTER(c);
    }
  };
  // Only whole panels use non-temporal stores: the edge of a large C is a small part of it.
  constexpr bool is_whole = VECTORS == kGemmVectors && !PARTIAL;
  is_whole&& p.streams ? write(StreamVector<T>()) : write(StoreVector<T>());
  return !p.check || tile_is_moderate<T, ROWS, VECTORS>(sum);
}

template <class T, int ROWS, int VECTORS, bool PARTIAL, Walk WALK, int STEPS>
NNF_INLINE bool gemm_rows_dispatch(const GemmPanel<T>& p, index_t row, index_t rows) {
  if constexpr (ROWS >= 1) {
    return rows == ROWS
               ? gemm_tile<T, ROWS, VECTORS, PARTIAL, false, WALK, STEPS>(p, row)
               : gemm_rows_dispatch<T, ROWS - 1, VECTORS, PARTIAL, WALK, STEPS>(p, row, rows);
  }
  return true;
}

// Rows of a panel from `row` on, in tiles of nearly equal height: 32 rows become 6 6 5 5 5 5,
// because a remaining tile of 2 would wait for the latency of its few sums.
template <class T, int VECTORS, bool PARTIAL, Walk WALK, int STEPS>
bool gemm_rows_from(const GemmPanel<T>& p, index_t row) {
  constexpr int tile_rows = gemm_rows(VECTORS);
  const index_t tiles = (p.m - row + tile_rows - 1) / tile_rows;
  bool moderate = true;
  for (index_t tile = 0; tile < tiles; ++tile) {
    const index_t rows = (p.m - row) / (tiles - tile);
    moderate &= gemm_rows_dispatch<T, tile_rows, VECTORS, PARTIAL, WALK, STEPS>(p, row, rows);
    row += rows;
  }
  return moderate;
}

template <class T, int VECTORS, bool PARTIAL, Walk WALK = Walk::any, int STEPS = 1>
bool gemm_panel_of(const GemmPanel<T>& p) {
  if constexpr (VECTORS == kGemmVectors && !PARTIAL) {
    if (p.packed) {
      constexpr int tile_rows = gemm_rows(VECTORS);
      const bool moderate = gemm_tile<T, tile_rows, VECTORS, false, false, WALK, STEPS, true>(p, 0);
      GemmPanel<T> rest = p;
      rest.b = p.packed;
      rest.b_k = VECTORS * Vec<T>::lanes;
      return gemm_rows_from<T, VECTORS, false, WALK, STEPS>(rest, tile_rows) && moderate;
    }
  }
  return gemm_rows_from<T, VECTORS, PARTIAL, WALK, STEPS>(p, 0);
}

template <class T, int VECTORS>
NNF_INLINE bool gemm_whole_panel(const GemmPanel<T>& p) {
  if constexpr (kGemmUnrolls && VECTORS == kGemmVectors) {
    constexpr int steps = 4;
    if (p.k >= 2 * steps && p.k % steps == 0) {
      if (p.a_k == 1) return gemm_panel_of<T, VECTORS, false, Walk::along_rows, steps>(p);
      if (p.a_row == 1) return gemm_panel_of<T, VECTORS, false, Walk::across_rows, steps>(p);
    }
    if (p.k >= 3 && p.k % 3 == 0 && p.a_k == 1)
      return gemm_panel_of<T, VECTORS, false, Walk::along_rows, 3>(p);
  }
  return gemm_panel_of<T, VECTORS, false>(p);
}

template <class T, int VECTORS>
NNF_INLINE bool gemm_panel_dispatch(const GemmPanel<T>& p, int vectors) {
  if constexpr (VECTORS >= 1) {
    if (vectors != VECTORS) return gemm_panel_dispatch<T, VECTORS - 1>(p, vectors);
    const bool whole = p.n == VECTORS * Vec<T>::lanes;
    return whole ? gemm_whole_panel<T, VECTORS>(p) : gemm_panel_of<T, VECTORS, true>(p);
  }
  return true;
}

// C (M, n) = start + A (M, K) B (K, n), then scaled and max(0, .) if requested. C must not overlap
// A or B. Returns false if the check is requested and C before max(0, .) is not all moderate:
// ops/reduce.h.
template <class T>
bool gemm_panel(const GemmPanel<T>& p) {
  const int vectors = static_cast<int>((p.n + Vec<T>::lanes - 1) / Vec<T>::lanes);
  const bool moderate = gemm_panel_dispatch<T, kGemmVectors>(p, vectors);
  if (p.streams) finish_streams();
  return moderate;
}

template <class T, int ROWS>
NNF_INLINE void spread_rows_dispatch(const GemmPanel<T>& p, index_t row, index_t rows) {
  if constexpr (ROWS >= 1) {
    if (rows != ROWS) return spread_rows_dispatch<T, ROWS - 1>(p, row, rows);
    gemm_tile<T, ROWS, 1, false, true>(p, row);
  }
}

// Likewise with n = lanes, for an A whose elements are vectors.
template <class T>
void gemm_spread(const GemmPanel<T>& p) {
  constexpr int tile_rows = gemm_rows(1);
  const index_t tiles = (p.m + tile_rows - 1) / tile_rows;
  index_t row = 0;
  for (index_t tile = 0; tile < tiles; ++tile) {
    const index_t rows = (p.m - row) / (tiles - tile);
    spread_rows_dispatch<T, tile_rows>(p, row, rows);
    row += rows;
  }
}

template <class T, int VECTORS, bool PARTIAL>
NNF_INLINE void gemv_columns(const Gemv<T>& p, index_t column) {
  constexpr int lanes = Vec<T>::lanes;
  const int tail = static_cast<int>(p.n - column) - (VECTORS - 1) * lanes;
  const auto load_columns = [tail](const T* from, int v) {
    return PARTIAL && v == VECTORS - 1 ? load_partial(from + v * lanes, tail)
                                       : load(from + v * lanes);
  };
  Vec<T> sum[VECTORS];
#pragma GCC unroll 8
  for (int v = 0; v < VECTORS; ++v) {
    sum[v] = p.start == GemmStart::bias     ? load_columns(p.bias + column, v)
             : p.start == GemmStart::output ? load_columns(p.y + column, v)
                                            : zero<T>();
  }
  const T* NNF_RESTRICT x = p.x;
  const T* NNF_RESTRICT b = p.b + column;
  for (index_t k = 0; k < p.k; ++k) {
    const Vec<T> factor = broadcast<T>(*x);
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; ++v) sum[v] = fma(factor, load_columns(b, v), sum[v]);
    x += p.x_k;
    b += p.b_k;
  }
#pragma GCC unroll 8
  for (int v = 0; v < VECTORS; ++v) {
    T* to = p.y + column + v * lanes;
    if (p.start == GemmStart::added) sum[v] = load_columns(p.y + column, v) + sum[v];
    if (PARTIAL && v == VECTORS - 1) {
      store_partial(to, sum[v], tail);
    } else {
      store(to, sum[v]);
    }
  }
}

// y (n) = start + x (K) B (K, n): eight vectors of columns at a time, enough sums to hide the
// latency of fma. If all rows of B are misaligned by the same amount, a first partial vector aligns
// the others. y must not overlap x or B.
template <class T>
void gemv(const Gemv<T>& p) {
  constexpr int lanes = Vec<T>::lanes;
  constexpr size_t bytes = lanes * sizeof(T);
  const size_t past = reinterpret_cast<uintptr_t>(p.b) % bytes;
  index_t column = 0;
  if (past != 0 && p.n >= 8 * lanes && static_cast<size_t>(p.b_k) * sizeof(T) % bytes == 0) {
    Gemv<T> head = p;
    head.n = static_cast<index_t>((bytes - past) / sizeof(T));
    gemv_columns<T, 1, true>(head, 0);
    column = head.n;
  }
  for (; column + 8 * lanes <= p.n; column += 8 * lanes) gemv_columns<T, 8, false>(p, column);
  if (column + 4 * lanes <= p.n) {
    gemv_columns<T, 4, false>(p, column);
    column += 4 * lanes;
  }
  if (column + 2 * lanes <= p.n) {
    gemv_columns<T, 2, false>(p, column);
    column += 2 * lanes;
  }
  if (column + lanes <= p.n) {
    gemv_columns<T, 1, false>(p, column);
    column += lanes;
  }
  if (column < p.n) gemv_columns<T, 1, true>(p, column);
}

// dst[j * dst_row + i] = src[i * src_row + j] for i < rows, j < columns; zeros for rows <= i < width.
template <class T>
NNF_INLINE void transpose_part(T* dst, index_t dst_row, const T* src, index_t src_row, int rows,
                               int columns, int width) {
  constexpr int lanes = Vec<T>::lanes;
  T square[lanes * lanes], turned[lanes * lanes];
  for (int i = 0; i < lanes; ++i) {
    store(square + i * lanes, i < rows ? load_n(src + i * src_row, columns) : zero<T>());
  }
  transpose_square(turned, lanes, square, lanes);
  for (int j = 0; j < columns; ++j) {
    store_n(dst + j * dst_row, load(turned + j * lanes), width);
  }
}

// out[k * width + j] = b[k * b_k + j * b_n] for j < n, 0 for n <= j < width. One of b_k, b_n is 1.
template <class T>
void pack_panel(const PackPanel<T>& p) {
  constexpr int lanes = Vec<T>::lanes;
  const auto at_most_lanes = [](index_t n) { return n < lanes ? static_cast<int>(n) : lanes; };
  if (p.b_n == 1) {
    // Whole vectors separately: a panel of 512 x 64 took 7.3 us instead of 8.1.
    const index_t whole = p.n / lanes * lanes;
    for (index_t k = 0; k < p.k; ++k) {
      const T* from = p.b + k * p.b_k;
      T* to = p.out + k * p.width;
      for (index_t j = 0; j < whole; j += lanes) store(to + j, load(from + j));
      for (index_t j = whole; j < p.width; j += lanes) {
        const int left = j < p.n ? static_cast<int>(p.n - j) : 0;
        store_n(to + j, load_partial(from + j, left), at_most_lanes(p.width - j));
      }
    }
    return;
  }
  for (index_t j = 0; j < p.width; j += lanes) {
    const int rows = j < p.n ? at_most_lanes(p.n - j) : 0, width = at_most_lanes(p.width - j);
    for (index_t k = 0; k < p.k; k += lanes) {
      const int columns = at_most_lanes(p.k - k);
      T* to = p.out + k * p.width + j;
      const T* from = p.b + k * p.b_k + j * p.b_n;
      if (rows == lanes && columns == lanes) {
        transpose_square(to, p.width, from, p.b_n);
      } else {
        transpose_part(to, p.width, from, p.b_n, rows, columns, width);
      }
    }
  }
}
