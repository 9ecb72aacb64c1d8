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

// A row's value is the mean over its positions; the scratch holds them one by one.
template <class T>
void mean_over_positions(T* value, const T* each, index_t rows, index_t positions) {
  kernels<T>().sum_rows(value, each, rows, positions);
  for (index_t r = 0; r < rows; ++r) value[r] = value[r] / static_cast<T>(positions);
}

template <class T>
SoftmaxCrossEntropy<T> softmax_part(const LossInputs<T>& in, const LossOptions& options, index_t begin,
                                    index_t end) {
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

LossOptions parse_loss(const std::string& name, bool from_logits, double delta, double label_smoothing,
                       const std::string& place) {
  for (const Entry& e : kEntries) {
    if (name != e.name) continue;
    LossOptions options;
    options.kind = from_logits ? e.of_logits : e.kind;
    options.softmax = from_logits && e.kind == Loss::cross_entropy;
    require(delta > 0 && std::isfinite(delta), place, ": expected a finite delta above 0, got ", delta);
    options.delta = delta;
    require(label_smoothing >= 0 && label_smoothing < 1, place,
            ": expected a label_smoothing of 0 <= e < 1, got ", label_smoothing);
    options.label_smoothing = label_smoothing;
    return options;
  }
  std::string valid;
  for (const Entry& e : kEntries) valid += (valid.empty() ? "" : ", ") + std::string(e.name);
  throw ValueError(text(place, ": expected a loss of ", valid, "; got '", name, "'"));
}

template <class T>
void loss_values(T* value, const LossInputs<T>& in, const LossOptions& options) {
  const Kernels<T>& table = kernels<T>();
  const double cost = static_cast<double>(in.rows * in.positions * in.n);
  if (!options.softmax) {
    const index_t n = in.positions * in.n;
    parallel_ranges(in.rows, 1, cost, [&](index_t begin, index_t end) {
      table.loss_forward(value + begin, in.prediction + begin * n, in.targets + begin * n, end - begin,
                         n, {options.kind, options.delta});
    });
    return;
  }
  const index_t all = in.rows * in.positions;
  T* each = in.positions == 1 ? value
                              : static_cast<T*>(thread_scratch(sizeof(T) * static_cast<size_t>(all)));
  parallel_ranges(all, 1, 2 * cost, [&](index_t begin, index_t end) {
    SoftmaxCrossEntropy<T> p = softmax_part(in, options, begin, end);
    p.value = each + begin;
    table.softmax_cross_entropy(p);
  });
  if (in.positions > 1) mean_over_positions(value, each, in.rows, in.positions);
}

template <class T>
void loss_gradient(T* d_prediction, const LossInputs<T>& in, const T* row_scale, double scale,
                   const LossOptions& options) {
  const Kernels<T>& table = kernels<T>();
  const double cost = static_cast<double>(in.rows * in.positions * in.n);
  if (!options.softmax) {
    const index_t n = in.positions * in.n;
    parallel_ranges(in.rows, 1, cost, [&](index_t begin, index_t end) {
      table.loss_backward(d_prediction + begin * n, in.prediction + begin * n, in.targets + begin * n,
                          row_scale ? row_scale + begin : nullptr, scale, end - begin, n,
                          {options.kind, options.delta});
    });
    return;
  }
  parallel_ranges(in.rows, 1, 2 * cost, [&](index_t begin, index_t end) {
    // Rows of one position go together; else each row goes alone, with its own scale.
    const index_t step = in.positions == 1 ? end - begin : 1;
    for (index_t row = begin; row < end; row += step) {
      SoftmaxCrossEntropy<T> p =
          softmax_part(in, options, row * in.positions, (row + step) * in.positions);
      p.d_logits = d_prediction + row * in.positions * in.n;
      p.scale = scale / static_cast<double>(in.positions);
      if (row_scale && in.positions == 1) p.row_scale = row_scale + row;
      if (row_scale && in.positions > 1) p.scale *= static_cast<double>(row_scale[row]);
      table.softmax_cross_entropy(p);
    }
  });
}

template void loss_values<float>(float*, const LossInputs<float>&, const LossOptions&);
template void loss_values<double>(double*, const LossInputs<double>&, const LossOptions&);
template void loss_gradient<float>(float*, const LossInputs<float>&, const float*, double,
                                   const LossOptions&);
template void loss_gradient<double>(double*, const LossInputs<double>&, const double*, double,
                                    const LossOptions&);

}  // namespace nnfast
