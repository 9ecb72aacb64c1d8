// What the tests of kernels share: lengths, tolerances, and the hash of all outputs.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "check.h"
#include "kernel_reference.h"
#include "numbers.h"

namespace nnfast_test {

inline uint64_t hash = 0;

template <class T>
void add_to_hash(const std::vector<T>& values) {
  hash = hash_of(values.data(), values.size(), hash);
}

constexpr nnfast::index_t kLengths[] = {0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 100};

template <class T>
constexpr Exact eps = std::numeric_limits<T>::epsilon();

// |got - expected| <= factor eps size, where size bounds what rounding errors are relative to.
template <class T>
bool close(T got, Exact expected, Exact factor, Exact size) {
  return std::fabs(got - expected) <= factor * eps<T> * size + std::numeric_limits<T>::min();
}

}  // namespace nnfast_test
