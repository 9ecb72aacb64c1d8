// Interface of the files in optimizers/: the state of a parameter, and how a step changes both.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/aligned.h"
#include "base/registry.h"
#include "plan/op.h"

namespace nnfast::plan {

// The meaning of the numbers of a state vector, which determines their sign and size.
enum class Holds {
  gradients,  // moving averages of gradients
  sizes,      // maxima of their absolute values, non-negative
  squares,    // averages, maxima or sums of their squares, non-negative
  moves,      // added to parameters, proportional to the learning rate
};

struct StateVector {
  const char* name;
  Holds holds;
  double initial = 0;  // before the first step
  // Whether moderate gradients may take moderate numbers further, if not beyond the largest number,
  // so that each step has to look at them.
  bool grows = false;
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
  uint64_t step;                            // the number of this step, from 1
  const Parameter<T>* parameter = nullptr;  // the only one, if UpdateRule::by_parameter()
};

// A state vector, flat like the parameters.
template <class T>
struct State {
  StateVector what;
  AlignedBuffer<T> numbers;
};

// A range of the flat vector that is trained, of parameters with the same number of steps.
struct TrainedRange {
  index_t begin, size;
  uint64_t steps;
  double rate;  // factor of the learning rate
};

// The loss of a batch as a function of the parameters.
template <class T>
struct Search {
  T* values;
  const T* gradients;
  index_t size;  // of the flat vectors
  const std::vector<TrainedRange>& trained;
  State<T>* state;  // in the order of the rule's state()
  // Returns the loss for the current values and computes its gradients; infinity if values, loss or
  // gradients are not finite.
  const std::function<double()>& evaluate;
};

template <class T>
class UpdateRule {
 public:
  virtual ~UpdateRule() = default;

  virtual std::vector<StateVector> state() const = 0;
  virtual void update(const Stretch<T>& of, double learning_rate) const = 0;
  // Upper bound of how far a step moves a parameter, in units of the largest gradient so far, or of
  // 1 if that is more.
  virtual double gain(double learning_rate) const = 0;

  // Whether the update of an element depends on the whole parameter, which is then one stretch.
  virtual bool by_parameter() const { return false; }
  // Whether gain() holds for moderate parameters alone, so that each step has to look at them.
  virtual bool reads_values() const { return false; }
  // Whether steps are made by search(); update() then raises an error.
  virtual bool searches() const { return false; }
  // Changes values and state by a step; `loss` and the gradients are those of the values before.
  // After an exception, both are as before.
  virtual void search(const Search<T>&, double /*loss*/, double /*learning_rate*/) const {}
  // Called once, with all parameters of the network: names are looked up and memory is allocated
  // here.
  virtual void prepare(const std::vector<const Parameter<T>*>&) {}
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
// The attribute "epsilon", or an error unless it is a normal number in float32 too: otherwise 0 / 0
// for gradients of 0.
double positive_epsilon(const NodeSpec& spec);

}  // namespace nnfast::plan
