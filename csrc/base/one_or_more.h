// A list that nearly always has one element; that case needs no allocation.
#pragma once

#include <cstddef>
#include <vector>

namespace nnfast {

template <class V>
class OneOrMore {
 public:
  explicit OneOrMore(size_t size = 1) : more_(size - 1) {}

  size_t size() const { return 1 + more_.size(); }
  V& operator[](size_t i) { return i == 0 ? first_ : more_[i - 1]; }
  const V& operator[](size_t i) const { return i == 0 ? first_ : more_[i - 1]; }

 private:
  V first_{};
  std::vector<V> more_;
};

}  // namespace nnfast
