// What the machine is and how much of it this process may use.
#pragma once

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
// Moves this thread off that processor if it may run on another; its affinity stays as it was.
void leave_processor(int processor);

}  // namespace nnfast
