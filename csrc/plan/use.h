// Who uses a network's parameters: any number of readers, or one writer.
//
// A writer waits for the readers of other threads to end, which is short; a reader that finds a writer,
// and a writer that finds another, get a StateError. So training is never disturbed, and nobody sees
// parameters of two steps. The thread that writes may read and write on, as callbacks of `fit` do, but
// for a write from within a step.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "base/interrupt.h"

namespace nnfast::plan {

class Use {
 public:
  Use();
  ~Use();
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

  // How many forks lie between this process and the first.
  static uint32_t process();

  // `what` names the call in errors and outlives it.
  class Reading {
   public:
    Reading(Use& use, const char* what);
    ~Reading();
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

   private:
    Use& use_;
    uint32_t process_;
    bool counted_;  // else within the writer of this thread
  };

  // A step, or with Span::calls a stretch of calls of this thread, such as a whole `fit`.
  enum class Span { step, calls };
  class Writing {
   public:
    Writing(Use& use, const char* what, Span span = Span::step);
    ~Writing();
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;

   private:
    Use& use_;
    uint32_t process_;
    bool nested_;
    Span span_before_;
  };

  // While parameters change: no signal ends that, and a fork waits for its end, so that a child has the
  // parameters of a whole step.
  class Changing {
   public:
    explicit Changing(Use& use);
    ~Changing() { use_.changing_.store(false, std::memory_order_release); }
    Changing(const Changing&) = delete;
    Changing& operator=(const Changing&) = delete;

   private:
    Use& use_;
    Uninterrupted whole_;
  };

 private:
  friend struct Forks;
  bool is_mine() const {
    return owner_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }
  void forget_all();
  [[noreturn]] void refuse(const char* what) const;
  void wait_for_readers(const char* what);

  static constexpr uint32_t kWriter = 1u << 31;
  std::atomic<uint32_t> users_{0};  // readers, and the bit of a writer
  std::atomic<std::thread::id> owner_{};
  std::atomic<const char*> what_{"training"};
  Span span_ = Span::step;  // of the writer's thread alone
  std::atomic<bool> changing_{false};
};

}  // namespace nnfast::plan
