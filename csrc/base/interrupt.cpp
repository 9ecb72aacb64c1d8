#include "base/interrupt.h"

#include <atomic>
#include <chrono>

#include "base/thread_local.h"
#include "base/thread_pool.h"

namespace nnfast {
namespace {

using Clock = std::chrono::steady_clock;

std::atomic<InterruptCheck> installed{nullptr};
NNF_THREAD_LOCAL Clock::time_point last_look{};
NNF_THREAD_LOCAL bool off = false;

}  // namespace

void set_interrupt_check(InterruptCheck check) {
  installed.store(check, std::memory_order_release);
}

void begin_interruptible_work() { last_look = {}; }

void check_interrupt() {
  if (off) return;
  leave_failed_job();
  constexpr auto kBetweenLooks = std::chrono::milliseconds(50);
  const auto now = Clock::now();
  if (last_look == Clock::time_point{}) last_look = now;
  if (now - last_look < kBetweenLooks) return;
  last_look = now;
  const InterruptCheck check = installed.load(std::memory_order_acquire);
  if (check) check();
}

Uninterrupted::Uninterrupted(bool wanted) : before_(off) { off = off || wanted; }
Uninterrupted::~Uninterrupted() { off = before_; }

}  // namespace nnfast
