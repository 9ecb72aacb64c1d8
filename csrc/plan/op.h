// An op: one node's work, forward and backward, on memory that the plan has laid out.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/select.h"
#include "plan/graph/spec.h"

namespace nnfast::plan {

// A value in a run. Ops keep pointers to tensors, because the plan may point the first and the last
// one at the caller's arrays.
template <class T>
struct Tensor {
  std::string name;
  Shape shape;
  index_t size = 0;  // elements of a row
  T* value = nullptr;
};

template <class T>
struct Parameter {
  std::string name;
  Shape shape;
  index_t size = 0;
  T* value = nullptr;
  T* gradient = nullptr;  // null: frozen, a statistic, or a plan for prediction
  bool moves = false;     // a statistic that is not frozen, in a plan for training
};

// What changes from run to run.
struct Run {
  index_t rows = 0;
  bool training = false;
  uint64_t seed = 0;
  uint32_t step = 0;
};

// A user's NumPy layer.
template <class T>
struct CallbackCall {
  const Run* run;
  std::vector<Tensor<T>*> inputs, outputs;
  std::vector<Parameter<T>*> parameters;
  std::vector<T*> d_outputs;  // null where nothing reads the output
  std::vector<T*> d_inputs;   // null where not wanted
};
template <class T>
struct Callback {
  std::function<void(const CallbackCall<T>&)> forward, backward;
};

// What an op finds of a batch beside gradients, and commit() takes over.
struct Statistic {
  double* values;
  size_t size;
};

// Moderate ones (ops/reduce.h) overflow in no update.
enum class Magnitude { moderate, finite, not_finite };

template <class T>
class Op {
 public:
  explicit Op(const NodeSpec& node) : name(node.name), kind(node.op) {}
  virtual ~Op() = default;
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;

  // y from x and the parameters.
  virtual void forward(const Run& run) = 0;
  // From dy: every wanted dx and every wanted parameter gradient, overwritten. dy may be destroyed. Of several
  // outputs at least one has a gradient.
  virtual void backward(const Run& run) = 0;

  // What a step left in the parameter gradients and in what commit() takes over.
  virtual Magnitude check_gradients() const;
  // Takes over what the last forward() in training found, once the step's parameters are updated.
  virtual void commit(const Run&) {}
  // The places of that, which stay where they are.
  virtual void add_statistics(std::vector<Statistic>*) {}

  // What backward() reads: the plan keeps just that alive.
  virtual bool backward_reads_inputs() const { return true; }
  virtual bool backward_reads_output() const { return true; }
  // Whether forward() keeps something as large as y for backward(), in `kept`.
  virtual bool keeps_for_backward() const { return false; }
  // Whether a gradient passes from y to the inputs.
  virtual bool is_differentiable() const { return true; }
  // Whether y (and dy), the only output, is the memory of input 0 (and its gradient), so that there is nothing to do.
  virtual bool is_view() const { return false; }
  // Whether every dx is dy, of the only output, as backward() leaves it, so that it may be the same memory.
  virtual bool passes_gradient() const { return is_view(); }
  virtual double flops_per_row() const { return static_cast<double>(output->size); }
  // Where the user's functions go, in the op of a user's NumPy layer; else null.
  virtual Callback<T>* callback() { return nullptr; }
  // Trait::scales_columns: the scales for predictions, from the parameters as they are at each call.
  virtual std::function<ColumnScale<T>()> column_scale(const std::vector<Parameter<T>*>&) const {
    return {};
  }
  // The name of what forward() chooses by the shape; null where there is no choice.
  virtual const char* algorithm() const { return nullptr; }

  std::string name, kind;
  std::vector<Tensor<T>*> inputs, outputs;
  Tensor<T>* output = nullptr;  // the first
  std::vector<Parameter<T>*> parameters;
  std::function<ColumnScale<T>()> scaled;  // what convolutions and dense do to y before f; or none
  std::vector<T*> d_outputs;               // null where nothing that learns reads the output
  T* d_output = nullptr;                   // the first
  std::vector<T*> d_inputs;                // null where nothing upstream learns
  T* kept = nullptr;                       // null where backward() is not wanted
  uint32_t stream = 0;                     // of random numbers: the node's place in the graph
};

}  // namespace nnfast::plan
