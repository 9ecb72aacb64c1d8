#include "plan/train/constraints.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/thread_pool.h"
#include "kernels/select.h"

namespace nnfast::plan {
namespace {

NormLimits limits_of(const NodeSpec& spec, const std::string& name) {
  require_known(spec, "min max rate axes");
  const NormLimits limits = {spec.number("min"), spec.number("max"), spec.number("rate")};
  require(limits.least >= 0 && limits.least <= limits.most && std::isfinite(limits.most) &&
              limits.rate >= 0 && limits.rate <= 1,
          name, ": expected a constraint of norms with 0 <= min <= max and 0 <= rate <= 1, got ",
          limits.least, ", ", limits.most, " and ", limits.rate);
  return limits;
}

NormLimit limit_of(const NodeSpec& spec, const std::string& name, const Shape& shape) {
  const int rank = static_cast<int>(shape.size());
  require(rank <= kMaxAxes, name, ": expected at most ", kMaxAxes,
          " axes of a parameter whose norms are constrained, got ", rank);
  Dims dims;
  dims.rank = rank;
  std::copy(shape.begin(), shape.end(), dims.size);
  AxisSet axes = 0;
  for (const int64_t axis : spec.integers("axes")) {
    require(axis >= -rank && axis < rank, name, ": expected a constraint along axes of ",
            shape_text({shape, false}), ", got axis ", axis);
    axes |= AxisSet(1) << (axis < 0 ? axis + rank : axis);
  }
  return NormLimit(dims, axes);
}

}  // namespace

template <class T>
Constraints<T>::Constraints(const std::map<std::string, NodeSpec>& constraints,
                            const std::vector<std::unique_ptr<Parameter<T>>>& parameters) {
  index_t scratch = 0;
  for (const auto& parameter : parameters) {
    const auto found = constraints.find(parameter->name);
    if (!parameter->gradient || found == constraints.end()) continue;
    const NodeSpec& spec = found->second;
    if (spec.op == "non_neg") {
      non_negative_.push_back(parameter.get());
      continue;
    }
    require(spec.op == "norm", parameter->name, ": expected a constraint non_neg or norm, got ",
            spec.op);
    limited_.push_back({parameter.get(), limit_of(spec, parameter->name, parameter->shape),
                        limits_of(spec, parameter->name)});
    scratch = std::max(scratch, limited_.back().limit.scratch_size());
  }
  scratch_ = AlignedBuffer<T>(static_cast<size_t>(scratch));
}

template <class T>
void Constraints<T>::apply() {
  constexpr double cost = 0.1;
  for (const Parameter<T>* parameter : non_negative_) {
    T* const p = parameter->value;
    const double work = cost * static_cast<double>(parameter->size);
    parallel_ranges(parameter->size, 64, work, [p](index_t begin, index_t end) {
      kernels<T>().clip(p + begin, p + begin, end - begin, 0, std::numeric_limits<T>::infinity());
    });
  }
  for (const Limited& each : limited_)
    each.limit.apply(each.parameter->value, each.limits, scratch_.data());
}

template class Constraints<float>;
template class Constraints<double>;

}  // namespace nnfast::plan
