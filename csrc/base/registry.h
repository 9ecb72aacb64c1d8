// Kinds of objects that register themselves by name: a new kind is a new file, and no list has to
// be edited.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

namespace nnfast {

// A kind of object, such as an optimizer; Kind has a member `name`. At namespace scope, its file has
//   const Registered<OptimizerKind> registered({"sgd", ...});
// Objects link themselves into a list when the library is loaded, in any order and without
// allocation. The linker must not drop their files, so these belong in object libraries, not in
// archives.
template <class Kind>
class Registered {
 public:
  explicit Registered(const Kind& kind) : kind_(kind), next_(first()) { first() = this; }
  Registered(const Registered&) = delete;
  Registered& operator=(const Registered&) = delete;

  // The kind with that name, or null.
  static const Kind* find(const std::string& name) {
    for (const Registered* each = first(); each; each = each->next_) {
      if (name == each->kind_.name) return &each->kind_;
    }
    return nullptr;
  }

  // Sorted, because the order of the list depends on the linker.
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
