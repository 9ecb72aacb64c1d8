// Penalties on parameters, which are part of the loss and of the gradient.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "plan/op.h"
#include "plan/train/update_options.h"

namespace nnfast::plan {

template <class T>
class Regularization {
 public:
  // For those of the parameters that are trained.
  Regularization(const std::map<std::string, Regularizer>& regularizers,
                 const std::vector<std::unique_ptr<Parameter<T>>>& parameters);

  // The sum of the penalties.
  double value() const { return sum(false); }
  // Likewise, or an error if it is not finite; adds the gradients to those of the parameters. After
  // a backward pass, once a batch.
  double add_gradients() const { return sum(true); }
  // The magnitude of gradients after that, from that before.
  Magnitude magnitude_after(Magnitude before, double penalty) const;

 private:
  struct Term {
    Parameter<T>* parameter;
    Regularizer regularizer;
  };
  double sum(bool with_gradients) const;

  std::vector<Term> terms_;
};

}  // namespace nnfast::plan
