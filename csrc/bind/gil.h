// Runs without the interpreter's lock.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <thread>

namespace nnfast::bind {

// Like pybind11's gil_scoped_release, but safe in a daemon thread that is still at work when the
// interpreter ends. Taking the lock back then ends the thread; with glibc by unwinding its stack,
// which a destructor cannot let through without ending the process. Such a thread waits for the end.
class ReleaseGil {
 public:
  ReleaseGil() : state_(PyEval_SaveThread()) {}
  ~ReleaseGil() {
    try {
      PyEval_RestoreThread(state_);
    } catch (...) {
      wait_for_the_end();
    }
  }
  ReleaseGil(const ReleaseGil&) = delete;
  ReleaseGil& operator=(const ReleaseGil&) = delete;

 private:
  [[noreturn]] static void wait_for_the_end() {
    for (;;) std::this_thread::sleep_for(std::chrono::seconds(1));
  }

  PyThreadState* state_;
};

}  // namespace nnfast::bind
