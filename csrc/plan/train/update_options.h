// What a step does besides the optimizer's rule, as asked for by the user; by full names of parameters.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "plan/graph/spec.h"

namespace nnfast::plan {

// The penalty l1 |p| + l2 p^2 of each element, part of the loss.
struct Regularizer {
  double l1 = 0, l2 = 0;
};

struct UpdateOptions {
  index_t batches = 1;                           // whose gradients make an update, see Accumulation
  std::map<std::string, double> learning_rates;  // factors of the learning rate; 1 by default
  std::map<std::string, double> weight_decays;   // decoupled; 0 by default
  std::map<std::string, NodeSpec> constraints;   // see Constraints
  std::optional<NodeSpec> average;               // see WeightAverage
};

// The value of the map for a parameter.
inline double value_or(const std::map<std::string, double>& values, const std::string& name,
                       double otherwise) {
  const auto found = values.find(name);
  return found == values.end() ? otherwise : found->second;
}

}  // namespace nnfast::plan
