#include "ops/gemm/gemm.h"

#include <algorithm>
#include <atomic>

#include "base/interrupt.h"
#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/activation.h"
#include "ops/reduce.h"

namespace nnfast {
namespace {

// Block sizes: steps of k, and rows and elements of A, that a pass keeps in the L2 cache while
// panels of B go by. Narrow panels read A more often, so it should fit better: with AVX2 on Zen 3,
// 1024^3 took 1.09 times as long with 768 rows. If many rows use a narrow panel, the traffic of C
// through the caches dominates, and a deeper block saves one pass: 1024^3 1.04 and 784^3 1.09 times
// as fast, but 128x512x1024 0.95 times.
constexpr index_t kDepthBlock = 512, kDeeperBlock = 1024;
constexpr index_t kRowsForDeeper = 512;
constexpr size_t kNarrow = 64;  // bytes of a panel's row
constexpr index_t kMaxRows = 768;
constexpr index_t kNumbersPerColumn = 12 * kDepthBlock;
// Columns of B whose packed panels are kept for the next block of rows.
constexpr index_t kColumnBlock = 1024;
// Vectors of columns computed at a time by a product with one row.
constexpr index_t kRowVectors = 8;
// C is computed transposed only if it fits in the L2 cache.
constexpr index_t kMaxTurned = 64 * 1024;
// A core does about this many operations per nanosecond.
constexpr double kOperationsPerUnit = 100;

// Bytes: rows this far apart compete for the same sets of the L1 cache.
constexpr size_t kRowsThatCompete = 2048, kFirstLevel = 32 * 1024;
// Number of panels of B from which on copying a block of A's rows pays.
constexpr index_t kPanelsThatPayForRows = 12;

// A panel of B is copied if this many rows of A use the copy. Vectors that straddle cache lines
// cost a fifth of the speed when they come from the L2 cache, so copying pays early for them; and
// if the copy stays in the L1 cache, even earlier for rows that compete for cache sets: 256^3 went
// from 86 to 98 GFLOP/s of 104 (AVX2, Zen 3).
template <class T>
index_t rows_that_pay_for_packing(const T* b, index_t b_k, index_t width, index_t depth) {
  const size_t row = static_cast<size_t>(b_k) * sizeof(T);
  const bool aligned = reinterpret_cast<uintptr_t>(b) % 64 == 0 && row % 64 == 0;
  if (aligned && b_k == width) return PTRDIFF_MAX;
  const bool fits = static_cast<size_t>(width * depth) * sizeof(T) <= kFirstLevel;
  if (!aligned) return 24;
  if (!fits) return 400;
  return row % kRowsThatCompete == 0 ? 48 : 96;
}

template <class T>
double cost(const Gemm<T>& p) {
  return 2.0 * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k) *
         (sizeof(T) / 4.0) / kOperationsPerUnit;
}

template <class T>
bool is_tiled(const Gemm<T>& p) {
  return p.tiled && (p.k > kTiledDepth || p.accumulate);
}

template <class T>
GemmStart start_of(const Gemm<T>& p) {
  if (p.accumulate) return is_tiled(p) ? GemmStart::added : GemmStart::output;
  return p.bias ? GemmStart::bias : GemmStart::zero;
}

// The same after previous steps of k.
template <class T>
GemmStart start_of_more(const Gemm<T>& p) {
  return is_tiled(p) ? GemmStart::added : GemmStart::output;
}

// Rows [row, row + rows) of the panel of columns [column, column + columns).
struct Region {
  index_t row, rows, column, columns;
};

template <class T>
index_t most_depth(const Gemm<T>& p) {
  if (is_tiled(p)) return kTiledDepth;
  const bool narrow = static_cast<size_t>(kernels<T>().gemm_columns) * sizeof(T) <= kNarrow;
  return narrow && p.m >= kRowsForDeeper ? kDeeperBlock : kDepthBlock;
}

// A C too large for any cache is written by non-temporal stores, so that its memory need not be
// read first, if it is finished in one pass. 1x1 64-256@28, 26 MB for 32 images, took 7.8 ms
// instead of 8.4, and with a convolution that reads it 16.3 instead of 16.8 (Zen 4).
template <class T>
bool streams(const Gemm<T>& p) {
  constexpr size_t kBytesPastCaches = 16 << 20;
  const bool activated_in_registers =
      p.activation.kind == Activation::identity || p.activation.kind == Activation::relu;
  return p.k <= most_depth(p) && !p.accumulate && activated_in_registers &&
         static_cast<size_t>(p.m * p.n) * sizeof(T) > kBytesPastCaches &&
         reinterpret_cast<uintptr_t>(p.c) % 64 == 0 &&
         static_cast<size_t>(p.c_row) * sizeof(T) % 64 == 0;
}

// Steps [k, k + depth) of the columns of a panel of B, as read by a product.
template <class T>
struct Panel {
  const T* b;
  index_t b_k;
  T* packed = nullptr;  // destination of a copy by the product
};

// Scratch memory for packed rows and panels: total size, and the offset of the thread's own part.
// It belongs to the thread, so it is requested only if something is packed.
struct Slot {
  index_t size, at;
};

// Steps [k, k + depth) of a block of rows of A, as read by a product.
template <class T>
struct RowBlock {
  const T* a;
  index_t a_row, a_k;
};

// Along columns of A, a tile uses only part of a cache line of each step's row. If these rows
// compete for cache sets, a block of them is copied for the panels that read it: 512x512x128 took
// 1.1 times as long (AVX2, Zen 3).
template <class T>
bool packing_rows_pays(const Gemm<T>& p, index_t panels) {
  return p.a_row == 1 && panels >= kPanelsThatPayForRows &&
         static_cast<size_t>(p.a_k) * sizeof(T) % kRowsThatCompete == 0;
}

// Stride between the rows of a copy: an odd number of lines, so that they spread over all sets.
template <class T>
index_t packed_row(index_t rows) {
  constexpr index_t line = 64 / sizeof(T);
  return ((rows + line - 1) / line | 1) * line;
}

// Elements of a copy of rows of A: along rows if they come from a source, else across them.
template <class T>
index_t packed_block(const Gemm<T>& p, index_t rows, index_t depth) {
  return p.source ? rows * packed_row<T>(depth) : depth * packed_row<T>(rows);
}

template <class T>
RowBlock<T> rows_of(const Gemm<T>& p, index_t row, index_t rows, index_t k, index_t depth,
                    const Slot& slot, bool packs) {
  if (p.source) {
    T* copied = scratch_of<T>(slot.size) + slot.at;
    const index_t width = packed_row<T>(depth);
    p.source->copy(copied, width, row, rows, k, depth);
    return {copied, width, 1};
  }
  const T* a = p.a + row * p.a_row + k * p.a_k;
  if (!packs) return {a, p.a_row, p.a_k};
  T* packed = scratch_of<T>(slot.size) + slot.at;
  const index_t width = packed_row<T>(rows);
  kernels<T>().pack_panel({packed, width, a, p.a_k, 1, depth, rows});
  return {packed, 1, width};
}

// `rows` of A use it. Packed, where that pays and is not done yet.
template <class T>
Panel<T> panel_of(const Gemm<T>& p, const Region& region, index_t k, index_t depth, index_t rows,
                  const Slot& slot, bool packed_before) {
  const Kernels<T>& table = kernels<T>();
  const T* b = p.b + k * p.b_k + region.column * p.b_n;
  const bool whole_vectors = region.columns % table.lanes == 0;
  const bool readable = p.b_n == 1 && (whole_vectors || table.partial_loads_are_cheap);
  if (readable && rows < rows_that_pay_for_packing(b, p.b_k, table.gemm_columns, depth))
    return {b, p.b_k};
  const index_t width = table.padded(region.columns);
  T* packed = scratch_of<T>(slot.size) + slot.at;
  // The first tile of a whole panel copies what it reads anyway.
  const bool packs_on_the_way = p.b_n == 1 && region.columns == table.gemm_columns &&
                                region.rows >= table.gemm_rows && !packed_before;
  if (packs_on_the_way) return {b, p.b_k, packed};
  if (!packed_before) table.pack_panel({packed, width, b, p.b_k, p.b_n, depth, region.columns});
  return {packed, width};
}

template <class T>
bool run_region(const Gemm<T>& p, const Region& region, index_t k, index_t depth,
                const RowBlock<T>& block, const Panel<T>& from) {
  const bool first = k == 0, last = k + depth == p.k;
  GemmPanel<T> panel{};
  panel.a = block.a;
  panel.a_row = block.a_row;
  panel.a_k = block.a_k;
  panel.outer = panel.inner = 1;
  panel.b = from.b;
  panel.b_k = from.b_k;
  panel.packed = from.packed;
  panel.c = p.c + region.row * p.c_row + region.column;
  panel.c_row = p.c_row;
  panel.bias = p.bias ? p.bias + region.column : nullptr;
  panel.m = region.rows;
  panel.n = region.columns;
  panel.k = depth;
  panel.start = first ? start_of(p) : start_of_more(p);
  panel.scaled = last ? from_column(p.scaled, region.column) : ColumnScale<T>{};
  panel.relu = last && p.activation.kind == Activation::relu;
  panel.check = last && p.check;
  panel.streams = streams(p);
  const bool moderate = kernels<T>().gemm_panel(panel);
  if (last) activate_rows(panel.c, panel.m, panel.c_row, panel.n, p.activation);
  return moderate;
}

// The size of the smallest number of equal blocks (up to rounding to whole units) of at most
// `limit` that make up n.
index_t block_of(index_t n, index_t limit, index_t unit) {
  const index_t count = std::max(index_t(1), (n + limit - 1) / limit);
  return ((n + count - 1) / count + unit - 1) / unit * unit;
}

// A part of C in blocks of columns, depth and rows, and panels of columns. If K is 0, there is
// still one block of depth, which writes the initial values of the chains.
template <class T>
bool run_part(const Gemm<T>& p, const Region& part) {
  const index_t width = kernels<T>().gemm_columns, tile = kernels<T>().gemm_rows;
  const index_t depth = std::max(index_t(1), block_of(p.k, most_depth(p), 1));
  const index_t rows =
      block_of(part.rows, std::clamp(kNumbersPerColumn * width / depth, tile, kMaxRows), tile);
  const bool keeps_panels = rows < part.rows;
  const index_t columns = keeps_panels ? std::min(part.columns, kColumnBlock) : part.columns;
  const index_t panels = (columns + width - 1) / width, slots = keeps_panels ? panels : 1;
  const bool packs_rows = p.source || packing_rows_pays(p, panels);
  const index_t of_panels = slots * width * depth;
  const index_t scratch = of_panels + (packs_rows ? packed_block(p, rows, depth) : 0);
  bool moderate = true;
  InterruptWatch watch;
  const auto run_columns = [&](index_t block, index_t k, index_t row) {
    const index_t steps = std::min(depth, p.k - k), end = std::min(part.columns, block + columns);
    const index_t own_rows = std::min(rows, part.rows - row);
    const RowBlock<T> a =
        rows_of(p, part.row + row, own_rows, k, steps, {scratch, of_panels}, packs_rows);
    for (index_t column = block; column < end; column += width) {
      const Region region = {part.row + row, own_rows, part.column + column,
                             std::min(width, end - column)};
      const Slot slot = {scratch, keeps_panels ? (column - block) * depth : 0};
      moderate &= run_region(p, region, k, steps, a,
                             panel_of(p, region, k, steps, part.rows, slot, row > 0));
    }
    watch.did(2.0 * static_cast<double>(own_rows * (end - block)) * static_cast<double>(steps) /
              kOperationsPerUnit);
  };
  for (index_t block = 0; block < part.columns; block += columns) {
    index_t k = 0;
    do {
      for (index_t row = 0; row < part.rows; row += rows) run_columns(block, k, row);
      k += depth;
    } while (k < p.k);
  }
  return moderate;
}

// Columns [begin, end) of a C with one row. A B whose columns are contiguous is transposed block by
// block in the L1 cache, while the sums are kept in C.
template <class T>
void multiply_row(const Gemm<T>& p, index_t begin, index_t end) {
  const Kernels<T>& table = kernels<T>();
  const auto multiply = [&](index_t column, index_t columns, index_t k, index_t steps, const T* b,
                            index_t b_k) {
    table.gemv({p.a + k * p.a_k, p.a_k, b, b_k, p.c + column, p.bias ? p.bias + column : nullptr,
                columns, steps, k == 0 ? start_of(p) : start_of_more(p)});
  };
  if (p.b_n == 1) {
    const index_t depth = is_tiled(p) ? block_of(p.k, kTiledDepth, 1) : p.k;
    index_t k = 0;
    do {
      const index_t steps = std::min(depth, p.k - k);
      multiply(begin, end - begin, k, steps, p.b + k * p.b_k + begin, p.b_k);
      k += depth;
    } while (k < p.k);
    return;
  }
  constexpr index_t kSteps = 64;
  const index_t max_columns = kRowVectors * table.lanes;
  T* turned = scratch_of<T>(max_columns * kSteps);
  for (index_t column = begin; column < end; column += max_columns) {
    const index_t columns = std::min(max_columns, end - column), width = table.padded(columns);
    index_t k = 0;
    do {
      const index_t steps = std::min(kSteps, p.k - k);
      const T* b = p.b + column * p.b_n + k * p.b_k;
      table.pack_panel({turned, width, b, p.b_k, p.b_n, steps, columns});
      multiply(column, columns, k, steps, turned, width);
      k += steps;
    } while (k < p.k);
  }
}

template <class T>
bool run_one_row(const Gemm<T>& p) {
  const Kernels<T>& table = kernels<T>();
  // One row reads all of B once: its cost is the number of bytes, and with several threads each
  // keeps its part of B in its own caches. Transposing B costs as much again.
  const double bytes_per_unit = p.b_n == 1 ? 20 : 10;
  const double bytes = static_cast<double>(p.n) * static_cast<double>(p.k) * sizeof(T);
  const double cost = bytes / bytes_per_unit;
  parallel_ranges(p.n, kRowVectors * table.lanes, cost, [&](index_t begin, index_t end) {
    multiply_row(p, begin, end);
    if (p.scaled.scale) {
      const ColumnScale<T> own = from_column(p.scaled, begin);
      table.normalize_columns(p.c + begin, p.c + begin, own, 1, end - begin, false);
    }
    if (p.activation.kind != Activation::identity) {
      table.activation_forward(p.c + begin, p.c + begin, end - begin, p.activation);
    }
  });
  return !p.check || all_moderate(p.c, p.n);
}

// All of C, divided among the threads.
template <class T>
bool run_shared(const Gemm<T>& p) {
  std::atomic<bool> moderate{true};
  const auto run = [&](const Region& part) {
    if (!run_part(p, part)) moderate.store(false, std::memory_order_relaxed);
  };
  // The longer side is split. A gradient (D, O) is then mostly split by rows, like the flat vector
  // in the optimizer's pass, so each processor updates what is in its own caches.
  if (p.m >= p.n) {
    parallel_shares(p.m, kernels<T>().gemm_rows, cost(p),
                    [&](index_t begin, index_t end) { run({begin, end - begin, 0, p.n}); });
  } else {
    parallel_shares(p.n, kernels<T>().lanes, cost(p),
                    [&](index_t begin, index_t end) { run({0, p.m, begin, end - begin}); });
  }
  return moderate.load(std::memory_order_relaxed);
}

// Whether a narrow C, which leaves part of every vector unused, is better computed as C^T = B^T
// A^T, with vectors along M. That costs a transposition of C and, unless the columns of A are
// contiguous, of A.
template <class T>
bool turning_pays(const Gemm<T>& p) {
  if (p.accumulate || p.scaled.scale || p.c_row != p.n || p.m * p.n > kMaxTurned) return false;
  const Kernels<T>& table = kernels<T>();
  const double m = static_cast<double>(p.m), n = static_cast<double>(p.n);
  const double as_is = m * static_cast<double>(table.padded(p.n));
  const double turned = n * static_cast<double>(table.padded(p.m));
  // Per step of k, in vector multiply-adds; transposing an element of A costs about a quarter of
  // one.
  const double saved = (as_is - turned) / table.lanes - (p.a_row == 1 ? 0 : 0.25 * m);
  return saved * static_cast<double>(p.k) > m * n;
}

// The chains start from C^T, where a bias is a constant column.
template <class T>
bool run_turned(const Gemm<T>& p) {
  T* c = scratch_of<T>(p.m * p.n, Scratch::of_job);
  Gemm<T> turned = p;
  turned.m = p.n;
  turned.n = p.m;
  turned.a = p.b;
  turned.a_row = p.b_n;
  turned.a_k = p.b_k;
  turned.b = p.a;
  turned.b_k = p.a_k;
  turned.b_n = p.a_row;
  turned.c = c;
  turned.c_row = p.m;
  turned.bias = nullptr;
  turned.accumulate = p.bias != nullptr;
  for (index_t j = 0; p.bias && j < p.n; ++j) std::fill_n(c + j * p.m, p.m, p.bias[j]);
  const bool moderate = run_shared(turned);
  kernels<T>().pack_panel({p.c, p.n, c, 1, p.m, p.m, p.n});
  return moderate;
}

}  // namespace

template <class T>
bool gemm(const Gemm<T>& p) {
  if (p.m == 0 || p.n == 0) return true;
  if (p.source) return run_shared(p);
  if (p.m == 1 && (p.b_n == 1 || p.b_k == 1)) return run_one_row(p);
  return turning_pays(p) ? run_turned(p) : run_shared(p);
}

template bool gemm<float>(const Gemm<float>&);
template bool gemm<double>(const Gemm<double>&);

}  // namespace nnfast
