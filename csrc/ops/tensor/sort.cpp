#include "ops/tensor/sort.h"

#include <algorithm>
#include <cstring>

#include "base/thread_pool.h"

namespace nnfast {
namespace {

template <class T>
struct BitsOf;
template <>
struct BitsOf<float> {
  using type = uint32_t;
};
template <>
struct BitsOf<double> {
  using type = uint64_t;
};

// A number as bits that have the same order, and its place in the row. No two entries are equal, so
// that every algorithm sorts stably.
template <class T>
struct Entry {
  using Bits = typename BitsOf<T>::type;
  static constexpr Bits kSign = Bits(1) << (8 * sizeof(Bits) - 1);

  uint32_t index;
  Bits key;

  Entry() = default;
  Entry(T x, uint32_t place, bool descending) : index(place) {
    const T positive_zero = x + T(0);
    std::memcpy(&key, &positive_zero, sizeof(key));
    key ^= (key & kSign) ? ~Bits(0) : kSign;
    if (descending) key = ~key;
    if (x != x) key = ~Bits(0);
  }
  // The number, read from the row only if the key does not tell it.
  T value(const T* row, bool descending) const {
    Bits bits = descending ? ~key : key;
    bits ^= (bits & kSign) ? kSign : ~Bits(0);
    T x;
    std::memcpy(&x, &bits, sizeof(x));
    return x == T(0) || key == ~Bits(0) ? row[index] : x;
  }
  bool operator<(const Entry& other) const {
    return key != other.key ? key < other.key : index < other.index;
  }
};
// As one number.
template <>
inline bool Entry<float>::operator<(const Entry& other) const {
  const auto joined = [](const Entry& e) { return static_cast<uint64_t>(e.key) << 32 | e.index; };
  return joined(*this) < joined(other);
}

// Shorter rows are sorted by comparisons: half the bytes are sorted in half the passes.
template <class T>
constexpr index_t kRadixFrom = sizeof(T) == 4 ? 64 : 400;
constexpr int kBuckets = 256;

// Sorts by one byte of the key after the other, from the least significant one. The result is at the
// returned one of both places.
template <class T>
Entry<T>* radix_sort(Entry<T>* from, Entry<T>* to, index_t n) {
  constexpr int bytes = sizeof(typename Entry<T>::Bits);
  const auto digit = [](const Entry<T>& entry, int byte) {
    return static_cast<size_t>(entry.key >> (8 * byte)) & (kBuckets - 1);
  };
  uint32_t counts[bytes][kBuckets] = {};
  for (index_t i = 0; i < n; ++i) {
    for (int byte = 0; byte < bytes; ++byte) ++counts[byte][digit(from[i], byte)];
  }
  for (int byte = 0; byte < bytes; ++byte) {
    uint32_t* next = counts[byte];  // where the next entry of a bucket goes
    if (next[digit(from[0], byte)] == static_cast<uint32_t>(n)) continue;
    uint32_t sum = 0;
    for (int b = 0; b < kBuckets; ++b) {
      const uint32_t count = next[b];
      next[b] = sum;
      sum += count;
    }
    for (index_t i = 0; i < n; ++i) to[next[digit(from[i], byte)]++] = from[i];
    std::swap(from, to);
  }
  return from;
}

// The k smallest entries, sorted, at `found`, which has room for 2 k + 16: entries that may be among
// them are collected, and thinned out whenever there is no room.
template <class T>
void select_smallest(Entry<T>* found, index_t k, const T* x, index_t n, bool descending) {
  const index_t room = 2 * k + 16;
  index_t count = 0;
  const auto thin_out = [&] {
    std::nth_element(found, found + k - 1, found + count);
    count = k;
  };
  index_t i = 0;
  for (; i < n && count < room; ++i) found[count++] = {x[i], static_cast<uint32_t>(i), descending};
  thin_out();
  for (; i < n; ++i) {
    const Entry<T> entry(x[i], static_cast<uint32_t>(i), descending);
    if (!(entry < found[k - 1])) continue;
    found[count++] = entry;
    if (count == room) thin_out();
  }
  thin_out();
  std::sort(found, found + k);
}

// The first k entries of a row, sorted. scratch: 2 n.
template <class T>
const Entry<T>* sort_row(Entry<T>* scratch, const T* x, index_t n, index_t k, bool descending) {
  if (k * 4 <= n && n >= 16) {
    select_smallest(scratch, k, x, n, descending);
    return scratch;
  }
  for (index_t i = 0; i < n; ++i) scratch[i] = {x[i], static_cast<uint32_t>(i), descending};
  if (n >= kRadixFrom<T>) return radix_sort(scratch, scratch + n, n);
  std::sort(scratch, scratch + n);
  return scratch;
}

}  // namespace

template <class T>
void sort_rows(T* values, T* indices, const T* x, index_t rows, index_t n, index_t k,
               bool descending) {
  if (n == 0) return;
  const double cost = 15 * static_cast<double>(rows * n);
  parallel_ranges(rows, 1, cost, [&](index_t begin, index_t end) {
    auto* scratch =
        static_cast<Entry<T>*>(thread_scratch(sizeof(Entry<T>) * 2 * static_cast<size_t>(n)));
    for (index_t r = begin; r < end; ++r) {
      const T* row = x + r * n;
      const Entry<T>* sorted = sort_row(scratch, row, n, k, descending);
      for (index_t j = 0; j < k; ++j) {
        values[r * k + j] = sorted[j].value(row, descending);
        indices[r * k + j] = static_cast<T>(sorted[j].index);
      }
    }
  });
}

template <class T>
void sort_rows_backward(T* dx, const T* dy, const T* indices, index_t rows, index_t n, index_t k) {
  const double cost = 0.2 * static_cast<double>(rows * n) + 2 * static_cast<double>(rows * k);
  parallel_ranges(rows, 1, cost, [&](index_t begin, index_t end) {
    std::memset(static_cast<void*>(dx + begin * n), 0,
                sizeof(T) * static_cast<size_t>((end - begin) * n));
    if (!dy) return;
    for (index_t r = begin; r < end; ++r) {
      for (index_t j = r * k; j < (r + 1) * k; ++j)
        dx[r * n + static_cast<index_t>(indices[j])] = dy[j];
    }
  });
}

#define NNF_INSTANTIATE(T)                                                       \
  template void sort_rows<T>(T*, T*, const T*, index_t, index_t, index_t, bool); \
  template void sort_rows_backward<T>(T*, const T*, const T*, index_t, index_t, index_t);
NNF_INSTANTIATE(float)
NNF_INSTANTIATE(double)
#undef NNF_INSTANTIATE

}  // namespace nnfast
