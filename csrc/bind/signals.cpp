#include "bind/signals.h"

#include <pybind11/pybind11.h>

#include <atomic>

#if !defined(_WIN32)
#include <pthread.h>
#endif

#include "base/interrupt.h"
#include "base/thread_pool.h"
#include "bind/gil.h"

namespace nnfast::bind {
namespace {

namespace py = pybind11;

std::atomic<unsigned long> main_thread{0};

// Python handles signals only in its main thread.
void raise_what_a_signal_raises() {
  if (PyThread_get_thread_ident() != main_thread.load(std::memory_order_relaxed)) return;
  const AcquireGil acquire;
  const JobSetAside aside;  // a signal handler may use the library
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

}  // namespace

void watch_signals() {
  const py::object thread = py::module_::import("threading").attr("main_thread")();
  main_thread.store(thread.attr("ident").cast<unsigned long>(), std::memory_order_relaxed);
#if !defined(_WIN32)
  // A thread that forks becomes the main thread of the child.
  pthread_atfork(nullptr, nullptr,
                 [] { main_thread.store(PyThread_get_thread_ident(), std::memory_order_relaxed); });
#endif
  set_interrupt_check(&raise_what_a_signal_raises);
}

}  // namespace nnfast::bind
