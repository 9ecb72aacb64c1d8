#include "plan/op.h"

#include "ops/reduce.h"

namespace nnfast::plan {

template <class T>
Magnitude Op<T>::check_gradients() const {
  Magnitude found = Magnitude::moderate;
  for (const Parameter<T>* parameter : parameters) {
    if (!parameter->gradient || all_moderate(parameter->gradient, parameter->size)) continue;
    if (!all_finite(parameter->gradient, parameter->size)) return Magnitude::not_finite;
    found = Magnitude::finite;
  }
  return found;
}
template class Op<float>;
template class Op<double>;

}  // namespace nnfast::plan
