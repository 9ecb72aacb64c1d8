// Interruption of long-running work, by a signal such as Ctrl-C or because another thread of the
// same job has failed. It is an exception, so it may only occur where no partial changes outlive
// the call.
#pragma once

namespace nnfast {

// Called on any working thread, at most every 50 ms; throws to end the work.
using InterruptCheck = void (*)();
void set_interrupt_check(InterruptCheck check);

// Start of a call from Python: the first check comes after 50 ms.
void begin_interruptible_work();

// Call at least every 50 ms; costs about 30 ns.
void check_interrupt();

// check_interrupt() after enough work to make its cost negligible. `cost` is in units of about a
// nanosecond.
class InterruptWatch {
 public:
  void did(double cost) {
    done_ += cost;
    if (done_ < 1e6) return;
    done_ = 0;
    check_interrupt();
  }

 private:
  double done_ = 0;
};

// While it exists (and if enabled), work on this thread is not interrupted.
class Uninterrupted {
 public:
  explicit Uninterrupted(bool wanted = true);
  ~Uninterrupted();
  Uninterrupted(const Uninterrupted&) = delete;
  Uninterrupted& operator=(const Uninterrupted&) = delete;

 private:
  bool before_;
};

}  // namespace nnfast
