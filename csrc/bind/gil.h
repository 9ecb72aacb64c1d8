// Runs without the interpreter's lock.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <thread>

namespace nnfast::bind {

// Like pybind11's gil_scoped_release, but safe in a daemon thread that is still at work when the
// interpreter ends: taking the lock back would then end the thread by an exception through a
// destructor, and so the process. It waits for the end instead.
class ReleaseGil {
 public:
  ReleaseGil() : state_(PyEval_SaveThread()) {}
  ~ReleaseGil() {
    while (is_finalizing()) std::this_thread::sleep_for(std::chrono::seconds(1));
    PyEval_RestoreThread(state_);
  }
  ReleaseGil(const ReleaseGil&) = delete;
  ReleaseGil& operator=(const ReleaseGil&) = delete;

 private:
  static bool is_finalizing() {
#if PY_VERSION_HEX >= 0x030D0000
    return Py_IsFinalizing() != 0;
#else
    return _Py_IsFinalizing() != 0;
#endif
  }

  PyThreadState* state_;
};

}  // namespace nnfast::bind
