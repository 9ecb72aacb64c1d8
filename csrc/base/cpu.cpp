#include "base/cpu.h"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>

#if defined(__x86_64__) || defined(_M_X64)
#define NNF_X86_64 1
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif
#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif
#if defined(__linux__) || defined(__APPLE__)
#include <unistd.h>
#elif defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#endif

namespace nnfast {
namespace {

#ifdef NNF_X86_64
struct Registers {
  uint32_t eax, ebx, ecx, edx;
};

Registers cpuid(uint32_t leaf, uint32_t subleaf) {
#if defined(_MSC_VER)
  int r[4];
  __cpuidex(r, static_cast<int>(leaf), static_cast<int>(subleaf));
  return {static_cast<uint32_t>(r[0]), static_cast<uint32_t>(r[1]), static_cast<uint32_t>(r[2]),
          static_cast<uint32_t>(r[3])};
#else
  Registers r{};
  __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;
#endif
}

// Register sets that the operating system saves on a context switch.
uint64_t saved_state() {
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
#endif
}

bool bit(uint32_t word, int position) { return (word >> position & 1u) != 0; }

CpuFeatures detect() {
  CpuFeatures features;
  if (cpuid(0, 0).eax < 7) return features;
  const Registers one = cpuid(1, 0);
  const bool os_saves = bit(one.ecx, 27);
  if (!os_saves) return features;
  const uint64_t state = saved_state();
  const bool ymm = (state & 0x06) == 0x06;
  const bool zmm = (state & 0xe6) == 0xe6;
  const Registers seven = cpuid(7, 0);
  const bool fma = bit(one.ecx, 12);
  features.avx2 = ymm && fma && bit(one.ecx, 28) && bit(seven.ebx, 5);
  const bool f = bit(seven.ebx, 16), dq = bit(seven.ebx, 17), bw = bit(seven.ebx, 30),
             vl = bit(seven.ebx, 31);
  features.avx512 = features.avx2 && zmm && f && dq && bw && vl;
  return features;
}
#else
CpuFeatures detect() {
  CpuFeatures features;
  features.neon = true;
  return features;
}
#endif

#if defined(__linux__)
// The smallest quota of this process's cgroup and its ancestors; 0 if there is none. In a
// container, the path of the cgroup is one of the host, and the quota is set on the container's own
// root.
double cgroup_v2_quota() {
  std::string path;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (line.rfind("0::", 0) == 0) path = line.substr(3);
  }
  double smallest = 0;
  for (;;) {
    std::ifstream file("/sys/fs/cgroup" + path + "/cpu.max");
    std::string quota;
    double period = 0;
    if (file >> quota >> period && quota != "max" && period > 0) {
      const double here = std::strtod(quota.c_str(), nullptr) / period;
      if (here > 0 && (smallest == 0 || here < smallest)) smallest = here;
    }
    if (path.empty()) return smallest;
    path.resize(path.find_last_of('/') == std::string::npos ? 0 : path.find_last_of('/'));
  }
}

// Processor quota of the cgroup, or 0 if there is none.
double cgroup_quota() {
  if (const double smallest = cgroup_v2_quota()) return smallest;
  std::ifstream quota_v1("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::ifstream period_v1("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  double value = 0, period = 0;
  if (quota_v1 >> value && period_v1 >> period && value > 0 && period > 0) return value / period;
  return 0;
}
#endif

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

std::string cpu_name() {
#ifdef NNF_X86_64
  if (cpuid(0x80000000u, 0).eax >= 0x80000004u) {
    char name[49] = {};
    for (uint32_t leaf = 0; leaf < 3; ++leaf) {
      const Registers r = cpuid(0x80000002u + leaf, 0);
      std::memcpy(name + 16 * leaf, &r, 16);
    }
    const char* first = name;
    while (*first == ' ') ++first;
    return first;
  }
#elif defined(__APPLE__)
  char name[128] = {};
  size_t size = sizeof(name) - 1;
  if (sysctlbyname("machdep.cpu.brand_string", name, &size, nullptr, 0) == 0) return name;
#elif defined(__linux__)
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
#endif
  return "unknown processor";
}

int available_processors() {
  int count = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof(mask), &mask) == 0) count = CPU_COUNT(&mask);
  const double quota = cgroup_quota();
  if (quota > 0 && quota < count) count = static_cast<int>(quota + 0.5);
#endif
  return count < 1 ? 1 : count;
}

size_t machine_memory() {
#if defined(__linux__) || defined(__APPLE__)
  const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  if (pages > 0 && size > 0) return static_cast<size_t>(pages) * static_cast<size_t>(size);
#elif defined(_WIN32)
  MEMORYSTATUSEX status;
  status.dwLength = sizeof(status);
  if (GlobalMemoryStatusEx(&status)) return static_cast<size_t>(status.ullTotalPhys);
#endif
  return SIZE_MAX;
}

int current_processor() {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

#if defined(__linux__)
AwayFromProcessor::AwayFromProcessor(int processor) {
  if (processor < 0 || sched_getaffinity(0, sizeof(before_), &before_) != 0) return;
  cpu_set_t others = before_;
  CPU_CLR(processor, &others);
  away_ = CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof(others), &others) == 0;
}

AwayFromProcessor::~AwayFromProcessor() {
  if (away_) sched_setaffinity(0, sizeof(before_), &before_);
}
#else
AwayFromProcessor::AwayFromProcessor(int) {}
AwayFromProcessor::~AwayFromProcessor() = default;
#endif

}  // namespace nnfast
