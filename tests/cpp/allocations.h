// Counts what the process allocates: with glibc and without a sanitizer, malloc itself is replaced. Include in one file.
#pragma once

#include <atomic>
#include <cstddef>

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define NNFAST_COUNTS_ALLOCATIONS 1
#endif

namespace nnfast_test {

inline std::atomic<long> allocations{0};  // of the process
inline thread_local long allocations_of_thread = 0;

inline void count_allocation() {
  ++allocations;
  ++allocations_of_thread;
}

}  // namespace nnfast_test

#if defined(NNFAST_COUNTS_ALLOCATIONS)
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

void* malloc(size_t size) {
  nnfast_test::count_allocation();
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  nnfast_test::count_allocation();
  return __libc_calloc(count, size);
}
void* realloc(void* old, size_t size) {
  nnfast_test::count_allocation();
  return __libc_realloc(old, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  nnfast_test::count_allocation();
  return __libc_memalign(alignment, size);
}
}
#endif
