// Long work looks now and then whether it is to end: for a signal such as Ctrl-C, or because another
// thread of the same job has failed. It ends by an exception, so it may only be asked for where
// nothing is half done that outlives the call.
#pragma once

namespace nnfast {

// Called on whatever thread works, at most every 50 ms; throws to end the work.
using InterruptCheck = void (*)();
void set_interrupt_check(InterruptCheck check);

// A call from outside begins: it works for 50 ms before the first look.
void begin_interruptible_work();

// To be called at least every 50 ms; costs some 30 ns.
void check_interrupt();

// check_interrupt() after so much work that it costs nothing beside it. `cost` in units of about a
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

// While it lives, and if it is wanted, this thread's work is not ended.
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
