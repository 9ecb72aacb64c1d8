// What the machine is and how much of it this process may use.
#pragma once

#if defined(__linux__)
#include <sched.h>
#endif

#include <cstddef>
#include <string>
#include <vector>

namespace nnfast {

struct CpuFeatures {
  bool avx2 = false;    // AVX2 and FMA, and the operating system saves the registers
  bool avx512 = false;  // AVX-512 F, BW, DQ and VL, likewise
  bool neon = false;    // Advanced SIMD, on every 64-bit Arm
};

const CpuFeatures& cpu_features();
std::string cpu_name();

// Processors in this process's affinity mask, limited by its control group's quota; at least 1.
int available_processors();

// Bytes of memory of the machine, or SIZE_MAX where the system does not say.
size_t machine_memory();

// The processor that runs this thread, or -1 where the system does not say.
int current_processor();

// Keeps this thread off a processor while it lives, where the thread may run on another. -1: off none.
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
