// Constraints of parameters, restored after each update.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "ops/norm_limit.h"
#include "plan/op.h"

namespace nnfast::plan {

template <class T>
class Constraints {
 public:
  // For those of the parameters that are trained. A description is "non_neg", or "norm" with the
  // attributes min, max, rate (NormLimits) and axes.
  Constraints(const std::map<std::string, NodeSpec>& constraints,
              const std::vector<std::unique_ptr<Parameter<T>>>& parameters);

  void apply();

 private:
  struct Limited {
    Parameter<T>* parameter;
    NormLimit limit;
    NormLimits limits;
  };

  std::vector<Parameter<T>*> non_negative_;
  std::vector<Limited> limited_;
  AlignedBuffer<T> scratch_;
};

}  // namespace nnfast::plan
