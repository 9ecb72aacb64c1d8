// Processing of the flat gradient between backward pass and update. Its stages, all optional: the
// sum over the parts of a batch (gradient_sum.h), a user-defined function, decay, clipping.
#pragma once

#include <functional>
#include <vector>

#include "plan/program.h"

namespace nnfast::plan {

// A user-defined function, which may change the gradients of the parameters in place.
template <class T>
using GradientCallback = std::function<void(const std::vector<Parameter<T>*>& parameters)>;

template <class T>
class GradientPipeline {
 public:
  GradientPipeline(const PlanOptions& options, const Program<T>& program,
                   GradientCallback<T> callback);

  // All stages, on finite gradients of the given magnitude; returns their magnitude afterwards, or
  // a bound of it.
  Magnitude run(Magnitude magnitude);

  // The magnitude of the current gradients.
  Magnitude measure() const;

 private:
  void clip(Magnitude magnitude);

  std::vector<Parameter<T>*> learning_, decaying_;
  double decay_ = 0;
  double value_limit_ = 0, norm_limit_ = 0, global_norm_limit_ = 0;  // 0: none
  GradientCallback<T> callback_;
};

}  // namespace nnfast::plan
