// What the machine is and how much of it this process may use.
#pragma once

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

}  // namespace nnfast
