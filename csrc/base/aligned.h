// A zero-initialized block of memory aligned to 64 bytes (a cache line, an AVX-512 register).
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

#include "base/check.h"

namespace nnfast {

constexpr size_t kAlignment = 64;

inline size_t align_up(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

template <class T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t size) : size_(size) {
    if (size == 0) return;
    const size_t bytes = align_up(checked_product(size, sizeof(T), "memory"));
    data_ = static_cast<T*>(::operator new(bytes, std::align_val_t(kAlignment)));
    std::memset(static_cast<void*>(data_), 0, bytes);
  }
  AlignedBuffer(AlignedBuffer&& other) noexcept { swap(other); }
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~AlignedBuffer() { ::operator delete(data_, std::align_val_t(kAlignment)); }

  T* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void swap(AlignedBuffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

  T* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace nnfast
