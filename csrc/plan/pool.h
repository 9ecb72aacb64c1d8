// Plans for predictions: a call takes one, so that any number of threads may predict with one
// network concurrently.
#pragma once

#include <algorithm>
#include <new>

#include "plan/plan.h"

namespace nnfast::plan {

// Keeps as many plans as were in use at the same time. Leases begin and end under a lock of the
// caller, such as the GIL: another lock or atomic exchange would take a twentieth of a small
// network's prediction.
template <class T>
class PlanPool {
 public:
  PlanPool(std::shared_ptr<Graph<T>> graph, UserFunctions<T> functions, uint64_t seed)
      : graph_(std::move(graph)), functions_(std::move(functions)), seed_(seed) {}
  PlanPool(const PlanPool&) = delete;
  PlanPool& operator=(const PlanPool&) = delete;

  // A plan as long as the lease exists, for predictions of `rows` or any other number of rows.
  class Lease {
   public:
    Lease(PlanPool& pool, index_t rows) : pool_(pool), plan_(pool.take(rows)) {}
    ~Lease() { pool_.give_back(std::move(plan_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Plan<T>& operator*() const { return *plan_; }

   private:
    PlanPool& pool_;
    std::unique_ptr<Plan<T>> plan_;
  };

 private:
  // Number of rows that a plan processes at a time: enough to keep all cores busy, few enough to
  // stay in the cache.
  static constexpr index_t kMaxRows = 256;

  static index_t capacity_for(index_t rows) {
    index_t capacity = 1;
    while (capacity < std::min(rows, kMaxRows)) capacity *= 2;
    return capacity;
  }

  std::unique_ptr<Plan<T>> take(index_t rows) {
    std::unique_ptr<Plan<T>> plan;
    if (!free_.empty()) {
      plan = std::move(free_.back());
      free_.pop_back();
    }
    if (plan && plan->options().capacity >= std::min(rows, kMaxRows)) return plan;
    PlanOptions options;
    options.capacity = capacity_for(rows);
    options.seed = seed_;
    return std::make_unique<Plan<T>>(graph_, std::move(options), functions_);
  }

  void give_back(std::unique_ptr<Plan<T>> plan) {
    try {
      free_.push_back(std::move(plan));
    } catch (const std::bad_alloc&) {
      // It is discarded; the next call makes another one, or says that it cannot.
    }
  }

  std::shared_ptr<Graph<T>> graph_;
  UserFunctions<T> functions_;
  uint64_t seed_;
  std::vector<std::unique_ptr<Plan<T>>> free_;
};

}  // namespace nnfast::plan
