// Metrics of arrays, without a network.
#include "plan/train/metrics.h"

#include <algorithm>
#include <vector>

#include "bind/arrays.h"
#include "bind/bind.h"
#include "bind/spec.h"

namespace nnfast::bind {
namespace {

// The state of a metric of prediction (N, ..., K) and target, which has the same shape or consists
// of labels (N, ...).
py::array metric_state(const py::dict& spec, const py::object& prediction, const py::object& target,
                       const py::object& weight) {
  const py::array p = contiguous_array_of<double>(prediction, "prediction");
  require(p.ndim() >= 2 && p.size() > 0,
          "prediction: expected shape (N, ..., K) with one row or more, got ", shape_text(p));
  const index_t rows = p.shape(0), n = p.shape(p.ndim() - 1), positions = p.size() / (rows * n);
  plan::Answers<double> answers{{data_of<double>(p), nullptr, nullptr, rows, positions, n},
                                data_of<double>(p),
                                nullptr,
                                nullptr,
                                {}};
  py::array y = any_array(target, "target");
  std::vector<int32_t> labels;
  if (y.dtype().kind() == 'f') {
    y = contiguous_array_of<double>(target, "target");
    require_like(y, p, "target", "prediction");
    answers.to_loss.targets = data_of<double>(y);
  } else {
    const py::object wide = y.attr("astype")("int64");
    y = contiguous_array(wide, "target");
    require(y.size() == rows * positions, "target: expected a label for each of ", rows * positions,
            " positions, got ", shape_text(y));
    for (index_t i = 0; i < y.size(); ++i) {
      const int64_t label = static_cast<const int64_t*>(y.data())[i];
      require(label >= 0 && label < n, "target: expected labels of 0 to ", n - 1, ", got ", label);
      labels.push_back(static_cast<int32_t>(label));
    }
    answers.to_loss.labels = labels.data();
  }
  py::array weights;
  if (!weight.is_none()) {
    weights = contiguous_array_of<double>(weight, "sample_weight");
    require(weights.ndim() == 1 && weights.shape(0) == rows, "sample_weight: expected shape (",
            rows, ",), got ", shape_text(weights));
    answers.weights = data_of<double>(weights);
  }
  const plan::NodeSpec loss{"mse", "loss", {}, {}};
  plan::Metrics<double> metric({}, {node_of(spec)}, {loss, false, false, rows, positions, n});
  py::array_t<double> state =
      new_array<double>({static_cast<py::ssize_t>(metric.state_size())}, "metric");
  std::fill_n(state.mutable_data(), state.size(), 0.0);
  metric.update(state.mutable_data(), answers);
  return state;
}

}  // namespace

void add_metrics(py::module_& module) {
  module.def("metric_state", &metric_state, py::arg("spec"), py::arg("prediction"),
             py::arg("target"), py::arg("sample_weight"));
}

}  // namespace nnfast::bind
