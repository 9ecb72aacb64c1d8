// What is reported beside the loss.
#include <cmath>

#include "ops/reduce.h"
#include "plan/plan.h"

namespace nnfast::plan {

// NaN where an output is NaN, which is no answer.
template <class T>
double Plan<T>::accuracy(index_t rows) {
  const T* p = program_.output->value;
  const index_t n = program_.output->size;
  T most;
  kernels<T>().max_rows(&most, p, 1, rows * n);
  if (std::isnan(most)) return std::nan("");
  if (classes_ == 1 || answers_apart_) {
    // Each number says yes or no, at probability 1/2 or logit 0.
    const T threshold = program_.output_is_logits ? T(0) : T(0.5);
    index_t right = 0;
    for (index_t i = 0; i < rows * n; ++i) {
      const T target = has_labels_ ? static_cast<T>(labels_.data()[i]) : targets_.data()[i];
      right += (p[i] > threshold) == (target > T(0.5));
    }
    return static_cast<double>(right) / static_cast<double>(n);
  }
  const index_t all = rows * positions_;
  kernels<T>().argmax_rows(best_.data(), p, all, classes_);
  const int32_t* truth = labels_.data();
  if (!has_labels_) {
    kernels<T>().argmax_rows(best_target_.data(), targets_.data(), all, classes_);
    truth = best_target_.data();
  }
  index_t right = 0;
  for (index_t i = 0; i < all; ++i) right += best_.data()[i] == truth[i];
  return static_cast<double>(right) / static_cast<double>(positions_);
}

template <class T>
void Plan<T>::add_metrics(index_t rows, double* totals) {
  for (size_t i = 0; i < metrics_.size(); ++i) {
    const Metric& metric = metrics_[i];
    if (metric.accuracy) {
      totals[1 + i] += accuracy(rows);
      continue;
    }
    require(!has_labels_ || metric.loss.softmax, options_.metrics[i].op,
            ": expected y of the output's shape for this metric, got labels; use one-hot rows");
    const Tensor<T>& prediction = metric.of_prediction ? *program_.prediction : *program_.output;
    loss_values<T>(values_.data(), nullptr, loss_inputs(prediction, rows), nullptr, 1, metric.loss);
    totals[1 + i] += sum_all(values_.data(), rows);
  }
}

template double Plan<float>::accuracy(index_t);
template double Plan<double>::accuracy(index_t);
template void Plan<float>::add_metrics(index_t, double*);
template void Plan<double>::add_metrics(index_t, double*);

}  // namespace nnfast::plan
