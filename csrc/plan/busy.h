#pragma once

#include <atomic>
#include <cstdint>

#include "base/check.h"
#include "plan/use.h"

namespace nnfast::plan {

// The plan's own memory has one caller. A plan that another thread ran when the process forked is free in
// the child: whatever a call reads there it writes first.
class Busy {
 public:
  Busy(std::atomic<uint32_t>& flag, const char* what) : flag_(flag) {
    const uint32_t mine = Use::process() + 1;
    if (flag_.exchange(mine, std::memory_order_acquire) == mine) {
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
