// Running without the GIL, and with it.
//
// If a daemon thread is still running when the interpreter exits, reacquiring the GIL ends the
// thread; glibc does that by unwinding its stack, which must not pass through a destructor or
// anything that holds Python objects, or the process is terminated. Such a thread waits for the end
// of the process instead.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <thread>

#include "base/interrupt.h"

namespace nnfast::bind {

[[noreturn]] inline void wait_for_the_end() {
  for (;;) std::this_thread::sleep_for(std::chrono::seconds(1));
}

class ReleaseGil {
 public:
  ReleaseGil() : state_(PyEval_SaveThread()) { begin_interruptible_work(); }
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
  PyThreadState* state_;
};

class AcquireGil {
 public:
  AcquireGil() {
    try {
      state_ = PyGILState_Ensure();
    } catch (...) {
      wait_for_the_end();
    }
  }
  ~AcquireGil() { PyGILState_Release(state_); }
  AcquireGil(const AcquireGil&) = delete;
  AcquireGil& operator=(const AcquireGil&) = delete;

 private:
  PyGILState_STATE state_;
};

// Calls a user function, which may release and reacquire the GIL. No Python object of ours may be
// on the stack between the end of the thread and the wait for it.
inline pybind11::object call_user(const pybind11::object& function,
                                  const pybind11::tuple& arguments) {
  PyObject* result = nullptr;
  try {
    result = PyObject_CallObject(function.ptr(), arguments.ptr());
  } catch (...) {
    wait_for_the_end();
  }
  if (!result) throw pybind11::error_already_set();
  return pybind11::reinterpret_steal<pybind11::object>(result);
}

}  // namespace nnfast::bind
