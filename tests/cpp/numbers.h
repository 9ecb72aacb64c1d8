// The same inputs on every machine: a linear congruential generator (D. E. Knuth's MMIX) and steps
// that are exact in double.
#pragma once

#include <cstdint>
#include <vector>

#include "base/types.h"

namespace nnfast_test {

class Numbers {
 public:
  double uniform(double low, double high) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return low + (high - low) * (static_cast<double>(state_ >> 40) / 16777216.0);
  }
  template <class T>
  std::vector<T> vector(nnfast::index_t n, double low, double high) {
    std::vector<T> values(static_cast<size_t>(n));
    for (T& value : values) value = static_cast<T>(uniform(low, high));
    return values;
  }

 private:
  uint64_t state_ = 20;
};

// FNV-1a over the bytes of n values.
template <class T>
uint64_t hash_of(const T* values, size_t n, uint64_t hash = 0xcbf29ce484222325u) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(values);
  for (size_t i = 0; i < n * sizeof(T); ++i) hash = (hash ^ bytes[i]) * 0x100000001b3u;
  return hash;
}

}  // namespace nnfast_test
