#include "ops/loss.h"

#include <cmath>

#include "base/check.h"
#include "base/thread_pool.h"
#include "kernels/select.h"

namespace nnfast {
namespace {

struct Entry {
  const char* name;
  Loss kind, of_logits;
};

constexpr Entry kEntries[] = {
    {"mse", Loss::mse, Loss::mse},
    {"half_squared_error", Loss::half_squared_error, Loss::half_squared_error},
    {"mae", Loss::mae, Loss::mae},
    {"sum_absolute_error", Loss::sum_absolute_error, Loss::sum_absolute_error},
    {"huber", Loss::huber, Loss::huber},
    {"binary_cross_entropy", Loss::binary_cross_entropy, Loss::binary_cross_entropy_logits},
    {"cross_entropy", Loss::cross_entropy, Loss::cross_entropy},
};

template <class T>
SoftmaxCrossEntropy<T> softmax_part(const LossInputs<T>& in, const LossOptions& options,
                                    index_t begin, index_t end) {
  SoftmaxCrossEntropy<T> p{};
  p.logits = in.prediction + begin * in.n;
  p.labels = in.labels ? in.labels + begin : nullptr;
  p.targets = in.labels ? nullptr : in.targets + begin * in.n;
  p.label_smoothing = options.label_smoothing;
  p.rows = end - begin;
  p.classes = in.n;
  return p;
}

}  // namespace

const std::vector<std::string>& loss_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Entry& e : kEntries) list.push_back(e.name);
    return list;
  }();
  return names;
}

LossOptions parse_loss(const std::string& name, bool from_logits, double delta,
                       double label_smoothing, const std::string& where) {
  for (const Entry& e : kEntries) {
    if (name != e.name) continue;
    LossOptions options;
    options.kind = from_logits ? e.of_logits : e.kind;
    options.softmax = from_logits && e.kind == Loss::cross_entropy;
    require(delta > 0 && std::isfinite(delta), where, ": expected a finite delta above 0, got ",
            delta);
    options.delta = delta;
    require(label_smoothing >= 0 && label_smoothing < 1, where,
            ": expected a label_smoothing of 0 <= e < 1, got ", label_smoothing);
    options.label_smoothing = label_smoothing;
    return options;
  }
  throw ValueError(
      text(where, ": expected a loss of ", join_names(kEntries), "; got '", name, "'"));
}

namespace {

// Rows with one position: values and gradient in one pass over the logits.
template <class T>
void softmax_rows(T* value, T* d_prediction, const LossInputs<T>& in, const T* row_scale,
                  double scale, const LossOptions& options) {
  const double cost = 20 * static_cast<double>(in.rows) + static_cast<double>(in.rows * in.n);
  parallel_ranges(in.rows, 1, cost, [&](index_t begin, index_t end) {
    SoftmaxCrossEntropy<T> p = softmax_part(in, options, begin, end);
    p.value = value ? value + begin : nullptr;
    p.d_logits = d_prediction ? d_prediction + begin * in.n : nullptr;
    p.scale = scale;
    p.row_scale = row_scale ? row_scale + begin : nullptr;
    kernels<T>().softmax_cross_entropy(p);
  });
}

// Rows with several positions, which share the value and the scale of the row.
template <class T>
void softmax_positions(T* value, T* d_prediction, const LossInputs<T>& in, const T* row_scale,
                       double scale, const LossOptions& options) {
  const double cost = static_cast<double>(in.rows * in.positions * in.n);
  parallel_ranges(in.rows, 1, 2 * cost, [&](index_t begin, index_t end) {
    T* each = scratch_of<T>(in.positions);
    for (index_t row = begin; row < end; ++row) {
      const index_t first = row * in.positions;
      SoftmaxCrossEntropy<T> p = softmax_part(in, options, first, first + in.positions);
      p.value = value ? each : nullptr;
      p.d_logits = d_prediction ? d_prediction + first * in.n : nullptr;
      p.scale = scale / static_cast<double>(in.positions) *
                (row_scale ? static_cast<double>(row_scale[row]) : 1.0);
      kernels<T>().softmax_cross_entropy(p);
      if (!value) continue;
      kernels<T>().sum_rows(value + row, each, 1, in.positions);
      value[row] = value[row] / static_cast<T>(in.positions);
    }
  });
}

}  // namespace

template <class T>
void loss_values(T* value, T* d_prediction, const LossInputs<T>& in, const T* row_scale,
                 double scale, const LossOptions& options) {
  if (options.softmax) {
    const auto run = in.positions == 1 ? softmax_rows<T> : softmax_positions<T>;
    return run(value, d_prediction, in, row_scale, scale, options);
  }
  const Kernels<T>& table = kernels<T>();
  const index_t n = in.positions * in.n;
  const LossParams params = {options.kind, options.delta};
  parallel_ranges(in.rows, 1, static_cast<double>(in.rows * n), [&](index_t begin, index_t end) {
    const T* prediction = in.prediction + begin * n;
    const T* targets = in.targets + begin * n;
    if (value) table.loss_forward(value + begin, prediction, targets, end - begin, n, params);
    if (!d_prediction) return;
    table.loss_backward(d_prediction + begin * n, prediction, targets,
                        row_scale ? row_scale + begin : nullptr, scale, end - begin, n, params);
  });
}

template <class T>
void weigh_rows(T* value, const T* weights, index_t rows) {
  for (index_t r = 0; r < rows; ++r) value[r] = weights[r] == 0 ? T(0) : value[r] * weights[r];
}

template void weigh_rows<float>(float*, const float*, index_t);
template void weigh_rows<double>(double*, const double*, index_t);
template void loss_values<float>(float*, float*, const LossInputs<float>&, const float*, double,
                                 const LossOptions&);
template void loss_values<double>(double*, double*, const LossInputs<double>&, const double*,
                                  double, const LossOptions&);

}  // namespace nnfast
