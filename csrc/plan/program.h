// A compiled network: ops on placed memory, forward and backward. build_program() makes it from a
// graph; the plan runs it.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "ops/loss.h"
#include "plan/graph/graph.h"
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

// into += from, or into = from: for gradients of values that more than one op reads, and of parameters that more
// than one op uses.
template <class T>
struct Transfer {
  T* into;
  const T* from;
  index_t size;
  bool add;
  bool by_row = true;  // the size is that of a row
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
struct ProgramInput {
  Tensor<T>* tensor = nullptr;
  std::vector<Tensor<T>*> views;  // tensors on its memory, itself too
  T* memory = nullptr;            // its place in the arena
  double scale = 1, offset = 0;   // while a batch is gathered
};

template <class T>
struct ProgramOutput {
  Tensor<T>* tensor = nullptr;      // the network's, or its logits where nothing needs more
  Tensor<T>* prediction = nullptr;  // what the loss reads
  std::vector<Tensor<T>*> views;    // tensors on its memory
  T* d_prediction = nullptr;
  bool is_logits = false;
  bool has_own_memory = true;  // not that of an input or of another output
};

template <class T>
struct Program {
  std::vector<std::unique_ptr<Tensor<T>>> tensors;
  std::vector<std::unique_ptr<Parameter<T>>> parameters;  // as the graph's table has them
  // Parameters in their later uses: the same values, separate gradients.
  std::vector<std::unique_ptr<Parameter<T>>> further_uses;
  std::vector<const Parameter<T>*> summed;  // those whose gradients are sums over several uses
  std::vector<std::unique_ptr<Op<T>>> ops;
  std::vector<BackwardStep<T>> backward;
  std::map<std::string, T*> gradients_of;  // of tensors, by name
  std::vector<Placement> placements;       // of the ops' outputs

  std::vector<ProgramInput<T>> inputs;
  std::vector<ProgramOutput<T>> outputs;
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
