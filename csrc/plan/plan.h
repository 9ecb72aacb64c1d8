// Runs a compiled network: prediction, evaluation, optimizer steps. A plan has one caller at a
// time; plans of one graph may predict and evaluate concurrently, but not during a step
// (plan/use.h).
#pragma once

#include <atomic>

#include "plan/inputs.h"
#include "plan/train/accumulation.h"
#include "plan/train/constraints.h"
#include "plan/train/gradient_pipeline.h"
#include "plan/train/gradient_sum.h"
#include "plan/train/objective.h"
#include "plan/train/regularization.h"
#include "plan/train/weight_average.h"

namespace nnfast::plan {

// User-defined functions called by the core.
template <class T>
struct UserFunctions {
  Callbacks<T> layers;
  LossCallbacks<T> losses;
  Expressions<T> expressions;
  GradientCallback<T> gradients;  // or none
};

template <class T>
class Plan {
 public:
  Plan(std::shared_ptr<Graph<T>> graph, PlanOptions options, const UserFunctions<T>& functions);

  // out: (n, ...) for each output of the network
  void predict(const RowsOfInputs<T>& x, index_t n, const OneOrMore<T*>& out);

  // One optimizer step on a batch of at most `capacity` rows; returns its loss. Throws, leaving
  // parameters and optimizer unchanged, if x, y, the loss, a gradient or an updated value is not
  // finite.
  double train_step(const Dataset<T>& batch, double learning_rate);

  // Steps on the rows order[first], ..., one per learning rate, until `seconds` have passed. When a
  // step is made, its 1 and its totals are added to the first row of tally (2, 1 + totals) and
  // written to the second, so the tally is correct whatever ends the call. Only here are images
  // augmented. skipped: rows of the epoch before order[0].
  void train_batches(const Dataset<T>& data, const int64_t* order, index_t order_size,
                     index_t first, index_t batch_size, const double* learning_rates, index_t steps,
                     double seconds, double* tally, index_t skipped = 0);

  // Rows of the largest part in which a step processes a batch, and whether it can.
  index_t rows_of_part(index_t rows) const {
    return plan::rows_of_part(rows, options_.shards, options_.micro_batch);
  }
  bool takes_batch(index_t rows) const { return rows_of_part(rows) <= options_.capacity; }

  // An optimizer step with the gradients stored in the program.
  void apply_gradients(double learning_rate);

  // Totals of losses and metrics, see Objective.
  const Objective<T>& objective() const { return *objective_; }

  // Adds all rows to totals.
  void evaluate(const Dataset<T>& data, double* totals);

  // In training, stores the results of the pass as a step does: moving averages, and the next
  // random numbers.
  double loss_and_gradients(const Dataset<T>& batch, bool training);

  // A forward pass for values() and pull_back(); in training as in loss_and_gradients().
  void run(const RowsOfInputs<T>& x, index_t n, bool training);
  // Gradients of parameters and inputs, from those of the outputs of the last run(). Can be
  // repeated, because the inputs of the run are kept.
  void pull_back(const OneOrMore<const T*>& d_outputs);

  const Program<T>& program() const { return program_; }
  const PlanOptions& options() const { return options_; }
  const GraphLayout& layout() const { return graph_->layout; }
  index_t rows_of_last_run() const { return last_run_.rows; }
  std::optional<Optimizer<T>>& optimizer() { return optimizer_; }
  // The vectors, flat like the parameters, from which training continues, by name.
  std::vector<std::pair<const char*, T*>> state();
  uint64_t iteration = 0;

 private:
  void load(const Dataset<T>& data, const Batch& batch, const Run& run);
  double cost_of_pass(const Run& run) const;
  bool looks_between_ops(const Run& run) const;
  void forward(const Run& run);
  void backward(const Run& run);
  double step(const Dataset<T>& data, const Batch& batch, double learning_rate, double* tally);
  double differentiate(const Dataset<T>& data, const Batch& batch, index_t rows_of_batch,
                       const Run& run, double* totals);
  double differentiate_in_parts(const Dataset<T>& data, const Batch& batch, double* totals,
                                bool is_trial);
  Magnitude check_gradients() const;
  template <class Where>
  Magnitude process_gradients(Magnitude magnitude, const Where& where);
  template <class Where>
  void update(Magnitude magnitude, double learning_rate, uint64_t number, const Where& where);
  template <class Where, class Finish>
  void learn(Magnitude magnitude, double learning_rate, const Where& where, const Finish& finish);
  double evaluate_again(const Dataset<T>& data, const Batch& batch, const Run& run);
  void search(const Dataset<T>& data, const Batch& batch, const Run& run, double loss,
              double learning_rate);
  void commit(const Run& run);
  template <class Pass>
  void by_hand(const char* what, bool training, const Pass& pass);
  void require_steps_left() const;
  void require_rows(index_t rows, const char* where) const;
  void require_batch(index_t rows, const char* where) const;
  void require_training(const char* where) const;
  void require_optimizer(const char* where) const;
  Run new_run(index_t rows, bool training) const;
  index_t rows_of_pass(index_t n) const;
  void share_work(const Run& run, double passes) const;
  [[noreturn]] void explain(const Dataset<T>& data, const Batch& batch, index_t rows_of_batch,
                            const Run& run);

  std::shared_ptr<Graph<T>> graph_;
  PlanOptions options_;
  Program<T> program_;
  std::optional<Inputs<T>> inputs_;
  std::optional<Objective<T>> objective_;  // none: for predictions, or vector-Jacobian products
  std::optional<Regularization<T>> regularization_;
  std::optional<Accumulation<T>> accumulation_;
  std::optional<GradientPipeline<T>> pipeline_;
  std::optional<GradientSum<T>> sum_;  // if batches are computed in parts
  std::optional<Optimizer<T>> optimizer_;
  std::optional<Constraints<T>> constraints_;
  std::optional<WeightAverage<T>> average_;

  std::vector<double> sums_, part_sums_;  // of a step and of a part of it: 1, and its totals
  std::vector<double> trial_sums_;        // totals of an evaluation that is not reported
  Run last_run_;
  bool values_are_whole_ = false;  // no backward pass has overwritten values of the last run
  index_t row_bytes_ = 0;  // of a row's values, if predictions go through the ops in passes; else 0
  std::atomic<uint32_t> busy_{0};  // the process of the running call, counted from 1
};

}  // namespace nnfast::plan
