#include <cstdlib>

#include "base/thread_pool.h"
#include "bind/bind.h"
#include "bind/signals.h"
#include "kernels/select.h"

namespace py = pybind11;

// NumPy, pybind11's state and the thread pool belong to one interpreter; a second one would wait
// forever for a lock of the first.
PYBIND11_MODULE(_core_of_main, module, py::mod_gil_not_used()) {
  module.doc() =
      "The compiled core of nnfast. Private: the public names are in the Python modules.";
  module.attr("__version__") = NNFAST_VERSION;
  // Not in a static initializer, so that an invalid name raises an ImportError.
  try {
    nnfast::select_table(std::getenv("NNFAST_ISA"));
    nnfast::get_num_threads();  // reads NNFAST_NUM_THREADS
  } catch (const std::invalid_argument& error) {
    throw py::import_error(error.what());
  }
  nnfast::bind::watch_signals();
  nnfast::bind::add_machine(module);
  nnfast::bind::add_kernels(module);
  nnfast::bind::add_attention_kernels(module);
  nnfast::bind::add_conv_kernels(module);
  nnfast::bind::add_pool_kernels(module);
  nnfast::bind::add_norm_kernels(module);
  nnfast::bind::add_recurrent_kernels(module);
  nnfast::bind::add_augment_kernels(module);
  nnfast::bind::add_elementwise_kernels(module);
  nnfast::bind::add_update_kernels(module);
  nnfast::bind::add_evaluate(module);
  nnfast::bind::add_metrics(module);
  nnfast::bind::add_graph(module);
  nnfast::bind::add_plan(module);
  nnfast::bind::add_predictor(module);
}

extern "C" PYBIND11_EXPORT PyObject* PyInit__core() {
  if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
    PyErr_SetString(
        PyExc_ImportError,
        "nnfast: expected the main interpreter, got a subinterpreter; use threads or processes");
    return nullptr;
  }
  return PyInit__core_of_main();
}
