// Why a step made something that is not finite.
#pragma once

#include "plan/inputs.h"
#include "plan/train/objective.h"
#include "plan/train/optimizer.h"

namespace nnfast::plan {

// Throws the error that names the first thing that was not finite: an input, a parameter, an op's output, the loss or
// a gradient. Runs the pass once more for that, op by op, on the batch that was loaded; `run_backward` runs the
// backward pass.
template <class T>
[[noreturn]] void explain_non_finite(const Program<T>& program, const Run& run, const Batch& batch,
                                     const std::function<double()>& loss,
                                     const std::function<void()>& run_backward);

// The error of a gradient that became not finite after the backward pass.
template <class T>
[[noreturn]] void explain_gradient(const Program<T>& program, const std::string& where);

template <class T>
[[noreturn]] void explain_overflow(const typename Optimizer<T>::Overflow& found,
                                   const std::string& where);

}  // namespace nnfast::plan
