// Use of a network's parameters: by any number of readers, or by one writer.
//
// A writer waits for the readers of other threads, which is short; a reader that finds a writer,
// and a writer that finds another one, get a StateError. So training is never disturbed, and nobody
// sees parameters of two steps. The writing thread may continue to read and write, as callbacks of
// `fit` do, except for writes from within a step.
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

  // Number of forks between this process and the first one.
  static uint32_t process();

  // `what` names the call in errors and must outlive it.
  class Reading {
   public:
    Reading(Use& use, const char* what);
    ~Reading();
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

   private:
    Use& use_;
    uint32_t process_;
    bool counted_;  // else nested in the writer of this thread
  };

  // A step or, with Span::calls, a series of calls of this thread, such as a whole `fit`.
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

  // While parameters change: signals do not interrupt it, and a fork waits for its end, so that a
  // child has the parameters of a complete step.
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
  std::atomic<uint32_t> users_{0};  // readers, and one bit for a writer
  std::atomic<std::thread::id> owner_{};
  std::atomic<const char*> what_{"training"};
  Span span_ = Span::step;  // accessed by the writer's thread only
  std::atomic<bool> changing_{false};
};

}  // namespace nnfast::plan
