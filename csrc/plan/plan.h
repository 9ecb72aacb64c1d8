// Runs a compiled network: prediction, evaluation, optimiser steps. A plan has one caller at a time; plans of
// one graph may predict and evaluate at once, and none beside a step (plan/use.h).
#pragma once

#include <atomic>
#include <functional>

#include "base/one_or_more.h"
#include "plan/augmentation.h"
#include "plan/program.h"
#include "plan/train/metrics.h"

namespace nnfast::plan {

// Rows of inputs as they come: numbers of the network's type, or bytes.
template <class T>
struct Rows {
  const T* values = nullptr;
  const uint8_t* bytes = nullptr;
};

// In the order of the graph's inputs.
template <class T>
using RowsOfInputs = OneOrMore<Rows<T>>;

enum class LabelType { uint8, int32, int64 };

// Targets as they come: values (of the network's type or integers), or one label a position.
template <class T>
struct Targets {
  const T* values = nullptr;
  const void* integers = nullptr;
  LabelType integer_type = LabelType::int64;
  bool are_labels = false;  // else as many numbers a row as the network's output has
};

template <class T>
struct Dataset {
  RowsOfInputs<T> x;
  Targets<T> y;
  const T* weights = nullptr;  // a row each, or null for 1
  index_t size = 0;
};

// x, y or weights that are not finite, or labels out of range, found before anything of a call has run.
struct DataError : ValueError {
  using ValueError::ValueError;
};

// A user's NumPy loss: fills value (rows) and, unless null, d value / d prediction.
template <class T>
using LossCallback = std::function<void(const LossInputs<T>& inputs, T* value, T* d_prediction)>;

template <class T>
class Plan {
 public:
  Plan(std::shared_ptr<Graph<T>> graph, PlanOptions options, const Callbacks<T>& callbacks,
       LossCallback<T> loss_callback);

  // out: for each of the network's outputs (n, ...)
  void predict(const RowsOfInputs<T>& x, index_t n, const OneOrMore<T*>& out);

  // One optimiser step on a batch of at most `capacity` rows; its loss. Where x, y, the loss, a gradient
  // or what the update makes is not finite it throws, parameters and optimiser as before.
  double train_step(const Dataset<T>& batch, double learning_rate);

  // Steps on the rows order[first], ..., one a learning rate, until `seconds` have passed. Once a step
  // is made, its 1 and its totals are added to the first row of tally (2, 1 + totals) and written to
  // the second: so the tally is right whatever ends the call. Only here are
  // images augmented.
  void train_batches(const Dataset<T>& data, const int64_t* order, index_t order_size,
                     index_t first, index_t batch_size, const double* learning_rates, index_t steps,
                     double seconds, double* tally);

  // Totals: the sum of losses over rows, and the metrics' state.
  index_t totals_size() const { return 1 + static_cast<index_t>(metrics_.state_size()); }
  index_t result_count() const { return 1 + static_cast<index_t>(metrics_.count()); }
  void merge_totals(double* totals, const double* other) const;
  // results (result_count): the loss and the metrics of so many rows.
  void results_of(double* results, const double* totals, index_t rows) const;

  // Adds all rows to totals.
  void evaluate(const Dataset<T>& data, double* totals);

  double loss_and_gradients(const Dataset<T>& batch, bool training);

  // A forward pass for values().
  void run(const RowsOfInputs<T>& x, index_t n, bool training);

  const Program<T>& program() const { return program_; }
  const PlanOptions& options() const { return options_; }
  const GraphLayout& layout() const { return graph_->layout; }
  index_t rows_of_last_run() const { return last_rows_; }
  std::optional<Optimizer<T>>& optimizer() { return optimizer_; }
  uint64_t iteration = 0;

 private:
  struct Batch;  // rows of a dataset

  // Into the input tensors: rows order[first] ..., or rows first ... where order is null; these are
  // read where they are if nothing is to be done to them.
  void read_inputs(const RowsOfInputs<T>& x, const int64_t* order, index_t first, index_t rows);
  void read_input(const ProgramInput<T>& input, const Rows<T>& x, const int64_t* order,
                  index_t first, index_t rows);
  void read_augmented(const Rows<T>& x, const Batch& batch);
  void require_finite(const RowsOfInputs<T>& x, index_t n) const;
  void load_batch(const Dataset<T>& data, const Batch& batch);
  void load_targets(const Targets<T>& y, const Batch& batch);
  void require_label(int64_t label) const;
  double cost_of_pass(const Run& run) const;
  bool looks_between_ops(const Run& run) const;
  void forward(const Run& run);
  void backward(const Run& run);
  Answers<T> answers(index_t rows) const;
  double compute_loss(index_t rows, bool weighted, bool with_gradient);
  double step(const Dataset<T>& data, const Batch& batch, double learning_rate, double* tally);
  void require_rows(index_t rows, const char* where) const;
  void require_training(const char* where) const;
  void require_optimizer(const char* where) const;
  Run new_run(index_t rows, bool training) const;
  index_t rows_of_pass(index_t n) const;
  void share_work(const Run& run, double passes) const;
  [[noreturn]] void explain_non_finite(const Dataset<T>& data, const Batch& batch);
  [[noreturn]] static void explain_overflow(const typename Optimizer<T>::Overflow& found,
                                            const Batch& batch);
  static std::string place_of(const Batch& batch);
  std::string non_finite_text(size_t input, index_t row) const;
  // Throws an error of that kind where an input of the batch, which was read from x, is not finite.
  template <class Error>
  void require_finite_inputs(const RowsOfInputs<T>& x, const Batch& batch) const;

  // What the loss and the metrics read.
  const ProgramOutput<T>& output() const { return program_.outputs[0]; }

  std::shared_ptr<Graph<T>> graph_;
  PlanOptions options_;
  LossCallback<T> loss_callback_;
  Program<T> program_;
  LossOptions loss_;
  Metrics<T> metrics_;
  std::optional<Optimizer<T>> optimizer_;
  std::optional<AugmentParams> augmentation_;

  index_t positions_ = 1,
          classes_ = 1;  // of the prediction: the axes before the last, and the last
  AlignedBuffer<int32_t> labels_;
  AlignedBuffer<T> targets_, values_, weights_;
  std::vector<double> sums_;  // of a step: 1, and its totals
  bool has_labels_ = false;
  index_t last_rows_ = 0;
  index_t row_bytes_ =
      0;  // of a row's values, where predictions go through the ops in passes; else 0
  std::atomic<uint32_t> busy_{0};  // the process of the call that runs, counted from 1
};

}  // namespace nnfast::plan
