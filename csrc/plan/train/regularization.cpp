#include "plan/train/regularization.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "ops/reduce.h"
#include "ops/weights.h"

namespace nnfast::plan {

template <class T>
Regularization<T>::Regularization(const std::map<std::string, Regularizer>& regularizers,
                                  const std::vector<std::unique_ptr<Parameter<T>>>& parameters) {
  for (const auto& [name, regularizer] : regularizers) {
    require(std::isfinite(regularizer.l1) && regularizer.l1 >= 0 && std::isfinite(regularizer.l2) &&
                regularizer.l2 >= 0,
            name, ": expected a regularizer with finite l1 and l2 of 0 or more");
  }
  for (const auto& parameter : parameters) {
    const auto found = regularizers.find(parameter->name);
    if (parameter->gradient && found != regularizers.end())
      terms_.push_back({parameter.get(), found->second});
  }
}

template <class T>
double Regularization<T>::sum(bool with_gradients) const {
  double total = 0;
  for (const Term& term : terms_) {
    const Parameter<T>& p = *term.parameter;
    const double penalty = regularize(with_gradients ? p.gradient : nullptr, p.value, p.size,
                                      term.regularizer.l1, term.regularizer.l2);
    if (with_gradients && !std::isfinite(penalty)) {
      throw StateError(text(p.name,
                            ": expected a finite penalty of the regularizer, got NaN or infinity; "
                            "load parameters that were saved before, and lower the learning rate"));
    }
    total += penalty;
  }
  return total;
}

// An element of a gradient grows by at most l1 + 2 l2 |p|, where l2 p^2 is at most the penalty. Updates have room for
// twice the largest moderate number, see Optimizer::cannot_overflow().
template <class T>
Magnitude Regularization<T>::magnitude_after(Magnitude before, double penalty) const {
  if (before != Magnitude::moderate) {
    std::vector<Parameter<T>*> changed;
    for (const Term& term : terms_) changed.push_back(term.parameter);
    return std::max(before, magnitude_of_gradients(changed));
  }
  for (const Term& term : terms_) {
    const Regularizer& r = term.regularizer;
    if (r.l1 + 2 * std::sqrt(r.l2 * penalty) > kModerate<T> / 2) return Magnitude::finite;
  }
  return before;
}

template class Regularization<float>;
template class Regularization<double>;

}  // namespace nnfast::plan
