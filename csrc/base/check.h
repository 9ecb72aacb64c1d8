// Errors for callers. Text: "<where>: expected <...>, got <...>; <remedy>".
#pragma once

#include <cstddef>
#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>

namespace nnfast {

// Invalid values and shapes (ValueError in Python).
using ValueError = std::invalid_argument;
// Invalid state (RuntimeError in Python).
using StateError = std::runtime_error;
template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

template <class... Parts>
void require(bool condition, const Parts&... parts) {
  if (!condition) throw ValueError(text(parts...));
}

// "sgd, adam": names of the items of a list, or the items themselves if they are strings.
inline const std::string& name_of(const std::string& name) { return name; }
template <class Item>
const char* name_of(const Item& item) {
  return item.name;
}
template <class Items>
std::string join_names(const Items& items) {
  std::string list;
  for (const auto& item : items) {
    if (!list.empty()) list += ", ";
    list += name_of(item);
  }
  return list;
}

// a * b, or an error if the product exceeds the range of index types.
inline size_t checked_product(size_t a, size_t b, const char* where) {
  if (b != 0 && a > static_cast<size_t>(PTRDIFF_MAX) / b) {
    throw ValueError(text(where, ": expected a size that fits in memory, got ", a, " x ", b));
  }
  return a * b;
}

}  // namespace nnfast
