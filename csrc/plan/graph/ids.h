// Typed indices, and vectors that accept only their own type: nodes, tensors, ops and buffers are
// all numbered from 0, and tests with small networks would not notice one used in place of another.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace nnfast::plan {

enum class NodeId : int { none = -1 };
enum class ParameterId : int { none = -1 };
enum class TensorId : int { none = -1 };
enum class OpId : int { none = -1 };
enum class BufferId : int { none = -1 };

template <class Id>
constexpr int number_of(Id id) {
  return static_cast<int>(id);
}

template <class Id, class V>
class ById {
 public:
  ById() = default;
  ById(size_t size, const V& value) : values_(size, value) {}

  Id add(V value) {
    values_.push_back(std::move(value));
    return static_cast<Id>(values_.size() - 1);
  }
  void assign(size_t size, const V& value) { values_.assign(size, value); }
  decltype(auto) operator[](Id id) { return values_[static_cast<size_t>(id)]; }
  decltype(auto) operator[](Id id) const { return values_[static_cast<size_t>(id)]; }
  decltype(auto) back() { return values_.back(); }
  size_t size() const { return values_.size(); }

  auto begin() { return values_.begin(); }
  auto end() { return values_.end(); }
  auto begin() const { return values_.begin(); }
  auto end() const { return values_.end(); }

  // The ids in order: for (const Id id : v.ids()).
  class Ids {
   public:
    explicit Ids(size_t size) : size_(static_cast<int>(size)) {}
    class Iterator {
     public:
      explicit Iterator(int at) : at_(at) {}
      Id operator*() const { return static_cast<Id>(at_); }
      Iterator& operator++() {
        ++at_;
        return *this;
      }
      bool operator!=(const Iterator& other) const { return at_ != other.at_; }

     private:
      int at_;
    };
    Iterator begin() const { return Iterator(0); }
    Iterator end() const { return Iterator(size_); }

   private:
    int size_;
  };
  Ids ids() const { return Ids(values_.size()); }

 private:
  std::vector<V> values_;
};

}  // namespace nnfast::plan
