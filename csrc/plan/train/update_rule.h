// Interface of the files in optimizers/: the state of a parameter, and how a step changes both.
#pragma once

#include <memory>
#include <vector>

#include "base/registry.h"
#include "plan/graph/spec.h"

namespace nnfast::plan {

// The meaning of the numbers of a state vector, which determines their sign and size.
enum class Holds {
  gradients,  // moving averages of gradients
  squares,    // moving averages of their squares, non-negative
  moves,      // added to parameters, proportional to the learning rate
};

struct StateVector {
  const char* name;
  Holds holds;
};

// Maximum number of state vectors of an optimizer.
constexpr size_t kMaxStateVectors = 4;

// A range of the flat vectors, of parameters that have made the same number of steps.
template <class T>
struct Stretch {
  T* values;
  const T* gradients;
  T* const* state;  // in the order of the rule's state()
  index_t size;
  uint64_t step;  // the number of this step, from 1
};

template <class T>
class UpdateRule {
 public:
  virtual ~UpdateRule() = default;

  virtual std::vector<StateVector> state() const = 0;
  virtual void update(const Stretch<T>& of, double learning_rate) const = 0;
  // Upper bound of how far a step moves a parameter, in units of the largest gradient so far.
  virtual double gain(double learning_rate) const = 0;
};

struct OptimizerKind {
  const char* name;
  const char* attributes;  // in the format of require_known()
  std::unique_ptr<UpdateRule<float>> (*make_float)(const NodeSpec& spec);
  std::unique_ptr<UpdateRule<double>> (*make_double)(const NodeSpec& spec);
};

// For a class template Rule<T> that is constructed from its description.
template <template <class> class Rule>
OptimizerKind optimizer_kind(const char* name, const char* attributes) {
  return {name, attributes,
          [](const NodeSpec& spec) -> std::unique_ptr<UpdateRule<float>> {
            return std::make_unique<Rule<float>>(spec);
          },
          [](const NodeSpec& spec) -> std::unique_ptr<UpdateRule<double>> {
            return std::make_unique<Rule<double>>(spec);
          }};
}

// Names of all optimizers.
std::vector<std::string> optimizer_names();

template <class T>
std::unique_ptr<UpdateRule<T>> make_update_rule(const NodeSpec& spec);

// The attribute, or an error unless it is in [0, 1).
double fraction(const NodeSpec& spec, const char* key, double otherwise);

}  // namespace nnfast::plan
