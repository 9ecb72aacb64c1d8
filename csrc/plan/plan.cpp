#include "plan/plan.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "base/interrupt.h"
#include "base/thread_pool.h"
#include "kernels/select.h"
#include "ops/reduce.h"
#include "plan/busy.h"
#include "plan/lent.h"
#include "plan/train/diagnosis.h"

namespace nnfast::plan {
namespace {

template <class T>
std::vector<Statistic> statistics_of(const Program<T>& program) {
  std::vector<Statistic> found;
  for (const auto& op : program.ops) op->add_statistics(&found);
  return found;
}

}  // namespace

template <class T>
Plan<T>::Plan(std::shared_ptr<Graph<T>> graph, PlanOptions options,
              const UserFunctions<T>& functions)
    : graph_(std::move(graph)), options_(std::move(options)) {
  require(options_.capacity > 0, "network: expected a capacity of 1 row or more, got ",
          options_.capacity);
  program_ = build_program(*graph_, options_, functions.layers);
  inputs_.emplace(layout(), program_.inputs, options_);
  // User-defined NumPy layers are not called more often than necessary.
  const bool mixes_rows = std::any_of(program_.ops.begin(), program_.ops.end(),
                                      [](const auto& op) { return op->mixes_rows(); });
  if (functions.layers.empty() && !mixes_rows) {
    row_bytes_ = static_cast<index_t>(program_.arena.size() * sizeof(T) /
                                      static_cast<size_t>(options_.capacity));
  }
  if (!options_.has_objective()) return;
  objective_.emplace(layout(), program_, options_, functions.losses, functions.expressions);
  sums_.resize(1 + objective_->totals_size());
  if (!options_.regularizers.empty())
    regularization_.emplace(options_.regularizers, program_.parameters);
  if (!options_.optimizer) return;
  const UpdateOptions& asked = options_.update;
  optimizer_.emplace(*options_.optimizer, program_.parameters, graph_->flat.data(),
                     program_.gradients.data(), layout().flat_size(), asked);
  if (optimizer_->searches()) {
    require(!functions.gradients && !options_.gradients,
            "LBFGS: expected neither a gradient_callback nor decay or clipping of gradients, which "
            "would no longer be those of the loss");
    trial_sums_.resize(objective_->totals_size());
  }
  pipeline_.emplace(options_, program_, functions.gradients);
  if (asked.batches > 1)
    accumulation_.emplace(asked.batches, program_.parameters, program_.gradients);
  if (!asked.constraints.empty()) constraints_.emplace(asked.constraints, program_.parameters);
  if (asked.average) average_.emplace(*asked.average, graph_->flat.data(), layout().flat_size());
  if (options_.shards == 1 && options_.micro_batch == 0) return;
  sum_.emplace(*objective_, program_.gradients, statistics_of(program_), options_.shards);
  part_sums_.resize(objective_->totals_size());
}

template <class T>
Run Plan<T>::new_run(index_t rows, bool training) const {
  return {rows, training, options_.seed, static_cast<uint32_t>(iteration)};
}

template <class T>
void Plan<T>::require_rows(index_t rows, const char* where) const {
  require(rows > 0, where, ": expected one row or more, got 0");
  require(rows <= options_.capacity, where, ": expected at most ", options_.capacity, " rows, got ",
          rows);
}

// Rows of a batch of a step, of which the largest part passes through the ops at once.
template <class T>
void Plan<T>::require_batch(index_t rows, const char* where) const {
  require_rows(rows_of_part(rows), where);
}

template <class T>
void Plan<T>::require_training(const char* where) const {
  if (!objective_) {
    throw StateError(text(where, ": expected a plan with a loss, got one for prediction"));
  }
}

template <class T>
void Plan<T>::require_optimizer(const char* where) const {
  require_training(where);
  if (!optimizer_) throw StateError(text(where, ": expected a plan with an optimizer, got none"));
}

// Wakes the workers before a series of operations that is worth sharing, or before parameters that
// a pass over few rows only reads.
template <class T>
void Plan<T>::share_work(const Run& run, double passes) const {
  constexpr double kOperationsWorthWaking = 2e6, kOperationsPerParameter = 16;
  const double operations = program_.cost * static_cast<double>(run.rows);
  const double reading = kOperationsPerParameter * static_cast<double>(layout().parameter_count());
  if (!works_alone() && passes * std::max(operations, reading) > kOperationsWorthWaking)
    wake_workers();
}

// Lower bound for a pass over all ops, in units of about a nanosecond, as expected by
// InterruptWatch.
template <class T>
double Plan<T>::cost_of_pass(const Run& run) const {
  constexpr double kOperationsPerUnit = 20, kOverhead = 1000;
  return kOverhead + program_.cost * static_cast<double>(run.rows) / kOperationsPerUnit;
}

template <class T>
bool Plan<T>::looks_between_ops(const Run& run) const {
  constexpr double kLongWork = 1e7;
  return program_.cost * static_cast<double>(run.rows) > kLongWork;
}

template <class T>
void Plan<T>::forward(const Run& run) {
  const bool is_long = looks_between_ops(run);
  for (const auto& op : program_.ops) {
    op->forward(run);
    if (is_long) check_interrupt();
  }
  last_run_ = run;
}

template <class T>
void Plan<T>::backward(const Run& run) {
  const bool is_long = looks_between_ops(run);
  // Decay and regularizers add to gradients in place.
  for (const Parameter<T>* p : program_.unreached) std::fill_n(p->gradient, p->size, T(0));
  for (const BackwardStep<T>& step : program_.backward) {
    if (step.op) step.op->backward(run);
    if (is_long) check_interrupt();
    for (const Transfer<T>& t : step.transfers) {
      const index_t n = t.by_row ? t.size * run.rows : t.size;
      parallel_ranges(n, 64, 0.15 * static_cast<double>(n), [&t](index_t begin, index_t end) {
        if (t.add) {
          kernels<T>().add(t.into + begin, t.into + begin, t.from + begin, end - begin);
        } else {
          std::memcpy(t.into + begin, t.from + begin, sizeof(T) * static_cast<size_t>(end - begin));
        }
      });
    }
  }
}

// Rows of a prediction that pass through all ops together: as many as keep their values in the
// caches between ops. Keras's convnet with 128 rows took 7.2 ms at once and 5.7 in passes of 8 (Zen
// 3, one thread); ResNet-20 95.7 and 84.6. Each pass reads all parameters, so it is not smaller
// than they are.
template <class T>
index_t Plan<T>::rows_of_pass(index_t n) const {
  constexpr index_t kBytesOfThread = 3 << 19;
  const index_t of_parameters = layout().parameter_count() * static_cast<index_t>(sizeof(T));
  const index_t bytes = std::max(get_num_threads() * kBytesOfThread, of_parameters);
  index_t most = std::min(n, options_.capacity);
  if (most * row_bytes_ > bytes) most = std::max(index_t(1), bytes / row_bytes_);
  if (most == n) return n;
  const index_t passes = (n + most - 1) / most;
  return (n + passes - 1) / passes;
}

template <class T>
void Plan<T>::predict(const RowsOfInputs<T>& x, index_t n, const OneOrMore<T*>& out) {
  const Use::Reading reading(graph_->use, "predict");
  const Busy busy(busy_, "predict");
  inputs_->require_finite(x, n);
  const LentOutputs<T> lent(program_.outputs);
  const index_t most = rows_of_pass(n);
  InterruptWatch watch;
  for (index_t first = 0; first < n; first += most) {
    const index_t rows = std::min(most, n - first);
    Run run = new_run(rows, false);
    run.first_row = first;
    watch.did(cost_of_pass(run));
    share_work(run, 1);
    for (size_t i = 0; i < program_.outputs.size(); ++i) {
      const ProgramOutput<T>& output = program_.outputs[i];
      if (output.has_own_memory) point_at(output.views, out[i] + first * output.tensor->size);
    }
    inputs_->read(x, {nullptr, first, rows, 0});
    forward(run);
    for (size_t i = 0; i < program_.outputs.size(); ++i) {
      const ProgramOutput<T>& output = program_.outputs[i];
      if (output.has_own_memory) continue;
      const index_t size = output.tensor->size;
      std::memcpy(out[i] + first * size, output.tensor->value,
                  sizeof(T) * static_cast<size_t>(rows * size));
    }
  }
}

// ---- training ------------------------------------------------------------------------------------

// Random numbers are a function of the step number.
template <class T>
void Plan<T>::require_steps_left() const {
  if (iteration >= UINT32_MAX - 1)
    throw StateError("network: expected fewer than 2^32 - 1 steps, got as many");
}

template <class T>
void Plan<T>::load(const Dataset<T>& data, const Batch& batch, const Run& run) {
  objective_->load(data.y, batch);
  if (batch.augmented) {
    inputs_->read_augmented(data.x, batch, run.seed, run.step);
  } else {
    inputs_->read(data.x, batch);
  }
  // Rows that are read by an order have been checked as a whole.
  if (!batch.order) inputs_->template require_finite_batch<DataError>(data.x, batch);
}

// The loss of the rows and, if it is finite, its gradient; adds their losses and metrics to totals,
// unless it is null.
template <class T>
double Plan<T>::differentiate(const Dataset<T>& data, const Batch& batch, index_t rows_of_batch,
                              const Run& run, double* totals) {
  load(data, batch, run);
  forward(run);
  const double loss = objective_->loss(batch.rows, rows_of_batch, true);
  if (!std::isfinite(loss)) return loss;
  // Before the backward pass, which reuses the memory of the outputs.
  if (totals) objective_->add_to(totals, batch.rows, rows_of_batch);
  backward(run);
  return loss;
}

// Likewise for a batch that is divided into parts. Unless this is a trial, numbers that are not
// finite are an error.
template <class T>
double Plan<T>::differentiate_in_parts(const Dataset<T>& data, const Batch& batch, double* totals,
                                       bool is_trial) {
  constexpr uint64_t kSeedOfPart =
      0x9e3779b97f4a7c15;  // any odd number: parts have separate random numbers
  sum_->start(batch.rows);
  for_parts_of_batch(batch.rows, options_.shards, options_.micro_batch, [&](const BatchPart& part) {
    const Batch rows = batch.part(part.begin, part.rows);
    Run run = new_run(part.rows, true);
    run.seed += part.number * kSeedOfPart;
    run.first_row = part.begin;
    std::fill(part_sums_.begin(), part_sums_.end(), 0.0);
    const double loss = differentiate(data, rows, batch.rows, run, part_sums_.data());
    const bool is_finite = std::isfinite(loss) && check_gradients() != Magnitude::not_finite;
    if (!is_finite && !is_trial) explain(data, rows, batch.rows, run);
    sum_->add(part, part_sums_.data());
  });
  sum_->finish(totals);
  return totals[0] / static_cast<double>(batch.rows);
}

// Checks the gradients of the step, and the statistics that commit() will store.
template <class T>
Magnitude Plan<T>::check_gradients() const {
  Magnitude magnitude = Magnitude::moderate;
  for (const auto& op : program_.ops) {
    const Magnitude found = op->check_gradients();
    if (found == Magnitude::not_finite) return found;
    if (found != Magnitude::moderate) magnitude = found;
  }
  return std::max(magnitude, magnitude_of_gradients(program_.summed));
}

// Sends gradients through the pipeline; `where` names them in errors. Their magnitude afterwards.
template <class T>
template <class Where>
Magnitude Plan<T>::process_gradients(Magnitude magnitude, const Where& where) {
  if (magnitude != Magnitude::not_finite) magnitude = pipeline_->run(magnitude);
  if (magnitude == Magnitude::not_finite) explain_gradient(program_, where());
  return magnitude;
}

template <class T>
template <class Where>
void Plan<T>::update(Magnitude magnitude, double learning_rate, uint64_t number,
                     const Where& where) {
  const auto overflow = optimizer_->update(learning_rate, magnitude == Magnitude::moderate);
  if (overflow.parameter) explain_overflow<T>(overflow, where());
  if (constraints_) constraints_->apply();
  if (average_) average_->follow(*optimizer_, number);
}

// From the gradients of a batch to the update, unless further batches are part of it. `finish` is
// done where nothing can fail or interrupt the step any more.
template <class T>
template <class Where, class Finish>
void Plan<T>::learn(Magnitude magnitude, double learning_rate, const Where& where,
                    const Finish& finish) {
  const bool completes = !accumulation_ || accumulation_->completes(iteration);
  if (accumulation_ && magnitude != Magnitude::not_finite) {
    accumulation_->add(completes);
    magnitude = pipeline_->measure();
  }
  if (completes) {
    magnitude = process_gradients(magnitude, where);
  } else if (magnitude == Magnitude::not_finite) {
    explain_gradient(program_, where());
  }
  const Use::Changing changing(graph_->use);
  if (completes) {
    const uint64_t number = accumulation_ ? accumulation_->updates(iteration) : iteration + 1;
    update(magnitude, learning_rate, number, where);
  }
  if (accumulation_) accumulation_->keep(completes);
  finish();
}

template <class T>
std::vector<std::pair<const char*, T*>> Plan<T>::state() {
  std::vector<std::pair<const char*, T*>> vectors;
  if (optimizer_) {
    for (const auto& state : optimizer_->state())
      vectors.emplace_back(state.what.name, state.numbers.data());
  }
  if (average_) vectors.emplace_back("weight_average", average_->numbers());
  if (accumulation_) vectors.emplace_back("gradient_sum", accumulation_->numbers());
  return vectors;
}

// Evaluates the batch of a step again, with other parameters: see Search.
template <class T>
double Plan<T>::evaluate_again(const Dataset<T>& data, const Batch& batch, const Run& run) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  // The squares of a penalty must be finite too.
  const auto fits = regularization_ ? &all_moderate<T> : &all_finite<T>;
  if (!fits(graph_->flat.data(), layout().flat_size())) return infinity;
  double loss;
  if (sum_) {
    std::fill(trial_sums_.begin(), trial_sums_.end(), 0.0);
    loss = differentiate_in_parts(data, batch, trial_sums_.data(), true);
  } else {
    loss = differentiate(data, batch, batch.rows, run, nullptr);
  }
  if (regularization_ && std::isfinite(loss)) loss += regularization_->add_gradients();
  const bool is_finite = std::isfinite(loss) && pipeline_->measure() != Magnitude::not_finite;
  return is_finite ? loss : infinity;
}

// A step of an optimizer that evaluates the loss several times, with the same random numbers. Only
// the last evaluation counts for the statistics of batches.
template <class T>
void Plan<T>::search(const Dataset<T>& data, const Batch& batch, const Run& run, double loss,
                     double learning_rate) {
  const auto again = [&] { return evaluate_again(data, batch, run); };
  optimizer_->search(learning_rate, loss, std::ref(again));
}

template <class T>
double Plan<T>::step(const Dataset<T>& data, const Batch& batch, double learning_rate,
                     double* tally) {
  require_steps_left();
  const Run run = new_run(batch.rows, true);
  // Parameters updated by one processor must be transferred to the others in the next step, which
  // costs small networks more than it gains. 784-128-10 with 32 rows, 20 million operations, took
  // 137 us alone and 99 us on two threads of a Zen 4 processor; on a Zen 5, twice as fast, 74 and
  // 78 us.
  constexpr double kOperationsWorthSharing = 10e6;
  const WorkAlone work_alone(3 * program_.cost * static_cast<double>(batch.rows) <
                             kOperationsWorthSharing);
  share_work(run, 3);
  double* totals = sums_.data() + 1;
  if (tally) {
    std::fill(sums_.begin(), sums_.end(), 0.0);
    sums_[0] = 1;
  }
  const auto where = [&batch] { return name_of_batch(batch); };
  double loss;
  Magnitude magnitude;
  if (sum_) {
    loss = differentiate_in_parts(data, batch, totals, false);
    magnitude = pipeline_->measure();
  } else {
    loss = differentiate(data, batch, batch.rows, run, tally ? totals : nullptr);
    if (!std::isfinite(loss)) explain(data, batch, batch.rows, run);
    magnitude = check_gradients();
    if (magnitude == Magnitude::not_finite) explain(data, batch, batch.rows, run);
  }
  if (regularization_) {
    const double penalty = regularization_->add_gradients();
    magnitude = regularization_->magnitude_after(magnitude, penalty);
    loss += penalty;
    totals[0] += penalty * static_cast<double>(batch.rows);
  }
  const auto finish = [&] {
    commit(run);
    if (!tally) return;
    tally[0] += sums_[0];
    objective_->merge(tally + 1, totals);
    std::copy(sums_.begin(), sums_.end(), tally + sums_.size());
  };
  if (!optimizer_->searches()) {
    learn(magnitude, learning_rate, where, finish);
    return loss;
  }
  process_gradients(magnitude, where);
  search(data, batch, run, loss, learning_rate);
  const Use::Changing changing(graph_->use);
  if (constraints_) constraints_->apply();
  finish();
  return loss;
}

// Stores the results of a training pass.
template <class T>
void Plan<T>::commit(const Run& run) {
  for (const auto& op : program_.ops) op->commit(run);
  ++iteration;
}

template <class T>
void Plan<T>::explain(const Dataset<T>& data, const Batch& batch, index_t rows_of_batch,
                      const Run& run) {
  load(data, batch, run);
  inputs_->template require_finite_batch<ValueError>(data.x, batch);
  explain_non_finite<T>(
      program_, run, batch, [&] { return objective_->loss(batch.rows, rows_of_batch, true); },
      [&] { backward(run); });
}

template <class T>
double Plan<T>::train_step(const Dataset<T>& batch, double learning_rate) {
  const Use::Writing writing(graph_->use, "train_on_batch");
  const Busy busy(busy_, "train_on_batch", Busy::Others::are_excluded);
  require_optimizer("train_step");
  require_batch(batch.size, "train_step");
  return step(batch, {nullptr, 0, batch.size, 0}, learning_rate, nullptr);
}

template <class T>
void Plan<T>::train_batches(const Dataset<T>& data, const int64_t* order, index_t order_size,
                            index_t first, index_t batch_size, const double* learning_rates,
                            index_t steps, double seconds, double* tally, index_t skipped) {
  const Use::Writing writing(graph_->use, "fit");
  const Busy busy(busy_, "fit", Busy::Others::are_excluded);
  require_optimizer("train_batches");
  require_batch(batch_size, "train_batches");
  const auto start = std::chrono::steady_clock::now();
  for (index_t i = 0; i < steps && first < order_size; ++i) {
    const index_t left = order_size - first;
    const Batch batch{order,
                      first,
                      std::min(left, batch_size),
                      (skipped + first) / batch_size,
                      inputs_->augments(),
                      skipped};
    step(data, batch, learning_rates[i], tally);
    first += batch.rows;
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    if (passed.count() >= seconds) break;
  }
}

template <class T>
void Plan<T>::evaluate(const Dataset<T>& data, double* totals) {
  const Use::Reading reading(graph_->use, "evaluate");
  const Busy busy(busy_, "evaluate");
  require_training("evaluate");
  InterruptWatch watch;
  for (index_t first = 0; first < data.size; first += options_.capacity) {
    const Batch batch{nullptr, first, std::min(options_.capacity, data.size - first), 0};
    Run run = new_run(batch.rows, false);
    run.first_row = first;
    load(data, batch, run);
    watch.did(cost_of_pass(run));
    share_work(run, 1);
    forward(run);
    objective_->loss(batch.rows, batch.rows, false);
    objective_->add_to(totals, batch.rows, batch.rows);
  }
  if (regularization_) totals[0] += regularization_->value() * static_cast<double>(data.size);
}

// ---- by hand ---------------------------------------------------------------------------------------

// Effect of loss_and_gradients() and run() on the network: in training, stores the results of the
// pass as a step does.
template <class T>
template <class Pass>
void Plan<T>::by_hand(const char* what, bool training, const Pass& pass) {
  if (!training) {
    const Use::Reading reading(graph_->use, what);
    const Busy busy(busy_, what);
    return pass();
  }
  const Use::Writing writing(graph_->use, what);
  const Busy busy(busy_, what, Busy::Others::are_excluded);
  require_steps_left();
  pass();
  const Use::Changing changing(graph_->use);
  commit(last_run_);
}

template <class T>
double Plan<T>::loss_and_gradients(const Dataset<T>& data, bool training) {
  require_training("loss_and_gradients");
  require_rows(data.size, "loss_and_gradients");
  double loss = 0;
  by_hand("loss_and_gradients", training, [&] {
    const Run run = new_run(data.size, training);
    load(data, {nullptr, 0, data.size, 0}, run);
    forward(run);
    loss = objective_->loss(data.size, data.size, true);
    backward(run);
    if (regularization_) loss += regularization_->add_gradients();
  });
  return loss;
}

template <class T>
void Plan<T>::run(const RowsOfInputs<T>& x, index_t n, bool training) {
  require_rows(n, "run");
  by_hand(options_.by_hand ? "vjp" : "trace", training, [&] {
    inputs_->read(x, {nullptr, 0, n, 0});
    forward(new_run(n, training));
    values_are_whole_ = true;
  });
}

template <class T>
void Plan<T>::pull_back(const OneOrMore<const T*>& d_outputs) {
  const Use::Reading reading(graph_->use, "pullback");
  const Busy busy(busy_, "pullback");
  if (last_run_.rows == 0) throw StateError("pullback: expected a forward pass before, got none");
  // A backward pass overwrites values.
  if (!values_are_whole_) forward(Run(last_run_));
  values_are_whole_ = false;
  for (size_t i = 0; i < program_.outputs.size(); ++i) {
    const ProgramOutput<T>& output = program_.outputs[i];
    const size_t size = static_cast<size_t>(last_run_.rows * output.prediction->size);
    if (output.d_prediction) std::memcpy(output.d_prediction, d_outputs[i], size * sizeof(T));
  }
  backward(last_run_);
}

template <class T>
void Plan<T>::apply_gradients(double learning_rate) {
  const Use::Writing writing(graph_->use, "apply_gradients");
  const Busy busy(busy_, "apply_gradients", Busy::Others::are_excluded);
  require_optimizer("apply_gradients");
  require_steps_left();
  const auto where = [] { return std::string("the given gradients"); };
  learn(pipeline_->measure(), learning_rate, where, [this] { ++iteration; });
}

template class Plan<float>;
template class Plan<double>;

}  // namespace nnfast::plan
