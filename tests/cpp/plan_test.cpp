// Plans without Python: they learn, their gradients are right, a step allocates nothing, and the
// bits depend neither on the number of threads nor on the instruction set.
#include "plan/plan.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "allocations.h"
#include "base/thread_pool.h"
#include "check.h"
#include "numbers.h"
#include "plan/pool.h"
#include "tables.h"

using namespace nnfast;
using namespace nnfast::plan;
using namespace nnfast_test;

namespace {

// Large enough for work to be shared among threads; the last batch of an epoch is short.
constexpr index_t kFeatures = 100, kHidden = 128, kClasses = 10, kRows = 500, kBatch = 128;

NodeSpec node(const char* op, const char* name, std::vector<std::string> inputs,
              std::map<std::string, Attribute> attributes) {
  return {op, name, std::move(inputs), std::move(attributes)};
}

NodeSpec dense(const char* name, const char* input, int64_t units, const char* activation) {
  return node("dense", name, {input}, {{"units", units}, {"activation", std::string(activation)}});
}

// Two branches that are added, normalization, two halves of which one is used twice, dropout,
// attention, softmax; parameters with Glorot's limits.
template <class T>
std::shared_ptr<Graph<T>> make_graph(index_t features, index_t hidden) {
  std::vector<NodeSpec> nodes = {
      node("input", "x", {}, {{"shape", std::vector<int64_t>{features}}}),
      dense("a", "x", hidden, "relu"),
      dense("b", "x", hidden, "tanh"),
      node("add", "sum", {"a", "b"}, {}),
      node("batch_normalization", "norm", {"sum"}, {{"momentum", 0.9}, {"epsilon", 1e-3}}),
      node("split", "half", {"norm"}, {{"sections", int64_t{2}}}),
      node("maximum", "larger", {"half", "half#1"}, {}),
      node("concatenate", "both", {"larger", "half#1"}, {}),
      node("prelu", "bent", {"both"}, {}),
      node("dropout", "drop", {"bent"}, {{"rate", 0.25}}),
      node("reshape", "steps", {"drop"}, {{"shape", std::vector<int64_t>{hidden / 2, 2}}}),
      node("rms_norm", "even", {"steps"}, {{"epsilon", 1e-3}}),
      node("rotary", "turned", {"even"}, {{"heads", int64_t{1}}}),
      node("attention", "attended", {"turned", "turned", "steps"},
           {{"heads", int64_t{1}}, {"causal", int64_t{1}}, {"dropout", 0.25}}),
      node("average", "mixed", {"steps", "attended"}, {}),
      node("flatten", "flat", {"mixed"}, {}),
      dense("out", "flat", kClasses, "softmax"),
  };
  auto graph = std::make_shared<Graph<T>>(std::move(nodes), std::vector<std::string>{"out"});
  Numbers numbers;
  for (const GraphParameter& made : graph->layout.parameters()) {
    const std::string name = made.name.substr(made.name.find('.') + 1);
    T* to = graph->flat.data() + made.offset;
    if (name == "gamma" || name == "moving_variance") std::fill_n(to, made.size, T(1));
    if (name == "alpha") std::fill_n(to, made.size, T(0.25));
    if (made.shape.size() != 2) continue;
    const double limit = std::sqrt(6.0 / static_cast<double>(made.shape[0] + made.shape[1]));
    for (index_t j = 0; j < made.size; ++j) to[j] = static_cast<T>(numbers.uniform(-limit, limit));
  }
  return graph;
}

template <class T>
void predict(Plan<T>& plan, const T* x, index_t rows, T* out) {
  RowsOfInputs<T> inputs;
  inputs[0].values = x;
  OneOrMore<T*> outputs;
  outputs[0] = out;
  plan.predict(inputs, rows, outputs);
}

template <class T>
struct Problem {
  std::vector<T> x;
  std::vector<int64_t> labels, order;

  // Rows whose largest of the first ten features is the label.
  Problem(index_t rows, index_t features) : order(static_cast<size_t>(rows)) {
    Numbers numbers;
    x = numbers.vector<T>(rows * features, 0, 1);
    for (index_t r = 0; r < rows; ++r) {
      const int64_t label = r * 7 % kClasses;
      x[static_cast<size_t>(r * features + label)] += T(1);
      labels.push_back(label);
      order[static_cast<size_t>(r)] = r * 7 % rows;
    }
  }

  Dataset<T> data(index_t rows) const {
    Dataset<T> set;
    set.x[0].values = x.data();
    set.y[0].integers = labels.data();
    set.y[0].integer_type = LabelType::int64;
    set.y[0].are_labels = true;
    set.size = rows;
    return set;
  }
};

PlanOptions training_options(index_t capacity) {
  PlanOptions options;
  options.capacity = capacity;
  options.heads.emplace_back();
  options.heads[0].loss = node("cross_entropy", "", {}, {});
  options.heads[0].metrics = {node("accuracy", "", {}, {})};
  options.optimizer = node("adam", "", {}, {});
  options.seed = 3;
  return options;
}

template <class T>
struct Trained {
  std::shared_ptr<Graph<T>> graph;
  std::vector<double> losses;
  double training_accuracy = 0, accuracy = 0;
  std::vector<T> prediction;
};

constexpr index_t kSteps = (kRows + kBatch - 1) / kBatch;  // of an epoch

template <class T>
Trained<T> train(int epochs) {
  const Problem<T> problem(kRows, kFeatures);
  const Dataset<T> data = problem.data(kRows);
  Trained<T> result{make_graph<T>(kFeatures, kHidden), {}, 0, 0, {}};
  Plan<T> plan(result.graph, training_options(kBatch), {});
  const std::vector<double> rates(static_cast<size_t>(kSteps), 1e-3);
  for (int epoch = 0; epoch < epochs; ++epoch) {
    double tally[8] = {};
    plan.train_batches(data, problem.order.data(), kRows, 0, kBatch, rates.data(), kSteps, 1e9,
                       tally);
    CHECK(tally[0] == kSteps);
    result.losses.push_back(tally[1] / kRows);
    result.training_accuracy = tally[2] / kRows;
  }
  double totals[3] = {};
  plan.evaluate(data, totals);
  result.accuracy = totals[1] / kRows;
  PlanOptions options;
  options.capacity = 64;
  Plan<T> predictor(result.graph, options, {});
  result.prediction.resize(static_cast<size_t>(kRows * kClasses));
  predict(predictor, data.x[0].values, kRows, result.prediction.data());
  return result;
}

template <class T>
uint64_t bits_of(const Trained<T>& trained) {
  const uint64_t parameters = hash_of(trained.graph->flat.data(), trained.graph->flat.size());
  const uint64_t losses = hash_of(trained.losses.data(), trained.losses.size(), parameters);
  return hash_of(trained.prediction.data(), trained.prediction.size(), losses);
}

void test_it_learns() {
  const Trained<float> trained = train<float>(20);
  // Ten equally frequent classes: a network that knows nothing has a loss of log(10) = 2.3.
  CHECK(trained.losses.front() > 1 && trained.losses.front() < 3);
  CHECK(trained.losses.back() < 0.6);
  CHECK(trained.training_accuracy > 0.9);
  CHECK(trained.accuracy > 0.97);
}

// The same bits from any number of threads; returns them.
template <class T>
uint64_t test_bits_for_any_number_of_threads() {
  set_num_threads(1);
  const uint64_t alone = bits_of(train<T>(2));
  for (const int threads : {2, 3, 8}) {
    set_num_threads(threads);
    CHECK(bits_of(train<T>(2)) == alone);
  }
  return alone;
}

// Central differences in double, whose error is of the order h^2 + eps / h = 1e-10.
void test_gradients() {
  set_num_threads(1);
  const index_t features = 12, rows = 7;
  const Problem<double> problem(rows, features);
  const Dataset<double> data = problem.data(rows);
  const auto graph = make_graph<double>(features, 6);
  Plan<double> plan(graph, training_options(rows), {});
  // The first step's dropout each time.
  const auto loss = [&] {
    plan.iteration = 0;
    return plan.loss_and_gradients(data, true);
  };
  loss();
  const double* computed = plan.program().gradients.data();
  const std::vector<double> gradient(computed, computed + graph->flat.size());
  const double h = 1e-5;
  for (const auto& parameter : plan.program().parameters) {
    const double* first = parameter->value;
    for (index_t i = 0; i < parameter->size; ++i) {
      double& w = parameter->value[i];
      const double before = w;
      w = before + h;
      const double above = loss();
      w = before - h;
      const double below = loss();
      w = before;
      const double difference = (above - below) / (2 * h);
      CHECK(std::fabs(difference - gradient[static_cast<size_t>(first + i - graph->flat.data())]) <
            1e-8);
    }
  }
}

// A row's prediction has the same bits alone and inside of any batch.
void test_rows_do_not_see_each_other() {
  set_num_threads(2);
  const auto graph = make_graph<float>(kFeatures, kHidden);
  const Problem<float> problem(kRows, kFeatures);
  PlanOptions options;
  options.capacity = kRows;
  Plan<float> plan(graph, options, {});
  std::vector<float> all(static_cast<size_t>(kRows * kClasses)), some(all.size());
  predict(plan, problem.x.data(), kRows, all.data());
  for (const index_t rows : {1, 2, 5, 33}) {
    for (const index_t first : {0, 3, 400}) {
      predict(plan, problem.x.data() + first * kFeatures, rows, some.data());
      CHECK(std::memcmp(some.data(), all.data() + first * kClasses,
                        sizeof(float) * static_cast<size_t>(rows * kClasses)) == 0);
    }
  }
}

// No step after the first allocates. A worker takes its scratch memory with the first chunk that it
// gets, whenever that is: with several threads the caller is held to this, and all of them once each
// worker has had its turn.
void test_steps_do_not_allocate() {
#if defined(NNFAST_COUNTS_ALLOCATIONS)
  const Problem<float> problem(kRows, kFeatures);
  const Dataset<float> data = problem.data(kRows);
  const std::vector<double> rates(static_cast<size_t>(kSteps), 1e-3);
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    Plan<float> plan(make_graph<float>(kFeatures, kHidden), training_options(kBatch), {});
    const auto epoch = [&] {
      double tally[8] = {};
      plan.train_batches(data, problem.order.data(), kRows, 0, kBatch, rates.data(), kSteps, 1e9,
                         tally);
    };
    plan.train_step(problem.data(kBatch), 1e-3);
    const long own = allocations_of_thread;
    long before = allocations;
    for (int round = 0; round < 50; ++round) {
      epoch();
      if (threads == 1 || allocations == before) break;
      before = allocations;
    }
    CHECK(allocations == before);
    CHECK(allocations_of_thread == own);
  }
#endif
}

// Steps on large batches: no allocation after the first, and the bits of one thread from any number.
uint64_t bits_of_steps(const std::vector<NodeSpec>& nodes, const PlanOptions& options,
                       index_t features) {
  const Problem<float> problem(kRows, features);
  const std::vector<double> rates(3, 1e-3);
  uint64_t bits = 0;
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    auto graph = std::make_shared<Graph<float>>(nodes, std::vector<std::string>{"out"});
    for (size_t i = 0; i < graph->flat.size(); ++i)
      graph->flat.data()[i] = static_cast<float>(i % 7) / 64.0f;
    Plan<float> plan(graph, options, {});
    double tally[8] = {};
    const auto step = [&] {
      plan.train_batches(problem.data(kRows), problem.order.data(), kRows, 0, kRows, rates.data(),
                         1, 1e9, tally);
    };
    step();
#if defined(NNFAST_COUNTS_ALLOCATIONS)
    const long own = allocations_of_thread;
#endif
    step();
    step();
#if defined(NNFAST_COUNTS_ALLOCATIONS)
    CHECK(allocations_of_thread == own);
#endif
    const uint64_t got = hash_of(graph->flat.data(), graph->flat.size());
    CHECK(bits == 0 || got == bits);
    bits = got;
  }
  return bits;
}

uint64_t test_augmented_steps() {
  const index_t side = 10;
  PlanOptions options = training_options(kRows);
  options.augmentation =
      node("augmentation", "", {},
           {{"rotation", 20.0}, {"shift", 1.0}, {"contrast", 0.25}, {"cutout", int64_t{3}}});
  return bits_of_steps(
      {node("input", "x", {}, {{"shape", std::vector<int64_t>{side, side, 1}}}),
       node("flatten", "row", {"x"}, {}), dense("out", "row", kClasses, "softmax")},
      options, side * side);
}

// Everything that a step can do to gradients and parameters.
uint64_t test_steps_with_all_options() {
  const index_t features = 300, hidden = 400;
  PlanOptions options = training_options(200);
  options.shards = 2;
  options.micro_batch = 200;
  options.gradients = node("gradients", "", {},
                           {{"l2", 0.01},
                            {"decaying", std::vector<std::string>{"hidden.kernel"}},
                            {"global_clipnorm", 0.5}});
  options.regularizers = {{"hidden.kernel", {1e-4, 1e-3}}, {"out.bias", {0, 1e-2}}};
  options.update.batches = 2;
  options.update.learning_rates = {{"out.kernel", 0.5}};
  options.update.weight_decays = {{"hidden.kernel", 0.1}, {"out.kernel", 0.2}};
  options.update.constraints = {
      {"hidden.kernel",
       node("norm", "", {},
            {{"min", 0.0}, {"max", 0.5}, {"rate", 1.0}, {"axes", std::vector<int64_t>{0}}})},
      {"out.bias", node("non_neg", "", {}, {})}};
  options.update.average =
      node("average", "", {}, {{"momentum", 0.9}, {"overwrite_frequency", int64_t{2}}});
  return bits_of_steps(
      {node("input", "x", {}, {{"shape", std::vector<int64_t>{features}}}),
       dense("hidden", "x", hidden, "tanh"), dense("out", "hidden", kClasses, "softmax")},
      options, features);
}

uint64_t test_steps_of_tensor_operations() {
  using Integers = std::vector<int64_t>;
  const auto elementwise = [](const char* name, const char* function,
                              std::vector<std::string> inputs) {
    return node("elementwise", name, std::move(inputs), {{"function", std::string(function)}});
  };
  const auto reduce = [](const char* name, const char* function, const char* input, int64_t axis) {
    return node(
        "reduce", name, {input},
        {{"function", std::string(function)}, {"axes", Integers{axis}}, {"keepdims", int64_t{1}}});
  };
  return bits_of_steps(
      {node("input", "x", {}, {{"shape", Integers{100}}}),
       node("reshape", "square", {"x"}, {{"shape", Integers{10, 10}}}),
       node("parameter", "w", {}, {{"shape", Integers{10, 10}}}),
       node("parameter", "b", {}, {{"shape", Integers{10}}}),
       node("matmul", "product", {"square", "w"}, {}),
       elementwise("shifted", "add", {"product", "b"}), elementwise("tanh", "tanh", {"shifted"}),
       node("transpose", "turned", {"tanh"}, {{"axes", Integers{0, 2, 1}}}),
       node("matmul", "pairs", {"tanh", "turned"}, {}), reduce("mean", "mean", "pairs", 0),
       reduce("max", "max", "pairs", 2), elementwise("centered", "subtract", {"pairs", "mean"}),
       elementwise("scaled", "multiply", {"centered", "max"}),
       node("cumulative_sum", "sums", {"scaled"}, {{"axis", int64_t{1}}}),
       node("sort", "sorted", {"sums"}, {}),
       node("slice", "odd", {"sorted"},
            {{"axes", Integers{2}},
             {"starts", Integers{9}},
             {"steps", Integers{-2}},
             {"sizes", Integers{5}}}),
       node("flatten", "row", {"odd"}, {}), dense("out", "row", kClasses, "softmax")},
      training_options(kRows), kFeatures);
}

uint64_t test_steps_of_recurrent_layers() {
  using Integers = std::vector<int64_t>;
  const auto recurrent = [](const char* op, const char* name, const char* input, int64_t units,
                            int64_t sequences) {
    return node(op, name, {input}, {{"units", units}, {"return_sequences", sequences}});
  };
  return bits_of_steps(
      {node("input", "x", {}, {{"shape", Integers{100}}}),
       node("reshape", "steps", {"x"}, {{"shape", Integers{10, 10}}}),
       recurrent("lstm", "lstm", "steps", 17, 1), recurrent("gru", "gru", "lstm", 16, 1),
       recurrent("simple_rnn", "rnn", "gru", 9, 0), dense("out", "rnn", kClasses, "softmax")},
      training_options(kRows), kFeatures);
}

// Different networks in different threads, each with the result that it has alone.
void test_networks_side_by_side() {
  set_num_threads(2);
  const uint64_t alone = bits_of(train<float>(1));
  uint64_t bits[3] = {};
  std::vector<std::thread> callers;
  for (uint64_t& result : bits) {
    callers.emplace_back([&result] { result = bits_of(train<float>(1)); });
  }
  for (auto& caller : callers) caller.join();
  for (const uint64_t result : bits) CHECK(result == alone);
}

// A plan that two threads use at once refuses one of them, or they came one after the other.
void test_one_plan_in_two_threads() {
  const Problem<float> problem(kRows, kFeatures);
  Plan<float> plan(make_graph<float>(kFeatures, kHidden), training_options(kBatch), {});
  std::atomic<int> done{0}, refused{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 2; ++caller) {
    callers.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        try {
          plan.train_step(problem.data(kBatch), 1e-3);
          ++done;
        } catch (const StateError&) {
          ++refused;
        }
      }
    });
  }
  for (auto& caller : callers) caller.join();
  CHECK(done + refused == 40 && done >= 20);
  CHECK(plan.iteration == static_cast<uint64_t>(done.load()));
}

// Predictions of several threads on one graph have the bits of one thread; beside steps they are refused, or
// those of a whole step.
void test_one_graph_in_many_threads() {
  set_num_threads(2);
  const Problem<float> problem(kRows, kFeatures);
  std::mutex lock;  // that the pool wants from its callers
  const auto predicted = [&](PlanPool<float>& pool, index_t rows) {
    std::vector<float> out(static_cast<size_t>(rows * kClasses));
    std::optional<PlanPool<float>::Lease> plan;
    {
      const std::lock_guard<std::mutex> held(lock);
      plan.emplace(pool, rows);
    }
    const auto give_back = [&] {
      const std::lock_guard<std::mutex> held(lock);
      plan.reset();
    };
    try {
      predict(**plan, problem.x.data(), rows, out.data());
    } catch (...) {
      give_back();
      throw;
    }
    give_back();
    return hash_of(out.data(), out.size());
  };
  const auto graph = make_graph<float>(kFeatures, kHidden);
  PlanPool<float> pool(graph, {}, 0);
  const uint64_t one = predicted(pool, 1), all = predicted(pool, kRows);
  std::atomic<bool> training{false}, stop{false};
  std::atomic<int> wrong{0}, refused{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < 20 || !stop; ++i) {
        const bool beside = training;
        const index_t rows = (caller + i) % 2 ? 1 : kRows;
        try {
          const uint64_t bits = predicted(pool, rows);
          if (!beside && !training) wrong += bits != (rows == 1 ? one : all);
        } catch (const StateError&) {
          ++refused;
          wrong += !training;
        }
      }
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  training = true;
  Plan<float> plan(graph, training_options(kBatch), {});
  // Where a prediction takes seconds, as in an emulator, a step may be refused before it has begun.
  while (plan.iteration < 20) {
    try {
      plan.train_step(problem.data(kBatch), 1e-3);
    } catch (const StateError&) {
    }
  }
  stop = true;
  for (auto& caller : callers) caller.join();
  CHECK(wrong == 0);
  CHECK(plan.iteration == 20);
}

// What is not finite, or out of range, is an error and leaves the parameters as they were.
void test_bad_data_changes_nothing() {
  Problem<float> problem(kRows, kFeatures);
  const auto graph = make_graph<float>(kFeatures, kHidden);
  Plan<float> plan(graph, training_options(kBatch), {});
  const uint64_t before = hash_of(graph->flat.data(), graph->flat.size());
  const auto is_refused = [&] {
    try {
      plan.train_step(problem.data(kBatch), 1e-3);
      return false;
    } catch (const ValueError&) {
      return hash_of(graph->flat.data(), graph->flat.size()) == before && plan.iteration == 0;
    }
  };
  problem.x[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK(is_refused());
  problem.x[5] = std::numeric_limits<float>::infinity();
  CHECK(is_refused());
  problem.x[5] = 0;
  problem.labels[2] = kClasses;
  CHECK(is_refused());
  problem.labels[2] = -1;
  CHECK(is_refused());
}

}  // namespace

int main() {
  for_each_table([] {
    test_it_learns();
    test_gradients();
    test_rows_do_not_see_each_other();
    test_steps_do_not_allocate();
    test_networks_side_by_side();
    test_one_plan_in_two_threads();
    test_one_graph_in_many_threads();
    test_bad_data_changes_nothing();
    return test_bits_for_any_number_of_threads<float>() ^
           test_bits_for_any_number_of_threads<double>() ^ test_augmented_steps() ^
           test_steps_of_tensor_operations() ^ test_steps_of_recurrent_layers() ^
           test_steps_with_all_options();
  });
  return nnfast_test::report("plan_test");
}
