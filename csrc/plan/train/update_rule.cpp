#include "plan/train/update_rule.h"

#include <cfloat>
#include <cmath>

namespace nnfast::plan {
namespace {

const OptimizerKind& find_kind(const NodeSpec& spec) {
  const OptimizerKind* kind = Registered<OptimizerKind>::find(spec.op);
  if (kind) {
    require_known(spec, kind->attributes);
    return *kind;
  }
  throw ValueError(
      text("optimizer: expected one of ", join_names(optimizer_names()), "; got '", spec.op, "'"));
}

}  // namespace

std::vector<std::string> optimizer_names() { return Registered<OptimizerKind>::names(); }

template <>
std::unique_ptr<UpdateRule<float>> make_update_rule<float>(const NodeSpec& spec) {
  return find_kind(spec).make_float(spec);
}
template <>
std::unique_ptr<UpdateRule<double>> make_update_rule<double>(const NodeSpec& spec) {
  return find_kind(spec).make_double(spec);
}

double fraction(const NodeSpec& spec, const char* key, double otherwise) {
  const double value = spec.number_or(key, otherwise);
  require(value >= 0 && value < 1, spec.op, ": expected 0 <= ", key, " < 1, got ", value);
  return value;
}

double positive_epsilon(const NodeSpec& spec) {
  const double value = spec.number_or("epsilon", 1e-7);
  require(value >= FLT_MIN && std::isfinite(value), spec.op,
          ": expected a finite epsilon >= 2^-126, got ", value);
  return value;
}

}  // namespace nnfast::plan
