// Errors at the edges. Text: "<where>: expected <...>, got <...>; <remedy>".
#pragma once

#include <cstddef>
#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>

namespace nnfast {

// Wrong values and shapes (Python's ValueError).
using ValueError = std::invalid_argument;
// Wrong state (Python's RuntimeError).
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

// "sgd, adam": the names of a list's items, or the items themselves where they are names.
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

// a * b, or an error where the product leaves the range of index sizes.
inline size_t checked_product(size_t a, size_t b, const char* where) {
  if (b != 0 && a > static_cast<size_t>(PTRDIFF_MAX) / b) {
    throw ValueError(text(where, ": expected a size that fits in memory, got ", a, " x ", b));
  }
  return a * b;
}

}  // namespace nnfast
