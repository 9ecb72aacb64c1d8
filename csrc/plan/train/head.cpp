#include "plan/train/head.h"

#include <algorithm>
#include <cstring>

#include "kernels/select.h"
#include "ops/reduce.h"
#include "plan/inputs.h"
#include "plan/train/loss.h"

namespace nnfast::plan {

template <class T>
Head<T>::Head(const HeadOptions& options, const GraphNode& node, const ProgramOutput<T>& output,
              index_t capacity, std::string label, LossCallback<T> callback,
              HeadExpressions<T> expressions)
    : output_(output),
      weight_(options.weight),
      label_(std::move(label)),
      callback_(std::move(callback)),
      expressions_(std::move(expressions)),
      classes_(output.prediction->shape.empty()
                   ? 1
                   : static_cast<index_t>(output.prediction->shape.back())) {
  const NodeSpec& loss = options.loss;
  const bool on_logits = wants_logits(loss) || loss_takes_logits_of(loss, node);
  if (loss.op == "callback" || loss.op == "expression") {
    require_known(loss, "");
  } else {
    loss_ = loss_options(loss, on_logits);
  }
  positions_ = output.prediction->size / classes_;
  metrics_ = Metrics<T>(options.metrics, options.weighted_metrics,
                        {loss, on_logits, output.is_logits, capacity, positions_, classes_},
                        expressions_.metrics);
  const size_t rows = static_cast<size_t>(capacity);
  labels_ = AlignedBuffer<int32_t>(rows * static_cast<size_t>(positions_));
  targets_ = AlignedBuffer<T>(rows * static_cast<size_t>(output.prediction->size));
  weights_ = AlignedBuffer<T>(rows);
  values_ = AlignedBuffer<T>(output.mask ? labels_.size() : rows);
  for (const Shape& shape : options.targets) {
    const index_t size = element_count(shape, label_);
    parts_.push_back({size, AlignedBuffer<T>(rows * static_cast<size_t>(size))});
    part_values_.push_back(parts_.back().values.data());
  }
  if (parts_.empty()) part_values_.push_back(targets_.data());
  if (!output.mask) return;
  require(!callback_ && !expressions_.loss, label_,
          ": expected a loss of nnfast for an output with a mask, got a custom one; "
          "pass sample_weight, or drop the layer that makes the mask");
  shares_ = AlignedBuffer<T>(labels_.size());
  position_weights_ = AlignedBuffer<T>(labels_.size());
}

template <class T>
void Head<T>::load(const OneOrMore<Targets<T>>& all, size_t first, const Batch& batch) {
  const Targets<T>& y = all[first];
  has_labels_ = y.are_labels;
  if (expressions_.loss) {
    for (size_t i = 0; i < parts_.size(); ++i) load_part(all[first + i], batch, i);
    if (metrics_.count() > expressions_.metrics.size()) load_for_metrics(y, batch);
  } else if (y.integers) {
    load_integers(y, batch);
  } else {
    load_values(y, batch);
  }
  if (!expressions_.loss && !expressions_.metrics.empty() && has_labels_)
    std::copy_n(labels_.data(), batch.rows * positions_, targets_.data());
  is_weighted_ = y.weights != nullptr;
  if (is_weighted_) load_weights(y.weights, batch);
}

// Calls use(pointer) with the integers as what they are.
template <class T, class Use>
void with_integers(const Targets<T>& y, const Use& use) {
  switch (y.integer_type) {
    case LabelType::uint8:
      return use(static_cast<const uint8_t*>(y.integers));
    case LabelType::int32:
      return use(static_cast<const int32_t*>(y.integers));
    default:
      return use(static_cast<const int64_t*>(y.integers));
  }
}

// Metrics read the single array of targets as those of other losses: class numbers if it has their shape.
template <class T>
void Head<T>::load_for_metrics(Targets<T> y, const Batch& batch) {
  has_labels_ = y.are_labels = y.integers && classes_ > 1 && parts_[0].size == positions_;
  require(has_labels_ || parts_[0].size == output_.prediction->size, label_,
          ": expected targets of the output's shape, or class numbers, because of a metric");
  if (y.integers) {
    load_integers(y, batch);
  } else {
    load_values(y, batch);
  }
}

template <class T>
void Head<T>::load_part(const Targets<T>& y, const Batch& batch, size_t part) {
  const index_t width = parts_[part].size;
  T* to = parts_[part].values.data();
  const auto copy = [&](const auto* from) {
    for (index_t r = 0; r < batch.rows; ++r) {
      const auto* row = from + batch.row(r) * width;
      for (index_t i = 0; i < width; ++i) to[r * width + i] = static_cast<T>(row[i]);
    }
  };
  if (y.integers) {
    with_integers(y, copy);
  } else {
    copy(y.values);
  }
  if (!all_finite(to, batch.rows * width))
    refuse_row(label_, batch.row(non_finite_row(to, batch.rows, width)));
}

template <class T>
void Head<T>::load_values(const Targets<T>& y, const Batch& batch) {
  const index_t width = output_.prediction->size;
  for (index_t r = 0; r < batch.rows; ++r) {
    std::memcpy(targets_.data() + r * width, y.values + batch.row(r) * width,
                sizeof(T) * static_cast<size_t>(width));
  }
  if (!all_finite(targets_.data(), batch.rows * width))
    refuse_row(label_, batch.row(non_finite_row(targets_.data(), batch.rows, width)));
}

template <class T>
void Head<T>::load_integers(const Targets<T>& y, const Batch& batch) {
  const index_t width = y.are_labels ? positions_ : output_.prediction->size;
  with_integers(y, [&](const auto* integers) {
    for (index_t r = 0; r < batch.rows; ++r) {
      const auto* row = integers + batch.row(r) * width;
      const index_t to = r * width;
      for (index_t i = 0; i < width; ++i) {
        if (y.are_labels) {
          require_label(static_cast<int64_t>(row[i]));
          labels_.data()[to + i] = static_cast<int32_t>(row[i]);
        } else {
          targets_.data()[to + i] = static_cast<T>(row[i]);
        }
      }
    }
  });
}

template <class T>
void Head<T>::load_weights(const T* weights, const Batch& batch) {
  for (index_t r = 0; r < batch.rows; ++r) weights_.data()[r] = weights[batch.row(r)];
  if (!all_finite(weights_.data(), batch.rows))
    refuse_row("sample_weight", batch.row(non_finite_row(weights_.data(), batch.rows, 1)));
}

template <class T>
void Head<T>::refuse_row(const std::string& what, index_t row) const {
  throw DataError(text(what, ": expected finite numbers, got NaN or infinity in row ", row,
                       "; remove or replace such rows"));
}

template <class T>
void Head<T>::require_label(int64_t label) const {
  if (label >= 0 && label < classes_) return;
  throw DataError(text(label_, ": expected labels of 0 to ", classes_ - 1, " for ", classes_,
                       " classes, got ", label));
}

template <class T>
Answers<T> Head<T>::answers(index_t rows) const {
  return {{output_.prediction->value, has_labels_ ? labels_.data() : nullptr, targets_.data(), rows,
           positions_, classes_},
          output_.tensor->value,
          output_.mask ? shares_.data() : nullptr,
          is_weighted_ ? weights_.data() : nullptr,
          part_values_.data()};
}

template <class T>
double Head<T>::loss(index_t rows, index_t rows_of_batch, bool with_gradient) {
  const LossInputs<T> inputs = answers(rows).to_loss;
  T* value = values_.data();
  T* gradient = with_gradient ? output_.d_prediction : nullptr;
  const T* weights = is_weighted_ ? weights_.data() : nullptr;
  const double scale = 1 / static_cast<double>(rows_of_batch);
  if (output_.mask) return masked_loss(rows, scale, gradient);
  if (callback_ || expressions_.loss) {
    if (expressions_.loss) {
      expressions_.loss(inputs.prediction, part_values_.data(), rows, value, gradient);
    } else {
      callback_(inputs, value, gradient);
    }
    if (gradient) scale_gradient(weights, rows, scale * weight_);
  } else {
    loss_values(value, gradient, inputs, weights, scale * weight_, loss_);
  }
  if (weights) weigh_rows(value, weights, rows);
  return sum_all(value, rows) * scale;
}

// Every row has the same weight, whatever the number of its unmasked positions, so that a sequence has the same loss
// alone and padded in a batch.
template <class T>
void Head<T>::share_positions(index_t rows) {
  for (index_t r = 0; r < rows; ++r) {
    const T* mask = output_.mask->value + r * positions_;
    T* shares = shares_.data() + r * positions_;
    const auto count = std::count_if(mask, mask + positions_, [](T m) { return m != 0; });
    const T share = count == 0 ? T(0) : static_cast<T>(1 / static_cast<double>(count));
    std::transform(mask, mask + positions_, shares, [share](T m) { return m == 0 ? T(0) : share; });
  }
}

// Positions as rows, each with the weight of its row times its share.
template <class T>
double Head<T>::masked_loss(index_t rows, double scale, T* gradient) {
  share_positions(rows);
  const index_t all = rows * positions_;
  T* weights = position_weights_.data();
  for (index_t i = 0; i < all; ++i) {
    const T weight = weight_of_position(loss_, shares_.data()[i]);
    weights[i] = is_weighted_ ? weight * weights_.data()[i / positions_] : weight;
  }
  const LossInputs<T> inputs = positions_as_rows(answers(rows).to_loss);
  loss_values(values_.data(), gradient, inputs, weights, scale * weight_, loss_);
  weigh_rows(values_.data(), weights, all);
  return sum_all(values_.data(), all) * scale;
}

template <class T>
void Head<T>::scale_gradient(const T* weights, index_t rows, double scale) {
  const index_t n = output_.prediction->size;
  for (index_t r = 0; r < rows; ++r) {
    T* row = output_.d_prediction + r * n;
    const double factor = weights ? scale * static_cast<double>(weights[r]) : scale;
    if (factor == 0) {  // whatever the row holds
      std::fill(row, row + n, T(0));
    } else {
      kernels<T>().scale_shift(row, row, n, factor, 0);
    }
  }
}

template class Head<float>;
template class Head<double>;

}  // namespace nnfast::plan
