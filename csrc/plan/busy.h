#pragma once

#include <atomic>
#include <cstdint>

#include "base/check.h"
#include "plan/use.h"

namespace nnfast::plan {

// A plan's memory has one caller. A plan that another thread was running when the process forked is
// free in the child: every call writes what it reads.
class Busy {
 public:
  // A step excludes other users of the graph, so no atomic exchange is needed: only its own
  // callbacks may call.
  enum class Others { come, are_excluded };

  Busy(std::atomic<uint32_t>& flag, const char* what, Others others = Others::come) : flag_(flag) {
    const uint32_t mine = Use::process() + 1;
    uint32_t before;
    if (others == Others::are_excluded) {
      before = flag_.load(std::memory_order_relaxed);
      flag_.store(mine, std::memory_order_relaxed);
    } else {
      before = flag_.exchange(mine, std::memory_order_acquire);
    }
    if (before == mine) {
      throw StateError(text(what,
                            ": expected one call at a time, got one while another runs; give each ",
                            "thread a Trainer of its own, on a network.copy()"));
    }
  }
  ~Busy() { flag_.store(0, std::memory_order_release); }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  std::atomic<uint32_t>& flag_;
};

}  // namespace nnfast::plan
