#include "plan/row_expression.h"

#include <algorithm>

namespace nnfast::plan {
namespace {

template <class T>
class Evaluator {
 public:
  Evaluator(std::shared_ptr<Graph<T>> graph, const std::vector<size_t>& targets, index_t capacity)
      : targets_(targets),
        rows_(1 + targets.size()),
        ones_(static_cast<size_t>(capacity)),
        plan_(std::move(graph), options(capacity), {}) {
    const GraphLayout& layout = plan_.layout();
    require(layout.inputs().size() == rows_.size() && layout.outputs().size() == 1 &&
                layout.output_shape(0).empty(),
            "expression: expected a graph with one number per row as its only output");
    std::fill_n(ones_.data(), ones_.size(), T(1));
    d_value_[0] = ones_.data();
  }

  void run(const T* prediction, const T* const* targets, index_t rows, T* value, T* d_prediction) {
    rows_[0].values = prediction;
    for (size_t i = 0; i < targets_.size(); ++i) rows_[1 + i].values = targets[targets_[i]];
    plan_.run(rows_, rows, false);
    std::copy_n(plan_.program().outputs[0].tensor->value, rows, value);
    if (!d_prediction) return;
    const ProgramInput<T>& input = plan_.program().inputs[0];
    const index_t n = rows * input.tensor->size;
    if (!input.gradient) {
      std::fill_n(d_prediction, n, T(0));
      return;
    }
    plan_.pull_back(d_value_);
    std::copy_n(input.gradient, n, d_prediction);
  }

 private:
  static PlanOptions options(index_t capacity) {
    PlanOptions options;
    options.capacity = capacity;
    options.by_hand = true;
    return options;
  }

  std::vector<size_t> targets_;
  RowsOfInputs<T> rows_;
  AlignedBuffer<T> ones_;
  OneOrMore<const T*> d_value_;
  Plan<T> plan_;
};

}  // namespace

template <class T>
RowExpression<T> make_row_expression(std::shared_ptr<Graph<T>> graph,
                                     const std::vector<size_t>& targets, index_t capacity) {
  auto evaluator = std::make_shared<Evaluator<T>>(std::move(graph), targets, capacity);
  return
      [evaluator](const T* prediction, const T* const* all, index_t rows, T* value,
                  T* d_prediction) { evaluator->run(prediction, all, rows, value, d_prediction); };
}

template RowExpression<float> make_row_expression(std::shared_ptr<Graph<float>>,
                                                  const std::vector<size_t>&, index_t);
template RowExpression<double> make_row_expression(std::shared_ptr<Graph<double>>,
                                                   const std::vector<size_t>&, index_t);

}  // namespace nnfast::plan
