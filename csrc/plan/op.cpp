#include "plan/op.h"

#include "ops/reduce.h"

namespace nnfast::plan {

template <class T>
Magnitude magnitude_of_gradients(const std::vector<Parameter<T>*>& parameters) {
  Magnitude found = Magnitude::moderate;
  for (const Parameter<T>* parameter : parameters) {
    if (!parameter->gradient || all_moderate(parameter->gradient, parameter->size)) continue;
    if (!all_finite(parameter->gradient, parameter->size)) return Magnitude::not_finite;
    found = Magnitude::finite;
  }
  return found;
}

template <class T>
Magnitude Op<T>::check_gradients() const {
  return magnitude_of_gradients(parameters);
}

template Magnitude magnitude_of_gradients(const std::vector<Parameter<float>*>&);
template Magnitude magnitude_of_gradients(const std::vector<Parameter<double>*>&);
template class Op<float>;
template class Op<double>;

}  // namespace nnfast::plan
