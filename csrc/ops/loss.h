// Losses by name, over a batch.
#pragma once

#include <string>
#include <vector>

#include "kernels/params.h"

namespace nnfast {

struct LossOptions {
  Loss kind = Loss::mse;
  bool softmax = false;  // cross-entropy of logits, fused with softmax; kind is unused
  double delta = 1;      // of huber
  double label_smoothing = 0;
};

const std::vector<std::string>& loss_names();
// Checks the options too. Errors begin with `where`.
LossOptions parse_loss(const std::string& name, bool from_logits, double delta,
                       double label_smoothing, const std::string& where);

// Predictions (rows, positions, n) and targets: one label per position, or values of the same
// shape. Losses other than cross-entropy treat a row as positions * n numbers.
template <class T>
struct LossInputs {
  const T* prediction;
  const int32_t* labels;  // (rows, positions), or null
  const T* targets;       // (rows, positions, n), if labels is null
  index_t rows, positions, n;
};

// The positions of rows as rows of one position each.
template <class T>
LossInputs<T> positions_as_rows(LossInputs<T> inputs) {
  inputs.rows *= inputs.positions;
  inputs.positions = 1;
  return inputs;
}

// Weight of a position that is this share of its row: in losses that are sums over a row, every position counts 1.
template <class T>
T weight_of_position(const LossOptions& options, T share) {
  const bool sums = !options.softmax && (options.kind == Loss::half_squared_error ||
                                         options.kind == Loss::sum_absolute_error);
  return sums && share != 0 ? T(1) : share;
}

// value (rows), unweighted, or null; d_prediction, or null: d value / d prediction times scale and
// row_scale (rows, or null for 1); 0 in rows with a row_scale of 0, whatever their values.
template <class T>
void loss_values(T* value, T* d_prediction, const LossInputs<T>& inputs, const T* row_scale,
                 double scale, const LossOptions& options);

// value (rows) *= weights, but 0 where the weight is 0, whatever the value: such rows are ignored.
template <class T>
void weigh_rows(T* value, const T* weights, index_t rows);

}  // namespace nnfast
