// Properties of the machine, and the share of it that this process may use.
#pragma once

#if defined(__linux__)
#include <sched.h>
#endif

#include <cstddef>
#include <string>
#include <vector>

namespace nnfast {

struct CpuFeatures {
  bool avx2 = false;    // AVX2 and FMA, with registers saved by the operating system
  bool avx512 = false;  // AVX-512 F, BW, DQ and VL, likewise
  bool neon = false;    // Advanced SIMD, on every 64-bit Arm
};

const CpuFeatures& cpu_features();
std::string cpu_name();

// Number of processors in the affinity mask of this process, limited by its cgroup quota; at least
// 1.
int available_processors();

// Memory of the machine in bytes, or SIZE_MAX if unknown.
size_t machine_memory();

// The processor that runs this thread, or -1 if unknown.
int current_processor();

// While it exists, keeps this thread off a processor, if another one is allowed. -1: no
// restriction.
class AwayFromProcessor {
 public:
  explicit AwayFromProcessor(int processor);
  ~AwayFromProcessor();
  AwayFromProcessor(const AwayFromProcessor&) = delete;
  AwayFromProcessor& operator=(const AwayFromProcessor&) = delete;

 private:
#if defined(__linux__)
  cpu_set_t before_;
  bool away_ = false;
#endif
};

}  // namespace nnfast
