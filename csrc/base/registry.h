// Things by name that register themselves: a new one is a new file, and no list has to be edited.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

namespace nnfast {

// A kind of something, such as an optimiser; Kind has a member `name`. Its file has at namespace scope
//   const Registered<OptimizerKind> registered({"sgd", ...});
// Objects link themselves into a list when the library is loaded, in any order and without an allocation. The linker
// must not drop their files, so they belong to object libraries and to no archive.
template <class Kind>
class Registered {
 public:
  explicit Registered(const Kind& kind) : kind_(kind), next_(first()) { first() = this; }
  Registered(const Registered&) = delete;
  Registered& operator=(const Registered&) = delete;

  // The kind of that name, or null.
  static const Kind* find(const std::string& name) {
    for (const Registered* each = first(); each; each = each->next_) {
      if (name == each->kind_.name) return &each->kind_;
    }
    return nullptr;
  }

  // Sorted, because the order of the list is the linker's.
  static std::vector<std::string> names() {
    std::vector<std::string> names;
    for (const Registered* each = first(); each; each = each->next_)
      names.push_back(each->kind_.name);
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  static const Registered*& first() {
    static const Registered* first = nullptr;
    return first;
  }

  Kind kind_;
  const Registered* next_;
};

}  // namespace nnfast
