#include "ops/tensor/elementwise.h"

#include <cstddef>

namespace nnfast {
namespace {

struct UnaryEntry {
  const char* name;
  bool differentiable;
  UnaryReads reads;
  double cost;
};

struct BinaryEntry {
  const char* name;
  bool differentiable;
  BinaryReads reads;
  double cost;
};

// In the order of the enums.
constexpr UnaryEntry kUnary[] = {
    {"negative", true, {false, false}, 0.1},
    {"abs", true, {true, false}, 0.1},
    {"sign", false, {false, false}, 0.1},
    {"square", true, {true, false}, 0.1},
    {"sqrt", true, {false, true}, 0.4},
    {"rsqrt", true, {false, true}, 0.8},
    {"reciprocal", true, {false, true}, 0.4},
    {"exp", true, {false, true}, 0.5},
    {"expm1", true, {false, true}, 0.5},
    {"log", true, {true, false}, 0.6},
    {"log1p", true, {true, false}, 0.8},
    {"sin", true, {true, false}, 3},
    {"cos", true, {true, false}, 3},
    {"tanh", true, {false, true}, 0.6},
    {"erf", true, {true, false}, 0.8},
    {"floor", false, {false, false}, 0.1},
    {"ceil", false, {false, false}, 0.1},
    {"round", false, {false, false}, 0.1},
    {"logical_not", false, {false, false}, 0.1},
    {"is_finite", false, {false, false}, 0.1},
    {"is_nan", false, {false, false}, 0.1},
};

constexpr BinaryEntry kBinary[] = {
    {"add", true, {false, false, false}, 0.1},
    {"subtract", true, {false, false, false}, 0.1},
    {"multiply", true, {true, true, false}, 0.1},
    {"divide", true, {false, true, true}, 0.4},
    {"power", true, {true, true, true}, 5},
    {"maximum", true, {true, true, false}, 0.1},
    {"minimum", true, {true, true, false}, 0.1},
    {"equal", false, {false, false, false}, 0.1},
    {"not_equal", false, {false, false, false}, 0.1},
    {"less", false, {false, false, false}, 0.1},
    {"less_equal", false, {false, false, false}, 0.1},
    {"greater", false, {false, false, false}, 0.1},
    {"greater_equal", false, {false, false, false}, 0.1},
    {"logical_and", false, {false, false, false}, 0.1},
    {"logical_or", false, {false, false, false}, 0.1},
    {"logical_xor", false, {false, false, false}, 0.1},
    {"floor_divide", false, {false, false, false}, 2},
    {"mod", true, {true, true, false}, 2},
};

static_assert(sizeof(kUnary) / sizeof(*kUnary) == static_cast<size_t>(Unary::is_nan) + 1);
static_assert(sizeof(kBinary) / sizeof(*kBinary) == static_cast<size_t>(Binary::mod) + 1);

const UnaryEntry& entry(Unary f) { return kUnary[static_cast<int>(f)]; }
const BinaryEntry& entry(Binary f) { return kBinary[static_cast<int>(f)]; }

template <class Entry, size_t N>
std::vector<std::string> names_of(const Entry (&entries)[N]) {
  std::vector<std::string> names;
  for (const Entry& e : entries) names.push_back(e.name);
  return names;
}

template <class F, class Entry, size_t N>
std::optional<F> find(const Entry (&entries)[N], const std::string& name) {
  for (size_t i = 0; i < N; ++i) {
    if (name == entries[i].name) return static_cast<F>(i);
  }
  return std::nullopt;
}

}  // namespace

const char* name_of(Unary f) { return entry(f).name; }
const char* name_of(Binary f) { return entry(f).name; }
const std::vector<std::string>& unary_names() {
  static const std::vector<std::string> names = names_of(kUnary);
  return names;
}
const std::vector<std::string>& binary_names() {
  static const std::vector<std::string> names = names_of(kBinary);
  return names;
}
std::optional<Unary> find_unary(const std::string& name) { return find<Unary>(kUnary, name); }
std::optional<Binary> find_binary(const std::string& name) { return find<Binary>(kBinary, name); }
bool is_differentiable(Unary f) { return entry(f).differentiable; }
bool is_differentiable(Binary f) { return entry(f).differentiable; }
UnaryReads gradient_reads(Unary f) { return entry(f).reads; }
BinaryReads gradient_reads(Binary f) { return entry(f).reads; }
double cost_of(Unary f) { return entry(f).cost; }
double cost_of(Binary f) { return entry(f).cost; }

}  // namespace nnfast
