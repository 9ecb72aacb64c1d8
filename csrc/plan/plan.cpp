#include "plan/plan.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "base/interrupt.h"
#include "base/thread_pool.h"
#include "ops/reduce.h"
#include "plan/busy.h"
#include "plan/lent.h"
#include "plan/train/loss.h"

namespace nnfast::plan {

// The first of `rows` with a number that is not finite; there is one.
template <class T>
index_t non_finite_row(const T* values, index_t rows, index_t width) {
  index_t row = 0;
  while (row + 1 < rows && all_finite(values + row * width, width)) ++row;
  return row;
}

// Rows order[first] ... of a dataset, or rows first ... where order is null.
template <class T>
struct Plan<T>::Batch {
  const int64_t* order;
  index_t first, rows;
  index_t number;  // of the batch in its epoch
  bool augmented = false;

  index_t row(index_t i) const {
    return order ? static_cast<index_t>(order[first + i]) : first + i;
  }
};

template <class T>
Plan<T>::Plan(std::shared_ptr<Graph<T>> graph, PlanOptions options, const Callbacks<T>& callbacks,
              LossCallback<T> loss_callback)
    : graph_(std::move(graph)),
      options_(std::move(options)),
      loss_callback_(std::move(loss_callback)) {
  require(options_.capacity > 0, "network: expected a capacity of 1 row or more, got ",
          options_.capacity);
  program_ = build_program(*graph_, options_, callbacks);
  // A user's NumPy layer is not called more often than it must.
  if (callbacks.empty()) {
    row_bytes_ = static_cast<index_t>(program_.arena.size() * sizeof(T) /
                                      static_cast<size_t>(options_.capacity));
  }
  if (!options_.loss) return;
  require(program_.outputs.size() == 1, "loss: expected a network with one output, got ",
          program_.outputs.size());
  const NodeSpec& loss = *options_.loss;
  const bool on_logits = wants_logits(loss) || loss_takes_logits_of(loss, layout().output(0));
  if (loss.op == "callback") {
    require_known(loss, "");
  } else {
    loss_ = loss_options(loss, on_logits);
  }
  if (options_.optimizer) {
    optimizer_.emplace(*options_.optimizer, program_.parameters, graph_->flat.data(),
                       program_.gradients.data(), layout().flat_size());
  }
  if (options_.augmentation) {
    const ProgramInput<T>& input = program_.inputs[0];
    augmentation_ = parse_augmentation(*options_.augmentation, input.tensor->shape);
    augmentation_->scale = input.scale;
    augmentation_->offset = input.offset;
  }
  classes_ = static_cast<index_t>(output().prediction->shape.back());
  positions_ = output().prediction->size / classes_;
  metrics_ = Metrics<T>(options_.metrics, {loss, on_logits, output().is_logits, options_.capacity,
                                           positions_, classes_});
  const size_t rows = static_cast<size_t>(options_.capacity);
  const size_t positions = rows * static_cast<size_t>(positions_);
  labels_ = AlignedBuffer<int32_t>(positions);
  targets_ = AlignedBuffer<T>(rows * static_cast<size_t>(output().prediction->size));
  values_ = AlignedBuffer<T>(rows);
  weights_ = AlignedBuffer<T>(rows);
  sums_.resize(static_cast<size_t>(1 + totals_size()));
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

template <class T>
void Plan<T>::require_training(const char* where) const {
  if (!options_.loss) {
    throw StateError(text(where, ": expected a plan with a loss, got one for prediction"));
  }
}

template <class T>
void Plan<T>::require_optimizer(const char* where) const {
  require_training(where);
  if (!optimizer_) throw StateError(text(where, ": expected a plan with an optimizer, got none"));
}

// Wakes the workers ahead of a stretch of work that is worth sharing: operations, or parameters that
// a pass over few rows only reads.
template <class T>
void Plan<T>::share_work(const Run& run, double passes) const {
  constexpr double kOperationsWorthWaking = 2e6, kOperationsPerParameter = 16;
  const double operations = program_.cost * static_cast<double>(run.rows);
  const double reading = kOperationsPerParameter * static_cast<double>(layout().parameter_count());
  if (!works_alone() && passes * std::max(operations, reading) > kOperationsWorthWaking)
    wake_workers();
}

// Of a pass over all ops, at least: in units of about a nanosecond, as InterruptWatch takes it.
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
void Plan<T>::read_inputs(const RowsOfInputs<T>& x, const int64_t* order, index_t first,
                          index_t rows) {
  for (size_t i = 0; i < program_.inputs.size(); ++i)
    read_input(program_.inputs[i], x[i], order, first, rows);
}

template <class T>
void Plan<T>::read_input(const ProgramInput<T>& input, const Rows<T>& x, const int64_t* order,
                         index_t first, index_t rows) {
  const index_t n = input.tensor->size;
  const bool as_it_is = x.values && input.scale == 1 && input.offset == 0;
  if (as_it_is && !order && !options_.keep) {
    point_at(input.views, const_cast<T*>(x.values + first * n));
    return;
  }
  point_at(input.views, input.memory);
  const double cost = 0.15 * static_cast<double>(rows * n);
  parallel_ranges(rows, 1, cost, [&](index_t begin, index_t end) {
    T* to = input.memory + begin * n;
    const int64_t* wanted = order ? order + first + begin : nullptr;
    const index_t skip = order ? 0 : (first + begin) * n;
    if (x.bytes) {
      kernels<T>().gather_byte_rows(to, x.bytes + skip, wanted, end - begin, n, input.scale,
                                    input.offset);
    } else {
      kernels<T>().gather_rows(to, x.values + skip, wanted, end - begin, n, input.scale,
                               input.offset);
    }
  });
}

// Images are the first input.
template <class T>
void Plan<T>::read_augmented(const Rows<T>& x, const Batch& batch) {
  const ProgramInput<T>& input = program_.inputs[0];
  point_at(input.views, input.memory);
  AugmentParams params = *augmentation_;
  params.random = {options_.seed, static_cast<uint32_t>(iteration), kAugmentationStream};
  augment_images(input.memory, x.values, x.bytes, batch.order + batch.first, batch.rows, params);
}

template <class T>
void Plan<T>::forward(const Run& run) {
  const bool is_long = looks_between_ops(run);
  for (const auto& op : program_.ops) {
    op->forward(run);
    if (is_long) check_interrupt();
  }
  last_rows_ = run.rows;
}

template <class T>
void Plan<T>::backward(const Run& run) {
  const bool is_long = looks_between_ops(run);
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

// Rows of a prediction that go through all ops together: as many as leave their values in caches between
// ops. Keras's convnet with 128 rows took 7.2 ms at once and 5.7 in passes of 8 (Zen 3, one thread); ResNet-20
// 95.7 and 84.6. Each pass reads the parameters anew, and so is no smaller than they are.
template <class T>
index_t Plan<T>::rows_of_pass(index_t n) const {
  constexpr index_t kBytesOfThread = 3 << 19;
  const index_t of_parameters = layout().parameter_count() * static_cast<index_t>(sizeof(T));
  const index_t bytes = std::max(get_num_threads() * kBytesOfThread, of_parameters);
  index_t rows_per_pass = std::min(n, options_.capacity);
  if (rows_per_pass * row_bytes_ > bytes) rows_per_pass = std::max(index_t(1), bytes / row_bytes_);
  if (rows_per_pass == n) return n;
  const index_t passes = (n + rows_per_pass - 1) / rows_per_pass;
  return (n + passes - 1) / passes;
}

template <class T>
void Plan<T>::require_finite(const RowsOfInputs<T>& x, index_t n) const {
  for (size_t i = 0; i < program_.inputs.size(); ++i) {
    const index_t size = program_.inputs[i].tensor->size;
    if (x[i].values && !all_finite(x[i].values, n * size))
      throw DataError(non_finite_text(i, non_finite_row(x[i].values, n, size)));
  }
}

template <class T>
void Plan<T>::predict(const RowsOfInputs<T>& x, index_t n, const OneOrMore<T*>& out) {
  const Use::Reading reading(graph_->use, "predict");
  const Busy busy(busy_, "predict");
  require_finite(x, n);
  const LentOutputs<T> lent(program_.outputs);
  const index_t rows_per_pass = rows_of_pass(n);
  InterruptWatch watch;
  for (index_t first = 0; first < n; first += rows_per_pass) {
    const index_t rows = std::min(rows_per_pass, n - first);
    const Run run = new_run(rows, false);
    watch.did(cost_of_pass(run));
    share_work(run, 1);
    for (size_t i = 0; i < program_.outputs.size(); ++i) {
      const ProgramOutput<T>& output = program_.outputs[i];
      if (output.has_own_memory) point_at(output.views, out[i] + first * output.tensor->size);
    }
    read_inputs(x, nullptr, first, rows);
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

template <class T>
std::string Plan<T>::non_finite_text(size_t input, index_t row) const {
  return text(layout().input(input).spec.name,
              ": expected finite numbers in x, got NaN or infinity (or too large for ",
              sizeof(T) == 4 ? "float32" : "float64", ") in row ", row,
              "; remove or replace such rows");
}

template <class T>
void Plan<T>::run(const RowsOfInputs<T>& x, index_t n, bool training) {
  const Use::Reading reading(graph_->use, "trace");
  const Busy busy(busy_, "trace");
  require_rows(n, "run");
  read_inputs(x, nullptr, 0, n);
  forward(new_run(n, training));
}

// ---- training ------------------------------------------------------------------------------------

template <class T>
void Plan<T>::require_label(int64_t label) const {
  if (label >= 0 && label < classes_) return;
  throw DataError(text("y: expected labels of 0 to ", classes_ - 1, " for ", classes_,
                       " classes, got ", label));
}

template <class T>
void Plan<T>::load_targets(const Targets<T>& y, const Batch& batch) {
  has_labels_ = y.are_labels;
  const index_t width = y.are_labels ? positions_ : output().prediction->size;
  const auto integer = [&y](index_t i) -> int64_t {
    switch (y.integer_type) {
      case LabelType::uint8:
        return static_cast<const uint8_t*>(y.integers)[i];
      case LabelType::int32:
        return static_cast<const int32_t*>(y.integers)[i];
      default:
        return static_cast<const int64_t*>(y.integers)[i];
    }
  };
  for (index_t r = 0; r < batch.rows; ++r) {
    const index_t from = batch.row(r) * width, to = r * width;
    if (!y.integers) {
      std::memcpy(targets_.data() + to, y.values + from, sizeof(T) * static_cast<size_t>(width));
      continue;
    }
    for (index_t i = 0; i < width; ++i) {
      const int64_t value = integer(from + i);
      if (y.are_labels) {
        require_label(value);
        labels_.data()[to + i] = static_cast<int32_t>(value);
      } else {
        targets_.data()[to + i] = static_cast<T>(value);
      }
    }
  }
  if (y.values && !all_finite(targets_.data(), batch.rows * width)) {
    throw DataError(text("y: expected finite numbers, got NaN or infinity in row ",
                         batch.row(non_finite_row(targets_.data(), batch.rows, width)),
                         "; remove or replace such rows"));
  }
}

template <class T>
template <class Error>
void Plan<T>::require_finite_inputs(const RowsOfInputs<T>& x, const Batch& batch) const {
  for (size_t i = 0; i < program_.inputs.size(); ++i) {
    const Tensor<T>& input = *program_.inputs[i].tensor;
    if (x[i].values && !all_finite(input.value, batch.rows * input.size)) {
      throw Error(
          non_finite_text(i, batch.row(non_finite_row(input.value, batch.rows, input.size))));
    }
  }
}

template <class T>
void Plan<T>::load_batch(const Dataset<T>& data, const Batch& batch) {
  load_targets(data.y, batch);
  if (batch.augmented) {
    read_augmented(data.x[0], batch);
  } else {
    read_inputs(data.x, batch.order, batch.first, batch.rows);
  }
  // Rows that come by order were looked at as a whole beforehand.
  if (!batch.order) require_finite_inputs<DataError>(data.x, batch);
  if (!data.weights) return;
  for (index_t r = 0; r < batch.rows; ++r) weights_.data()[r] = data.weights[batch.row(r)];
  if (!all_finite(weights_.data(), batch.rows)) {
    throw DataError(text("sample_weight: expected finite numbers, got NaN or infinity in row ",
                         batch.row(non_finite_row(weights_.data(), batch.rows, 1)),
                         "; remove or replace such rows"));
  }
}

template <class T>
Answers<T> Plan<T>::answers(index_t rows) const {
  return {{output().prediction->value, has_labels_ ? labels_.data() : nullptr, targets_.data(),
           rows, positions_, classes_},
          output().tensor->value};
}

template <class T>
void Plan<T>::merge_totals(double* totals, const double* other) const {
  totals[0] += other[0];
  metrics_.merge(totals + 1, other + 1);
}

template <class T>
void Plan<T>::results_of(double* results, const double* totals, index_t rows) const {
  results[0] = totals[0] / static_cast<double>(rows);
  metrics_.results(results + 1, totals + 1, rows);
}

// The batch's loss, sum of weight * value / rows; with the gradient at the prediction if asked.
template <class T>
double Plan<T>::compute_loss(index_t rows, bool weighted, bool with_gradient) {
  const LossInputs<T> inputs = answers(rows).to_loss;
  T* value = values_.data();
  T* gradient = with_gradient ? output().d_prediction : nullptr;
  const T* weights = weighted ? weights_.data() : nullptr;
  const double scale = 1 / static_cast<double>(rows);
  if (loss_callback_) {
    loss_callback_(inputs, value, gradient);
    const index_t n = output().prediction->size;
    for (index_t r = 0; gradient && r < rows; ++r) {
      const double factor = weights ? scale * static_cast<double>(weights[r]) : scale;
      T* row = gradient + r * n;
      if (factor == 0) {  // whatever the row holds
        std::fill(row, row + n, T(0));
      } else {
        kernels<T>().scale_shift(row, row, n, factor, 0);
      }
    }
  } else {
    loss_values(value, gradient, inputs, weights, scale, loss_);
  }
  if (weights) weigh_rows(value, weights, rows);
  return sum_all(value, rows) * scale;
}

template <class T>
double Plan<T>::step(const Dataset<T>& data, const Batch& batch, double learning_rate,
                     double* tally) {
  // Random numbers are a function of the step's number.
  if (iteration >= UINT32_MAX - 1)
    throw StateError("network: expected fewer than 2^32 - 1 steps, got as many");
  load_batch(data, batch);
  const Run run = new_run(batch.rows, true);
  // Parameters that one processor updates travel to the others in the next step. For small networks
  // that costs more than it gains. 784-128-10 with 32 rows, 20 million operations, took 137 us alone
  // and 99 us on two threads of a Zen 4 processor; on a Zen 5, twice as fast, 74 and 78 us.
  constexpr double kOperationsWorthSharing = 10e6;
  const WorkAlone work_alone(3 * program_.cost * static_cast<double>(batch.rows) <
                             kOperationsWorthSharing);
  share_work(run, 3);
  forward(run);
  const double loss = compute_loss(batch.rows, data.weights != nullptr, true);
  if (!std::isfinite(loss)) explain_non_finite(data, batch);
  // Before the backward pass, which takes over the memory of the output.
  if (tally) {
    std::fill(sums_.begin(), sums_.end(), 0.0);
    sums_[0] = 1;
    sums_[1] = loss * static_cast<double>(batch.rows);
    metrics_.update(sums_.data() + 2, answers(batch.rows));
  }
  backward(run);
  bool moderate = true;
  for (const auto& op : program_.ops) {
    const Magnitude found = op->check_gradients();
    if (found == Magnitude::not_finite) explain_non_finite(data, batch);
    moderate = moderate && found == Magnitude::moderate;
  }
  for (const Parameter<T>* parameter : program_.summed) {
    if (all_moderate(parameter->gradient, parameter->size)) continue;
    if (!all_finite(parameter->gradient, parameter->size)) explain_non_finite(data, batch);
    moderate = false;
  }
  const Use::Changing changing(graph_->use);
  const auto overflow = optimizer_->update(learning_rate, moderate);
  if (overflow.parameter) explain_overflow(overflow, batch);
  for (const auto& op : program_.ops) op->commit(run);
  ++iteration;
  if (tally) {
    tally[0] += sums_[0];
    merge_totals(tally + 1, sums_.data() + 1);
    std::copy(sums_.begin(), sums_.end(), tally + sums_.size());
  }
  return loss;
}

template <class T>
double Plan<T>::train_step(const Dataset<T>& batch, double learning_rate) {
  const Use::Writing writing(graph_->use, "train_on_batch");
  const Busy busy(busy_, "train_on_batch", Busy::Others::are_excluded);
  require_optimizer("train_step");
  require_rows(batch.size, "train_step");
  return step(batch, {nullptr, 0, batch.size, 0}, learning_rate, nullptr);
}

template <class T>
void Plan<T>::train_batches(const Dataset<T>& data, const int64_t* order, index_t order_size,
                            index_t first, index_t batch_size, const double* learning_rates,
                            index_t steps, double seconds, double* tally) {
  const Use::Writing writing(graph_->use, "fit");
  const Busy busy(busy_, "fit", Busy::Others::are_excluded);
  require_optimizer("train_batches");
  require_rows(batch_size, "train_batches");
  const auto start = std::chrono::steady_clock::now();
  for (index_t i = 0; i < steps && first < order_size; ++i) {
    const index_t left = order_size - first;
    const Batch batch{order, first, left < batch_size ? left : batch_size, first / batch_size,
                      augmentation_.has_value()};
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
    const index_t left = data.size - first;
    const Batch batch{nullptr, first, left < options_.capacity ? left : options_.capacity, 0};
    load_batch(data, batch);
    const Run run = new_run(batch.rows, false);
    watch.did(cost_of_pass(run));
    share_work(run, 1);
    forward(run);
    const double loss = compute_loss(batch.rows, data.weights != nullptr, false);
    totals[0] += loss * static_cast<double>(batch.rows);
    metrics_.update(totals + 1, answers(batch.rows));
  }
}

template <class T>
double Plan<T>::loss_and_gradients(const Dataset<T>& data, bool training) {
  const Use::Reading reading(graph_->use, "loss_and_gradients");
  const Busy busy(busy_, "loss_and_gradients");
  require_training("loss_and_gradients");
  require_rows(data.size, "loss_and_gradients");
  load_batch(data, {nullptr, 0, data.size, 0});
  const Run run = new_run(data.size, training);
  forward(run);
  const double loss = compute_loss(data.size, data.weights != nullptr, true);
  backward(run);
  return loss;
}

template <class T>
std::string Plan<T>::place_of(const Batch& batch) {
  if (!batch.order) return text("a batch of ", batch.rows, " rows");
  return text("batch ", batch.number, " (rows ", batch.first, " to ", batch.first + batch.rows - 1,
              " of the epoch's order)");
}

template <class T>
void Plan<T>::explain_overflow(const typename Optimizer<T>::Overflow& found, const Batch& batch) {
  throw StateError(text(found.parameter->name, ": expected an update to a finite ", found.what,
                        ", got NaN or infinity, in ", place_of(batch),
                        "; the parameters are those before it. ",
                        found.whatever_the_rate ? "Scale inputs and targets to sizes near 1"
                                                : "A smaller learning rate often helps"));
}

// Finds where the numbers stopped being finite, by running the step once more op by op.
template <class T>
void Plan<T>::explain_non_finite(const Dataset<T>& data, const Batch& batch) {
  const std::string where = place_of(batch);
  const std::string remedy =
      "; the parameters are those before it. A smaller learning rate often helps";
  load_batch(data, batch);
  require_finite_inputs<ValueError>(data.x, batch);
  const Run run = new_run(batch.rows, true);
  for (const auto& parameter : program_.parameters) {
    if (!all_finite(parameter->value, parameter->size)) {
      throw StateError(
          text(parameter->name, ": expected finite parameters, got NaN or infinity before ", where,
               "; load parameters that were saved before, and lower the learning rate"));
    }
  }
  for (const auto& op : program_.ops) {
    op->forward(run);
    if (!all_finite(op->output->value, batch.rows * op->output->size)) {
      throw StateError(
          text(op->name, ": expected finite outputs, got NaN or infinity, in ", where, remedy));
    }
  }
  if (!std::isfinite(compute_loss(batch.rows, data.weights != nullptr, true))) {
    throw StateError(
        text("loss: expected a finite number, got NaN or infinity, in ", where, remedy));
  }
  backward(run);
  for (const auto& parameter : program_.parameters) {
    if (parameter->gradient && !all_finite(parameter->gradient, parameter->size)) {
      throw StateError(text(parameter->name,
                            ": expected a finite gradient, got NaN or infinity, in ", where,
                            remedy));
    }
  }
  throw StateError(
      text("network: expected finite numbers, got NaN or infinity, in ", where, remedy));
}

template class Plan<float>;
template class Plan<double>;

}  // namespace nnfast::plan
