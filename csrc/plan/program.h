// A compiled network: ops on allocated memory, forward and backward. build_program() makes it from
// a graph; the plan runs it.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "ops/loss.h"
#include "plan/graph/graph.h"
#include "plan/train/optimizer.h"

namespace nnfast::plan {

// What is asked of one of the network's outputs.
struct HeadOptions {
  size_t output = 0;
  NodeSpec loss;  // op = the loss's name, or "callback", or "expression"
  double weight = 1;
  std::vector<NodeSpec> metrics;           // without sample weights
  std::vector<NodeSpec> weighted_metrics;  // with them
  std::string mask;                        // the node that says which positions count, or none
  std::vector<Shape> targets = {};  // of an expression: the shapes of its target arrays, by row
};

struct PlanOptions {
  index_t capacity = 1;
  std::vector<HeadOptions> heads;  // one for each output with a loss, in the order of outputs
  std::vector<std::string>
      penalties;         // nodes whose means are added to the loss; no other reads them
  bool by_hand = false;  // gradients follow from those that the caller gives at the outputs
  std::optional<NodeSpec> optimizer;
  std::optional<NodeSpec> gradients;                // what GradientPipeline does
  std::map<std::string, Regularizer> regularizers;  // by full names of parameters
  UpdateOptions update;
  index_t shards = 1, micro_batch = 0;                // see for_parts_of_batch()
  std::optional<NodeSpec> augmentation;               // of the images read by train_batches
  std::optional<std::vector<std::string>> trainable;  // full names; if absent, all
  uint64_t seed = 0;
  bool fuse = true;
  bool keep = false;

  bool has_objective() const { return !heads.empty() || !penalties.empty(); }
  bool differentiates() const { return by_hand || has_objective(); }
  const HeadOptions* head_of(size_t output) const {
    for (const HeadOptions& head : heads) {
      if (head.output == output) return &head;
    }
    return nullptr;
  }
};

// into += from, or into = from: for gradients of values read by several ops, and of parameters used
// by several ops.
template <class T>
struct Transfer {
  T* into;
  const T* from;
  index_t size;
  bool add;
  bool by_row = true;  // the size is that of one row
};

template <class T>
struct BackwardStep {
  Op<T>* op;  // null if only the transfers are left
  std::vector<Transfer<T>> transfers;
};

// Location of a tensor, as shown by describe().
struct Placement {
  size_t offset = 0, bytes = 0;
};

template <class T>
struct ProgramInput {
  Tensor<T>* tensor = nullptr;
  std::vector<Tensor<T>*> views;  // tensors that share its memory, including itself
  T* memory = nullptr;            // its location in the arena
  T* gradient = nullptr;          // by hand; null where no output depends on it
  double scale = 1, offset = 0;   // applied while a batch is gathered
};

template <class T>
struct ProgramOutput {
  Tensor<T>* tensor = nullptr;      // of the network, or its logits if nothing needs more
  Tensor<T>* prediction = nullptr;  // as read by the loss
  std::vector<Tensor<T>*> views;    // tensors that share its memory
  T* d_prediction = nullptr;
  Tensor<T>* mask = nullptr;  // (N, ...): 1 for positions that count, else 0; null: all do
  bool is_logits = false;
  bool has_own_memory = true;  // not the memory of an input or of another output
};

// A term of the loss.
template <class T>
struct ProgramPenalty {
  Tensor<T>* tensor;
  T* gradient;  // null: nothing that learns
};

template <class T>
struct Program {
  std::vector<std::unique_ptr<Tensor<T>>> tensors;
  std::vector<std::unique_ptr<Parameter<T>>> parameters;  // in the order of the graph's table
  // Later uses of parameters: the same values, with separate gradients.
  std::vector<std::unique_ptr<Parameter<T>>> further_uses;
  std::vector<Parameter<T>*> summed;  // parameters whose gradients are sums over several uses
  std::vector<Parameter<T>*>
      unreached;  // trained, but no loss depends on them: their gradient is 0
  std::vector<std::unique_ptr<Op<T>>> ops;
  std::vector<BackwardStep<T>> backward;
  std::map<std::string, T*> gradients_of;          // of tensors, by name
  std::vector<std::vector<Placement>> placements;  // of each op's outputs

  std::vector<ProgramInput<T>> inputs;
  std::vector<ProgramOutput<T>> outputs;
  std::vector<ProgramPenalty<T>> penalties;
  double cost = 0;  // floating-point operations of a forward pass per row

  AlignedBuffer<T> arena;
  AlignedBuffer<T> gradients;  // flat, like the parameters
};

template <class T>
using Callbacks = std::map<std::string, Callback<T>>;

template <class T>
Program<T> build_program(Graph<T>& graph, const PlanOptions& options,
                         const Callbacks<T>& callbacks);

}  // namespace nnfast::plan
