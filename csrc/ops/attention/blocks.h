// What the passes of attention share: blocks of queries and keys, and their matrix products, on one
// thread.
#pragma once

#include <algorithm>

#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/attention/attention.h"

namespace nnfast::attention {

constexpr index_t kQueries = 64, kKeys = 256;  // of a block
constexpr double kFlopsPerUnit = 80;           // a core does about this many per nanosecond
constexpr double kWeightCost = 0.7;  // of an exponential and its neighbors, in nanoseconds

inline index_t blocks_of(index_t n, index_t size) { return (n + size - 1) / size; }

// Stride of a block's rows: whole vectors, and an odd number of cache lines, so that columns spread
// over all sets of the cache.
inline index_t stride_of(index_t n) { return (blocks_of(n, 16) | 1) * 16; }

// Queries [first_query, + queries) and keys [first_key, + keys) of one head of one row.
struct Block {
  index_t row, head, first_query, queries, first_key, keys;
  index_t seen;  // as in AttentionBlock
};

template <class T>
index_t group_of(const Attention<T>& p, index_t head) {
  return head / (p.heads / p.groups);
}

// Keys after the last one that any of the queries sees are left out, so there may be none.
template <class T>
Block block_at(const Attention<T>& p, index_t row, index_t head, index_t query, index_t key) {
  Block b{row, head, query, std::min(kQueries, p.queries - query), key, 0, 0};
  const index_t keys = std::min(kKeys, p.keys - key);
  b.seen = p.causal ? query + p.keys - p.queries + 1 - key : keys;
  b.keys = std::clamp(b.seen + b.queries - 1, index_t(0), keys);
  return b;
}

template <class T>
const T* mask_of(const Attention<T>& p, const Block& b) {
  if (!p.mask) return nullptr;
  const index_t line = p.mask_by_query ? b.row * p.queries + b.first_query : b.row;
  return p.mask + line * p.keys + b.first_key;
}

template <class T>
AttentionBlock<T> kernel_block(const Attention<T>& p, const Block& b, index_t stride) {
  return {b.queries, b.keys, stride, b.seen, mask_of(p, b), p.mask_by_query ? p.keys : 0, p.scale};
}

// Whether a query of the block sees a key of the block, both counted in the block.
template <class T>
bool sees(const Attention<T>& p, const Block& b, index_t query, index_t key) {
  if (key >= b.seen + query) return false;
  const T* mask = mask_of(p, b);
  return !mask || mask[(p.mask_by_query ? query * p.keys : 0) + key] != T(0);
}

// Whether there may be keys that a query does not see.
template <class T>
bool hides_keys(const Attention<T>& p) {
  return p.causal || p.mask;
}

// Where a head's queries, keys or values start, with `heads` vectors of d numbers at each place.
template <class T>
T* head_at(T* x, index_t row, index_t places, index_t place, index_t heads, index_t head,
           index_t d) {
  return x + ((row * places + place) * heads + head) * d;
}

// Zeroes the weights that the dropout drops, and scales the others.
template <class T>
void drop_weights(T* weights, index_t stride, const Attention<T>& p, const Block& b) {
  if (!p.dropout) return;
  for (index_t r = 0; r < b.queries; ++r) {
    const index_t query = (b.row * p.heads + b.head) * p.queries + b.first_query + r;
    const index_t n = std::clamp(b.seen + r, index_t(0), b.keys);
    T* own = weights + r * stride;
    kernels<T>().dropout(own, own, query * p.keys + b.first_key, n, *p.dropout);
  }
}

// A matrix (k, n) in panels of columns, copied from rows b_n apart in memory.
template <class T>
struct Panels {
  T* packed;
  index_t width, n = 0;

  // For products with that many rows: with one, the kernel takes more columns at a time.
  static index_t width_for(index_t rows) {
    return rows == 1 ? 8 * kernels<T>().lanes : kernels<T>().gemm_columns;
  }
  index_t row(index_t column) const { return kernels<T>().padded(std::min(width, n - column)); }
  void pack(const T* b, index_t b_n, index_t k, index_t columns) {
    n = columns;
    for (index_t j = 0; j < n; j += width) {
      kernels<T>().pack_panel(
          {packed + j * k, row(j), b + j * b_n, 1, b_n, k, std::min(width, n - j)});
    }
  }
};

// C (m, n) = A (m, k) B (k, n), or added to C. Chains run over all of k.
template <class T>
struct Product {
  index_t m, n, k;
  const T* a;
  index_t a_row, a_k;
  const T* b;  // columns are contiguous
  index_t b_k;
  T* c;
  index_t c_row;
  bool add;
};

// One panel of at most gemm_columns columns, or of one row. Returns false if the check is requested
// and not all sums are moderate: ops/reduce.h.
template <class T>
bool multiply_panel(const Product<T>& p, bool check) {
  const GemmStart start = p.add ? GemmStart::added : GemmStart::zero;
  if (p.m == 1) {
    kernels<T>().gemv({p.a, p.a_k, p.b, p.b_k, p.c, nullptr, p.n, p.k, start});
    return !check || kernels<T>().all_below(p.c, p.n, T(0));
  }
  GemmPanel<T> panel{};
  panel.a = p.a;
  panel.a_row = p.a_row;
  panel.a_k = p.a_k;
  panel.outer = panel.inner = 1;
  panel.b = p.b;
  panel.b_k = p.b_k;
  panel.c = p.c;
  panel.c_row = p.c_row;
  panel.m = p.m;
  panel.n = p.n;
  panel.k = p.k;
  panel.start = start;
  panel.check = check;
  return kernels<T>().gemm_panel(panel);
}

// Returns whether all sums are moderate.
template <class T>
bool multiply(const Product<T>& p) {
  const index_t width = p.m == 1 ? p.n : kernels<T>().gemm_columns;
  bool moderate = true;
  for (index_t j = 0; j < p.n; j += width) {
    Product<T> panel = p;
    panel.b += j;
    panel.c += j;
    panel.n = std::min(width, p.n - j);
    moderate &= multiply_panel(panel, true);
  }
  return moderate;
}

constexpr index_t kStrip = 32;  // rows of a product that leave out the same zeros

// Likewise, where A (queries, keys) is 0 for the keys after the first seen + i of row i.
template <class T>
bool multiply_queries(const Product<T>& p, index_t seen) {
  if (seen >= p.k) return multiply(p);
  bool moderate = true;
  for (index_t i = 0; i < p.m; i += kStrip) {
    Product<T> strip = p;
    strip.m = std::min(kStrip, p.m - i);
    strip.k = std::clamp(seen + i + strip.m - 1, index_t(0), p.k);
    strip.a += i * p.a_row;
    strip.c += i * p.c_row;
    moderate &= multiply(strip);
  }
  return moderate;
}

// Likewise, where A (keys, queries) is 0 in row i for the queries before i + 1 - seen.
template <class T>
bool multiply_keys(const Product<T>& p, index_t seen) {
  if (seen >= p.m) return multiply(p);
  bool moderate = true;
  for (index_t i = 0; i < p.m; i += kStrip) {
    const index_t first = std::clamp(i + 1 - seen, index_t(0), p.k);
    Product<T> strip = p;
    strip.m = std::min(kStrip, p.m - i);
    strip.k -= first;
    strip.a += i * p.a_row + first * p.a_k;
    strip.b += first * p.b_k;
    strip.c += i * p.c_row;
    moderate &= multiply(strip);
  }
  return moderate;
}

// C = A B of a block's queries, where B is packed. Writes whole vectors, but not where a query sees
// none of a panel's keys.
template <class T>
void multiply_packed(const Product<T>& p, const Panels<T>& b, index_t seen) {
  for (index_t j = 0; j < p.n; j += b.width) {
    const index_t first = std::clamp(j + 1 - seen, index_t(0), p.m - 1);
    Product<T> panel = p;
    panel.m -= first;
    panel.a += first * p.a_row;
    panel.n = kernels<T>().padded(std::min(b.width, p.n - j));
    panel.b = b.packed + j * p.k;
    panel.b_k = b.row(j);
    panel.c += first * p.c_row + j;
    multiply_panel(panel, false);
  }
}

// The product of the terms for which used(i, k), whatever B holds in the others. `line` has room for
// a row of C.
template <class T, class Used>
void multiply_used(const Product<T>& p, T* line, const Used& used) {
  for (index_t i = 0; i < p.m; ++i) {
    std::fill_n(line, p.n, T(0));
    for (index_t k = 0; k < p.k; ++k) {
      if (!used(i, k)) continue;
      kernels<T>().gemv({p.a + i * p.a_row + k * p.a_k, p.a_k, p.b + k * p.b_k, p.b_k, line,
                         nullptr, p.n, 1, GemmStart::output});
    }
    T* c = p.c + i * p.c_row;
    for (index_t j = 0; j < p.n; ++j) c[j] = p.add ? c[j] + line[j] : line[j];
  }
}

template <class T>
void clear_rows(T* x, index_t stride, index_t rows, index_t n) {
  for (index_t r = 0; r < rows; ++r) std::fill_n(x + r * stride, n, T(0));
}

}  // namespace nnfast::attention
