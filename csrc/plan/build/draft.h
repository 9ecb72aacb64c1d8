// A program under construction, passed between the steps of the builder: lowering creates ops and
// tensors, scheduling determines the lifetimes of their memory, placing lays it out.
#pragma once

#include "plan/build/memory.h"
#include "plan/graph/ids.h"
#include "plan/program.h"

namespace nnfast::plan {

// Additional information about a tensor.
struct Value {
  OpId producer = OpId::none;      // none: an input
  TensorId root = TensorId::none;  // the tensor that owns the memory
  bool learns = false;             // something upstream has trained parameters
};

// Additional information about an op.
struct OpLinks {
  std::vector<TensorId> inputs, outputs;
};

struct PendingTransfer {
  BufferId into, from;
  index_t size;
  bool add;
  bool by_row;
};

// A further use of a parameter: its gradient goes to a separate buffer, which is added to that of
// the first use.
template <class T>
struct PendingUse {
  size_t slot;  // in the op's list
  Parameter<T>* parameter;
  BufferId gradient;
};

template <class T>
struct PendingStep {
  OpId op;
  std::vector<BufferId> d_outputs;  // none where the output gets no gradient
  BufferId kept = BufferId::none, scratch = BufferId::none;
  std::vector<BufferId> d_inputs;
  std::vector<PendingTransfer> transfers;
  std::vector<PendingUse<T>> uses;
  bool lends = false;  // the gradient of its only output, to one input
};

template <class T>
struct Draft {
  Draft(Graph<T>& of, const PlanOptions& with, const Callbacks<T>& functions)
      : graph(of), layout(of.layout), options(with), callbacks(functions) {}

  Graph<T>& graph;
  const GraphLayout& layout;
  const PlanOptions& options;
  const Callbacks<T>& callbacks;

  Program<T> program;
  ById<TensorId, Value> values;
  ById<OpId, OpLinks> links;
  std::vector<TensorId> inputs;                // by the graph's inputs
  std::vector<TensorId> outputs, predictions;  // by its outputs
  std::vector<TensorId> masks;                 // likewise; of those whose loss has a mask
  std::vector<TensorId> penalties;

  ById<BufferId, Buffer> buffers;
  ById<TensorId, BufferId> value_buffer, gradient_buffer;  // none: a parameter's value
  ById<OpId, BufferId> scratch;                            // of the forward pass
  std::vector<BufferId> d_predictions;                     // by output
  std::vector<PendingStep<T>> steps;

  Tensor<T>& tensor(TensorId id) const { return *program.tensors[static_cast<size_t>(id)]; }
  Op<T>& op(OpId id) const { return *program.ops[static_cast<size_t>(id)]; }
  // Whether something gives a gradient at that output.
  bool starts_backward(size_t output) const { return options.by_hand || options.head_of(output); }

  BufferId buffer_of(TensorId id) const { return value_buffer[values[id].root]; }
  // For `capacity` rows of a tensor, alive from `first` on.
  BufferId new_buffer(const Tensor<T>& of, int first);
  BufferId new_buffer(size_t bytes, int first);
  // For scratch of that many elements; none for 0.
  BufferId new_scratch(const Op<T>& op, index_t elements, int time);
  // Keeps a buffer alive until `time`.
  void extend(BufferId buffer, int time);
};

// Creates ops, tensors and parameters from the graph's nodes; some nodes get no op, because others
// do their work.
template <class T>
void lower(Draft<T>& draft);
// Determines the lifetimes of values and, for training, of gradients, and the order of the backward
// pass.
template <class T>
void schedule(Draft<T>& draft);
// Lays out the memory, and sets the pointers of ops and tensors.
template <class T>
void place(Draft<T>& draft);

}  // namespace nnfast::plan
