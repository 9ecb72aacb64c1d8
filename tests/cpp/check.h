// The smallest test framework: checks that count, print what failed and go on.
#pragma once

#include <atomic>
#include <cstdio>

namespace nnfast_test {

inline std::atomic<int> checks{0};
inline std::atomic<int> failures{0};

inline void check(bool condition, const char* text, const char* file, int line) {
  ++checks;
  if (condition) return;
  // A broken loop would print without end.
  if (++failures <= 20) std::printf("%s:%d: failed: %s\n", file, line, text);
}

inline int report(const char* name) {
  std::printf("%s: %d checks, %d failed\n", name, checks.load(), failures.load());
  return failures == 0 ? 0 : 1;
}

}  // namespace nnfast_test

#define CHECK(condition) nnfast_test::check((condition), #condition, __FILE__, __LINE__)
