#include <string>

#include "base/check.h"
#include "base/cpu.h"
#include "kernels/select.h"
#include "kernels/units.h"  // made by the build: NNF_UNITS

namespace nnfast {

#define NNF_DECLARE_UNIT(family, isa) void add_##family##_##isa(KernelTable&) noexcept;
#define NNF_ADD_UNIT(family, isa) add_##family##_##isa(table);
#define NNF_TABLE(isa)                      \
  NNF_UNITS(NNF_DECLARE_UNIT, isa)          \
  static const KernelTable* table_##isa() { \
    static const KernelTable made = [] {    \
      KernelTable table{};                  \
      table.name = #isa;                    \
      NNF_UNITS(NNF_ADD_UNIT, isa)          \
      return table;                         \
    }();                                    \
    return &made;                           \
  }

#if defined(NNF_HAVE_SSE2)
NNF_TABLE(sse2)
#endif
#if defined(NNF_HAVE_AVX2)
NNF_TABLE(avx2)
#endif
#if defined(NNF_HAVE_AVX512)
NNF_TABLE(avx512)
#endif
#if defined(NNF_HAVE_NEON)
NNF_TABLE(neon)
#endif
#if !defined(NNF_HAVE_SSE2) && !defined(NNF_HAVE_NEON)
#error "cmake/isa.cmake defined no baseline instruction set"
#endif

namespace {
const KernelTable* active = nullptr;
}

KernelTables available_tables() {
  KernelTables tables{};
  const CpuFeatures& cpu = cpu_features();
  static_cast<void>(cpu);
#if defined(NNF_HAVE_SSE2)
  tables.table[tables.count++] = table_sse2();
#endif
#if defined(NNF_HAVE_NEON)
  if (cpu.neon) tables.table[tables.count++] = table_neon();
#endif
#if defined(NNF_HAVE_AVX2)
  if (cpu.avx2) tables.table[tables.count++] = table_avx2();
#endif
#if defined(NNF_HAVE_AVX512)
  if (cpu.avx512) tables.table[tables.count++] = table_avx512();
#endif
  return tables;
}

void select_table(const char* name) {
  const KernelTables tables = available_tables();
  if (!name || !*name) {
    active = tables.table[tables.count - 1];
    return;
  }
  std::string valid;
  for (int i = 0; i < tables.count; ++i) {
    if (std::string(name) == tables.table[i]->name) {
      active = tables.table[i];
      return;
    }
    valid += (i ? ", " : "") + std::string(tables.table[i]->name);
  }
  throw ValueError(text("NNFAST_ISA: expected one of ", valid, " on this machine, got '", name,
                        "'; unset it to take the best"));
}

void select_table(const KernelTable& table) { active = &table; }

const KernelTable& active_table() { return *active; }

}  // namespace nnfast
