#include <cstdlib>

#include "base/thread_pool.h"
#include "bind/bind.h"
#include "kernels/select.h"

namespace py = pybind11;

PYBIND11_MODULE(_core, module, py::mod_gil_not_used()) {
  module.doc() =
      "The compiled core of nnfast. Private: the public names are in the Python modules.";
  module.attr("__version__") = NNFAST_VERSION;
  // Here and not in a static initialiser, so that a wrong name is an ImportError.
  try {
    nnfast::select_table(std::getenv("NNFAST_ISA"));
    nnfast::get_num_threads();  // reads NNFAST_NUM_THREADS
  } catch (const std::invalid_argument& error) {
    throw py::import_error(error.what());
  }
  nnfast::bind::add_machine(module);
  nnfast::bind::add_kernels(module);
  nnfast::bind::add_conv_kernels(module);
  nnfast::bind::add_pool_kernels(module);
  nnfast::bind::add_norm_kernels(module);
  nnfast::bind::add_augment_kernels(module);
  nnfast::bind::add_plan(module);
}
