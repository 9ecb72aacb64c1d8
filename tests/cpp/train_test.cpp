// Optimizers and metrics that register themselves: those of the engine are all there, and a metric that this file
// adds works in a plan like any other, with a state of several numbers that do not add up.
#include <algorithm>
#include <cmath>

#include "check.h"
#include "kernels/select.h"
#include "plan/plan.h"
#include "plan/train/metrics.h"
#include "plan/train/update_rule.h"

using namespace nnfast;
using namespace nnfast::plan;
using namespace nnfast_test;

namespace {

// The largest and the smallest error so far, and whether there was a row.
template <class T>
class SpreadOfErrors final : public Metric<T> {
 public:
  SpreadOfErrors(const NodeSpec&, const MetricSetting&) {}

  size_t state_size() const override { return 3; }
  void update(double* state, const Answers<T>& answers) override {
    const LossInputs<T>& in = answers.to_loss;
    for (index_t i = 0; i < in.rows * in.positions * in.n; ++i) {
      const double error = static_cast<double>(in.prediction[i] - in.targets[i]);
      const double one[3] = {error, error, 1};
      merge(state, one);
    }
  }
  void merge(double* state, const double* other) const override {
    if (other[2] == 0) return;
    state[0] = state[2] == 0 ? other[0] : std::fmax(state[0], other[0]);
    state[1] = state[2] == 0 ? other[1] : std::fmin(state[1], other[1]);
    state[2] = 1;
  }
};

const Registered<MetricKind> registered(metric_kind<SpreadOfErrors>(
    "spread_of_errors", "", [](const NodeSpec&, const NodeSpec&) { return true; }));

// y = x, so that the errors are what the test wants.
template <class T>
Plan<T> make_plan(index_t capacity) {
  std::vector<NodeSpec> nodes = {
      {"input", "x", {}, {{"shape", std::vector<int64_t>{2}}}},
      {"activation", "y", {"x"}, {{"activation", std::string("identity")}}}};
  auto graph = std::make_shared<Graph<T>>(std::move(nodes), std::vector<std::string>{"y"});
  PlanOptions options;
  options.capacity = capacity;
  HeadOptions head;
  head.loss = {"mse", "", {}, {}};
  head.metrics = {{"mae", "", {}, {}}, {"spread_of_errors", "", {}, {}}, {"mse", "", {}, {}}};
  options.heads = {head};
  return Plan<T>(graph, options, {});
}

template <class T>
void test_a_metric_of_its_own() {
  const std::vector<T> x = {1, -4, 0.5, 2, -1, 7, 3, 3}, zero(8);
  const auto rows = [&](index_t first, index_t n) {
    Dataset<T> data;
    data.x[0].values = x.data() + 2 * first;
    data.y[0].values = zero.data();
    data.size = n;
    return data;
  };
  for (const index_t capacity : {1, 3, 4}) {
    Plan<T> plan = make_plan<T>(capacity);
    CHECK(plan.objective().totals_size() == 1 + 2 + 3 + 2);
    CHECK((plan.objective().metric_sizes() == std::vector<size_t>{2, 3, 2}));
    for (const index_t cut : {0, 1, 3, 4}) {
      double first[8] = {}, second[8] = {};
      if (cut > 0) plan.evaluate(rows(0, cut), first);
      if (cut < 4) plan.evaluate(rows(cut, 4 - cut), second);
      plan.objective().merge(first, second);
      // All are sums of few binary digits: the loss, sums and weights of means, extremes.
      const double wanted[8] = {89.25 / 2, 21.5 / 2, 4, 7, -4, 1, 89.25 / 2, 4};
      CHECK(std::equal(first, first + 8, wanted));
    }
  }
}

void test_all_are_registered() {
  CHECK((optimizer_names() == std::vector<std::string>{"adadelta", "adagrad", "adam", "adamax",
                                                       "lamb", "lbfgs", "lion", "muon", "nadam",
                                                       "rmsprop", "sgd"}));
  CHECK((Registered<MetricKind>::names() ==
         std::vector<std::string>{"accuracy", "confusion", "cosine_similarity", "counts", "loss",
                                  "mape", "moments", "scores", "spread_of_errors", "top_k"}));
  CHECK(Registered<MetricKind>::find("los") == nullptr);
  bool refused = false;
  try {
    make_update_rule<float>(NodeSpec{"rprop", "", {}, {}});
  } catch (const ValueError&) {
    refused = true;
  }
  CHECK(refused);
}

}  // namespace

int main() {
  test_all_are_registered();
  select_table(available_tables().table[0]->name);
  test_a_metric_of_its_own<float>();
  test_a_metric_of_its_own<double>();
  return report("train_test");
}
