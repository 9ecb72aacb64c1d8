// Arrays that a user-defined NumPy layer must write. They are filled with NaNs that arithmetic does
// not produce: if one is left, it was not written, or something was computed from the previous
// content.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "bind/arrays.h"

namespace nnfast::bind {

template <class T>
class Results {
 public:
  explicit Results(std::string where) : where_(std::move(where)) {}

  // An array of which the call must write all elements.
  void expect(std::string name, py::array array) {
    std::fill_n(mutable_data_of<T>(array), array.size(), mark());
    arrays_.emplace_back(std::move(name), std::move(array));
  }

  // Arrays that start at 0 and that the call may add to; it must not replace them.
  void expect_sums(const py::dict& sums) {
    sums_ = sums;
    for (const auto& [name, array] : sums) {
      arrays_of_sums_.emplace_back(py::reinterpret_borrow<py::object>(name),
                                   py::reinterpret_borrow<py::object>(array));
    }
  }

  // After the call. Returning an expected array itself does no harm: NumPy's functions do so with
  // out=.
  void check(const py::object& returned) const {
    const bool harmless = returned.is_none() ||
                          std::any_of(arrays_.begin(), arrays_.end(), [&](const auto& expected) {
                            return returned.is(expected.second);
                          });
    if (!harmless) {
      throw ValueError(
          text(where_, ": expected results in the given arrays, got a return value of type ",
               py::str(py::type::of(returned).attr("__name__")).cast<std::string>(), "; write ",
               arrays_.empty() ? "them" : arrays_[0].first + "[...] = ...", " and return nothing"));
    }
    for (const auto& [name, array] : arrays_) {
      const index_t left = marks_left(array);
      require(left == 0, where_, ": expected every element of ", name, " to be written, got ", left,
              " of ", array.size(), " left, or computed from what was there before; write ", name,
              "[...] = ...");
    }
    for (const auto& [key, array] : arrays_of_sums_) {
      if (sums_.contains(key) && py::object(sums_[key]).is(array)) continue;
      const std::string name = text("d_parameters[", std::string(py::repr(key)), "]");
      throw ValueError(text(where_, ": expected a gradient added into the array ", name,
                            ", got another in its place; write ", name, " += ..., or ", name,
                            "[...] = ..."));
    }
  }

 private:
  using Word = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  static constexpr Word kMark = sizeof(T) == 4 ? Word(0x7FC5A5A5) : Word(0x7FF85A5A5A5A5A5A);

  static T mark() {
    T value;
    std::memcpy(&value, &kMark, sizeof value);
    return value;
  }
  static index_t marks_left(const py::array& array) {
    const T* data = data_of<T>(array);
    const index_t n = array.size();
    index_t left = 0;
    for (index_t i = 0; i < n; ++i) {
      Word word;
      std::memcpy(&word, data + i, sizeof word);
      left += word == kMark;
    }
    return left;
  }

  std::string where_;
  std::vector<std::pair<std::string, py::array>> arrays_;
  py::dict sums_;
  std::vector<std::pair<py::object, py::object>> arrays_of_sums_;
};

}  // namespace nnfast::bind
