// The machine, and the names known to the core.
#include <pybind11/stl.h>

#include <chrono>

#include "base/cpu.h"
#include "base/thread_pool.h"
#include "bind/arrays.h"
#include "bind/bind.h"
#include "bind/gil.h"
#include "kernels/select.h"
#include "ops/activation.h"
#include "ops/loss.h"
#include "plan/kind.h"
#include "plan/train/update_rule.h"

namespace nnfast::bind {
namespace {

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  const KernelTables tables = available_tables();
  for (int i = 0; i < tables.count; ++i) names.emplace_back(tables.table[i]->name);
  return names;
}

std::vector<std::string> feature_names() {
  std::vector<std::string> names;
  const CpuFeatures& cpu = cpu_features();
  if (cpu.avx2) names.emplace_back("avx2");
  if (cpu.avx512) names.emplace_back("avx512");
  if (cpu.neon) names.emplace_back("neon");
  return names;
}

std::vector<std::string> kernel_names() {
  return {
#define NNF_FAMILY(family) 1
#define NNF_KERNEL(name, result, arguments) #name,
#include "kernels/kernels.def"
#undef NNF_KERNEL
#undef NNF_FAMILY
  };
}

std::string compiler() {
#if defined(__clang__)
  return "Clang " __clang_version__;
#elif defined(__GNUC__)
  return "GCC " __VERSION__;
#elif defined(_MSC_VER)
  return "MSVC " + std::to_string(_MSC_VER);
#else
  return "unknown";
#endif
}

// The best of several short runs: floating-point operations of fma per nanosecond.
template <class T>
double peak_of_one_thread(double seconds) {
  using clock = std::chrono::steady_clock;
  constexpr int64_t iterations = 50000;
  const Kernels<T>& table = kernels<T>();
  const double operations = 2.0 * static_cast<double>(iterations) * table.lanes * table.fma_chains;
  const auto start = clock::now();
  double best = 0;
  volatile double sink = 0;
  do {
    const auto before = clock::now();
    sink = table.fma_peak(iterations);
    const std::chrono::duration<double, std::nano> took = clock::now() - before;
    best = std::max(best, operations / took.count());
  } while (std::chrono::duration<double>(clock::now() - start).count() < seconds);
  static_cast<void>(sink);
  return best;
}

double peak_gflops(const std::string& dtype, double seconds) {
  const ReleaseGil release;
  return with_type(dtype, "peak_gflops",
                   [&](auto t) { return peak_of_one_thread<decltype(t)>(seconds); });
}

}  // namespace

void add_machine(py::module_& module) {
  module.def("isa_name", [] { return active_table().name; });
  module.def("available_isas", &available_isas);
  module.def("cpu_name", &cpu_name);
  module.def("cpu_features", &feature_names);
  module.def("compiler", &compiler);
  module.def("get_num_threads", &get_num_threads);
  module.def("set_num_threads", &set_num_threads, py::arg("n"), py::call_guard<ReleaseGil>());
  module.def("peak_gflops", &peak_gflops, py::arg("dtype"), py::arg("seconds"));
  module.def("kernel_names", &kernel_names);
  module.def("op_names", &plan::op_names);
  module.def("activation_names", &activation_names);
  module.def("loss_names", &loss_names);
  module.def("optimizer_names", &plan::optimizer_names);
}

}  // namespace nnfast::bind
