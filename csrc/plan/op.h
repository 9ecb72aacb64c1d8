// An op: the forward and backward pass of one node, on memory laid out by the plan.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/select.h"
#include "plan/graph/spec.h"

namespace nnfast::plan {

// A value in a run. Ops keep pointers to tensors, because the plan may point the first and the last
// one to the caller's arrays.
template <class T>
struct Tensor {
  std::string name;
  Shape shape;
  index_t size = 0;  // elements of a row
  T* value = nullptr;
  bool batched = true;  // else one row, whatever the batch

  index_t elements(index_t rows) const { return batched ? rows * size : size; }
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

// Properties of a single run.
struct Run {
  index_t rows = 0;
  bool training = false;
  uint64_t seed = 0;
  uint32_t step = 0;
  index_t first_row = 0;  // of these rows, where data pass through the ops in parts
};

// A user-defined NumPy layer.
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

// A statistic of a batch that an op computes beside gradients and that commit() stores.
struct Statistic {
  double* values;
  size_t size;
};

// Updates with moderate gradients (ops/reduce.h) cannot overflow.
enum class Magnitude { moderate, finite, not_finite };

// Of the gradients of those parameters that have one.
template <class T>
Magnitude magnitude_of_gradients(const std::vector<Parameter<T>*>& parameters);

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

  // Checks the parameter gradients of a step, and the values that commit() will store.
  virtual Magnitude check_gradients() const;
  // Stores statistics of the last training forward(), once the parameters of the step are updated.
  virtual void commit(const Run&) {}
  // Appends those that commit() stores; they stay where they are.
  virtual void add_statistics(std::vector<Statistic>*) {}

  // The values that backward() reads; the plan keeps only those alive.
  virtual bool backward_reads_inputs() const { return true; }
  virtual bool backward_reads_output() const { return true; }
  // Elements that forward() stores for backward() in `kept`, for passes of `rows` rows.
  virtual index_t kept_size(index_t) const { return 0; }
  // Elements of `scratch` and `backward_scratch` for passes of `rows` rows.
  virtual index_t scratch_size(index_t) const { return 0; }
  virtual index_t backward_scratch_size(index_t) const { return 0; }
  // Whether the output is the memory of the only parameter.
  virtual bool is_parameter() const { return false; }
  // Whether a row of the output depends on other rows of the batch in prediction.
  virtual bool mixes_rows() const { return false; }
  // Whether a gradient passes from y to the inputs, and to which.
  virtual bool is_differentiable() const { return true; }
  virtual bool has_gradient(size_t) const { return true; }
  // Whether y (and dy), the only output, is the memory of input 0 (and its gradient), so that there is nothing to do.
  virtual bool is_view() const { return false; }
  // Whether every dx is dy, of the only output, as backward() leaves it, so that it may be the same memory.
  virtual bool passes_gradient() const { return is_view(); }
  virtual double flops_per_row() const { return static_cast<double>(output->size); }
  // Where the functions of a user-defined NumPy layer are stored; else null.
  virtual Callback<T>* callback() { return nullptr; }
  // Trait::scales_columns: the scales for predictions, computed from the current parameters in each
  // call.
  virtual std::function<ColumnScale<T>()> column_scale(const std::vector<Parameter<T>*>&) const {
    return {};
  }
  // The name of the algorithm that forward() selects by shape; null if there is no choice.
  virtual const char* algorithm() const { return nullptr; }

  std::string name, kind;
  std::vector<Tensor<T>*> inputs, outputs;
  Tensor<T>* output = nullptr;  // the first
  std::vector<Parameter<T>*> parameters;
  std::function<ColumnScale<T>()>
      scaled;                 // applied to y before f by convolutions and dense layers; or none
  std::vector<T*> d_outputs;  // null where nothing that learns reads the output
  T* d_output = nullptr;      // the first
  std::vector<T*> d_inputs;   // null where nothing upstream learns
  T* kept = nullptr;          // null where backward() is not wanted
  T *scratch = nullptr, *backward_scratch = nullptr;  // memory that only the current pass uses
  uint32_t stream = 0;  // of random numbers: the node's place in the graph
};

}  // namespace nnfast::plan
