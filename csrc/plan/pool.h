// Plans for predictions: a call takes one, so that any number of threads may predict with one network at once.
#pragma once

#include <algorithm>
#include <mutex>
#include <new>

#include "plan/plan.h"

namespace nnfast::plan {

// Keeps as many plans as were in use at once, and the last one where it costs no lock. After a fork those of
// the parent's other threads are gone.
template <class T>
class PlanPool {
 public:
  PlanPool(std::shared_ptr<Graph<T>> graph, Callbacks<T> callbacks, uint64_t seed)
      : graph_(std::move(graph)), callbacks_(std::move(callbacks)), seed_(seed) {}
  ~PlanPool() { delete last_.load(); }
  PlanPool(const PlanPool&) = delete;
  PlanPool& operator=(const PlanPool&) = delete;

  // A plan for as long as it lives, for predictions of `rows` or any other number.
  class Lease {
   public:
    Lease(PlanPool& pool, index_t rows) : pool_(pool), plan_(pool.take(rows)) {}
    ~Lease() { pool_.give_back(std::move(plan_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Plan<T>* operator->() const { return plan_.get(); }

   private:
    PlanPool& pool_;
    std::unique_ptr<Plan<T>> plan_;
  };

 private:
  // Rows that a plan takes at a time: enough to keep all cores busy, little enough to stay in the cache.
  static constexpr index_t kMostRows = 256;

  static index_t capacity_for(index_t rows) {
    index_t capacity = 1;
    while (capacity < std::min(rows, kMostRows)) capacity *= 2;
    return capacity;
  }

  std::unique_ptr<Plan<T>> take(index_t rows) {
    std::unique_ptr<Plan<T>> plan(last_.exchange(nullptr, std::memory_order_acquire));
    if (!plan) {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!others_.empty()) {
        plan = std::move(others_.back());
        others_.pop_back();
      }
    }
    if (plan && plan->options().capacity >= std::min(rows, kMostRows)) return plan;
    PlanOptions options;
    options.capacity = capacity_for(rows);
    options.seed = seed_;
    return std::make_unique<Plan<T>>(graph_, std::move(options), callbacks_, nullptr);
  }

  void give_back(std::unique_ptr<Plan<T>> plan) {
    Plan<T>* none = nullptr;
    if (last_.compare_exchange_strong(none, plan.get(), std::memory_order_release)) {
      plan.release();
      return;
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    try {
      others_.push_back(std::move(plan));
    } catch (const std::bad_alloc&) {
      // It goes; the next call makes another one, or says that it cannot.
    }
  }

  std::shared_ptr<Graph<T>> graph_;
  Callbacks<T> callbacks_;
  uint64_t seed_;
  std::atomic<Plan<T>*> last_{nullptr};
  std::mutex mutex_;
  std::vector<std::unique_ptr<Plan<T>>> others_;
};

}  // namespace nnfast::plan
