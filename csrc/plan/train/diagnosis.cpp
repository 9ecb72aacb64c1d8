#include "plan/train/diagnosis.h"

#include <algorithm>
#include <cmath>

#include "ops/reduce.h"

namespace nnfast::plan {
namespace {

constexpr const char* kRemedy =
    "; the parameters are those before it. A smaller learning rate often helps";

template <class T>
void require_finite_gradients(const Program<T>& program, const std::string& where) {
  for (const auto& parameter : program.parameters) {
    if (parameter->gradient && !all_finite(parameter->gradient, parameter->size)) {
      throw StateError(text(parameter->name,
                            ": expected a finite gradient, got NaN or infinity, in ", where,
                            kRemedy));
    }
  }
}

}  // namespace

template <class T>
void explain_non_finite(const Program<T>& program, const Run& run, const Batch& batch,
                        const std::function<double()>& loss,
                        const std::function<void()>& run_backward) {
  const std::string where = name_of_batch(batch);
  for (const auto& parameter : program.parameters) {
    if (!all_finite(parameter->value, parameter->size)) {
      throw StateError(
          text(parameter->name, ": expected finite parameters, got NaN or infinity before ", where,
               "; load parameters that were saved before, and lower the learning rate"));
    }
  }
  for (const auto& op : program.ops) {
    op->forward(run);
    const auto is_finite = [&batch](const Tensor<T>* output) {
      return all_finite(output->value, output->elements(batch.rows));
    };
    if (!std::all_of(op->outputs.begin(), op->outputs.end(), is_finite)) {
      throw StateError(
          text(op->name, ": expected finite outputs, got NaN or infinity, in ", where, kRemedy));
    }
  }
  if (!std::isfinite(loss())) {
    throw StateError(
        text("loss: expected a finite number, got NaN or infinity, in ", where, kRemedy));
  }
  run_backward();
  explain_gradient(program, where);
}

template <class T>
void explain_gradient(const Program<T>& program, const std::string& where) {
  require_finite_gradients(program, where);
  throw StateError(
      text("network: expected finite numbers, got NaN or infinity, in ", where, kRemedy));
}

template <class T>
void explain_overflow(const typename Optimizer<T>::Overflow& found, const std::string& where) {
  throw StateError(text(found.parameter->name, ": expected an update to a finite ", found.what,
                        ", got NaN or infinity, in ", where,
                        "; the parameters are those before it. ",
                        found.whatever_the_rate ? "Scale inputs and targets to sizes near 1"
                                                : "A smaller learning rate often helps"));
}

template void explain_non_finite<float>(const Program<float>&, const Run&, const Batch&,
                                        const std::function<double()>&,
                                        const std::function<void()>&);
template void explain_non_finite<double>(const Program<double>&, const Run&, const Batch&,
                                         const std::function<double()>&,
                                         const std::function<void()>&);
template void explain_gradient<float>(const Program<float>&, const std::string&);
template void explain_gradient<double>(const Program<double>&, const std::string&);
template void explain_overflow<float>(const Optimizer<float>::Overflow&, const std::string&);
template void explain_overflow<double>(const Optimizer<double>::Overflow&, const std::string&);

}  // namespace nnfast::plan
