#include "plan/use.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <vector>

#if !defined(_WIN32)
#include <pthread.h>
#endif

#include "base/check.h"

namespace nnfast::plan {

// All uses that exist, for forks: a child has none of the parent's other threads, so nothing is in
// use there.
struct Forks {
  std::mutex mutex;
  std::vector<Use*> uses;
  inline static std::atomic<bool> forking{false};
  inline static std::atomic<uint32_t> process{
      0};  // number of forks between this process and the first one

  static Forks& all() {
    static Forks& forks = *new Forks;
    return forks;
  }

  Forks() {
#if !defined(_WIN32)
    pthread_atfork([] { all().before(); }, [] { all().after(); }, [] { all().in_child(); });
#endif
  }

  void before() {
    mutex.lock();
    forking.store(true, std::memory_order_seq_cst);
    for (const Use* use : uses) {
      while (use->changing_.load(std::memory_order_seq_cst)) std::this_thread::yield();
    }
  }
  void after() {
    forking.store(false, std::memory_order_release);
    mutex.unlock();
  }
  void in_child() {
    process.fetch_add(1, std::memory_order_relaxed);
    for (Use* use : uses) use->forget_all();
    after();
  }
};

Use::Use() {
  Forks& forks = Forks::all();
  const std::lock_guard<std::mutex> lock(forks.mutex);
  forks.uses.push_back(this);
}

Use::~Use() {
  Forks& forks = Forks::all();
  const std::lock_guard<std::mutex> lock(forks.mutex);
  forks.uses.erase(std::find(forks.uses.begin(), forks.uses.end(), this));
}

void Use::forget_all() {
  users_.store(0, std::memory_order_relaxed);
  owner_.store({}, std::memory_order_relaxed);
  span_ = Span::step;
}

uint32_t Use::process() { return Forks::process.load(std::memory_order_relaxed); }

void Use::refuse(const char* what) const {
  const char* other = what_.load(std::memory_order_relaxed);
  if (is_mine()) {
    throw StateError(text(what, ": expected no step at work, got a call from within ", other,
                          "; change parameters before or after it"));
  }
  throw StateError(
      text(what, ": expected a network that no other thread changes, got one in ", other,
           "; wait for its end, or let the thread that trains make a network.copy(), for "
           "example in a callback, and use that"));
}

// ---- readers --------------------------------------------------------------------------------------

Use::Reading::Reading(Use& use, const char* what) : use_(use), process_(Use::process()) {
  counted_ = !(use.users_.fetch_add(1, std::memory_order_acquire) & kWriter);
  if (counted_) return;
  use.users_.fetch_sub(1, std::memory_order_relaxed);
  if (!use.is_mine()) use.refuse(what);
}

Use::Reading::~Reading() {
  if (counted_ && process_ == Use::process()) use_.users_.fetch_sub(1, std::memory_order_release);
}

// ---- the writer -----------------------------------------------------------------------------------

// A reader that does not end may be the one that called this thread.
void Use::wait_for_readers(const char* what) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kPatience = std::chrono::seconds(2);
  if (users_.load(std::memory_order_acquire) == kWriter) return;
  const auto start = Clock::now();
  for (int spins = 0; users_.load(std::memory_order_acquire) != kWriter; ++spins) {
    if (spins < 100) {
      std::this_thread::yield();
      continue;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(50));
    check_interrupt();
    if (Clock::now() - start > kPatience) {
      throw StateError(
          text(what, ": expected predictions of other threads to end within ", kPatience.count(),
               " seconds, got one that goes on; wait for its end, or ", "train a network.copy()"));
    }
  }
}

Use::Writing::Writing(Use& use, const char* what, Span span) : use_(use), process_(Use::process()) {
  nested_ = (use.users_.fetch_or(kWriter, std::memory_order_acquire) & kWriter) != 0;
  if (nested_ && !(use.is_mine() && use.span_ == Span::calls)) use.refuse(what);
  span_before_ = use.span_;
  if (!nested_) {
    use.owner_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    use.what_.store(what, std::memory_order_relaxed);
    try {
      use.wait_for_readers(what);
    } catch (...) {
      use.owner_.store({}, std::memory_order_relaxed);
      use.users_.fetch_and(~kWriter, std::memory_order_release);
      throw;
    }
  }
  use.span_ = span;
}

Use::Writing::~Writing() {
  if (process_ != Use::process()) return;
  use_.span_ = span_before_;
  if (nested_) return;
  use_.owner_.store({}, std::memory_order_relaxed);
  use_.users_.fetch_and(~kWriter, std::memory_order_release);
}

Use::Changing::Changing(Use& use) : use_(use) {
  const std::atomic<bool>& forking = Forks::forking;
  for (;;) {
    use.changing_.store(true, std::memory_order_seq_cst);
    if (!forking.load(std::memory_order_seq_cst)) return;
    use.changing_.store(false, std::memory_order_release);
    while (forking.load(std::memory_order_acquire)) std::this_thread::yield();
  }
}

}  // namespace nnfast::plan
