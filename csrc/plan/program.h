// A compiled network: ops on placed memory, forward and backward. build_program() makes it from a
// graph; the plan runs it.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "ops/loss.h"
#include "plan/graph.h"
#include "plan/train/optimizer.h"

namespace nnfast::plan {

struct PlanOptions {
  index_t capacity = 1;
  std::optional<NodeSpec> loss;  // op = the loss's name, or "callback"
  std::vector<NodeSpec> metrics;
  std::optional<NodeSpec> optimizer;
  std::optional<NodeSpec> augmentation;               // of what train_batches reads
  std::optional<std::vector<std::string>> trainable;  // full names; none given: all
  uint64_t seed = 0;
  bool fuse = true;
  bool keep = false;
};

// into += from, or into = from: for values that more than one op reads.
template <class T>
struct Transfer {
  T* into;
  const T* from;
  index_t size;  // of a row
  bool add;
};

template <class T>
struct BackwardStep {
  Op<T>* op;  // null where only the transfers are left to do
  std::vector<Transfer<T>> transfers;
};

// What describe() tells of a tensor's place.
struct Placement {
  size_t offset = 0, bytes = 0;
};

template <class T>
struct Program {
  std::vector<std::unique_ptr<Tensor<T>>> tensors;
  std::vector<std::unique_ptr<Parameter<T>>> parameters;
  std::vector<std::unique_ptr<Op<T>>> ops;
  std::vector<BackwardStep<T>> backward;
  std::map<std::string, T*> gradients_of;  // of tensors, by name
  std::vector<Placement> placements;       // of the ops' outputs

  Tensor<T>* input = nullptr;
  Tensor<T>* output = nullptr;      // the network's, or its logits where nothing needs more
  Tensor<T>* prediction = nullptr;  // what the loss reads
  std::vector<Tensor<T>*> input_views, output_views;  // tensors on the memory of input and output
  T* input_memory = nullptr;                          // the input's place in the arena
  T* d_prediction = nullptr;
  bool output_is_logits = false;
  bool output_is_input = false;  // nothing is computed
  double input_scale = 1, input_offset = 0;
  double cost = 0;  // of a forward pass of a row, in floating-point operations

  AlignedBuffer<T> arena;
  AlignedBuffer<T> gradients;  // flat, like the parameters
};

template <class T>
using Callbacks = std::map<std::string, Callback<T>>;

template <class T>
Program<T> build_program(Graph<T>& graph, const PlanOptions& options,
                         const Callbacks<T>& callbacks);

}  // namespace nnfast::plan
