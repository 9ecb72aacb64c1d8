// Plans for Python: they run the ops of a graph. Specs are dicts, so a new op needs no change here.
#include "plan/plan.h"

#include <pybind11/stl.h>

#include <cmath>

#include "bind/arrays.h"
#include "bind/bind.h"
#include "bind/callbacks.h"
#include "bind/gil.h"
#include "bind/graph.h"
#include "bind/numbers.h"
#include "bind/rows.h"
#include "bind/spec.h"
#include "bind/targets.h"

namespace nnfast::bind {
namespace {

using plan::Dataset;
using plan::Plan;
using plan::PlanOptions;
using plan::Shape;

// A batch that the core takes directly, and the data converted for it.
template <class T>
struct Fitting {
  Dataset<T> data;
  NumbersOfInputs<T> x;
  OneOrMore<CastTargets<T>> y;
};

// ---- plans ------------------------------------------------------------------------------------------

using Rates = py::array_t<double, py::array::c_style | py::array::forcecast>;

class PyPlan {
 public:
  virtual ~PyPlan() = default;
  virtual py::object predict(const py::object& x) = 0;
  virtual py::object train_step_if_fits(const py::object& x, const py::object& y,
                                        const py::object& weight, const py::object& rate) = 0;
  virtual double train_step(const py::object& x, const py::object& y, const py::object& weight,
                            double rate) = 0;
  virtual void train_batches(const py::object& x, const py::object& y, const py::object& weight,
                             const py::object& order, index_t first, index_t batch_size,
                             const Rates& rates, double seconds, const py::object& tally,
                             index_t skipped) = 0;
  virtual py::array evaluate(const py::object& x, const py::object& y,
                             const py::object& weight) = 0;
  virtual double loss_and_gradients(const py::object& x, const py::object& y,
                                    const py::object& weight, bool training) = 0;
  virtual py::dict gradients(const py::handle& self) = 0;
  virtual void pull_back(const py::list& d_outputs) = 0;
  virtual py::list outputs() = 0;
  virtual py::list input_gradients() = 0;
  virtual void apply_gradients(double rate) = 0;
  virtual void run(const py::object& x, bool training) = 0;
  virtual py::dict values() = 0;
  virtual py::dict value_gradients() = 0;
  virtual py::dict state(const py::handle& self) = 0;
  virtual std::vector<std::string> squares() = 0;
  virtual void merge_totals(const py::object& totals, const py::object& other) const = 0;
  virtual std::vector<size_t> metric_sizes() const = 0;
  virtual py::dict steps() = 0;
  virtual void set_steps(const py::dict& steps) = 0;
  virtual py::list describe() = 0;
  virtual index_t capacity() const = 0;
  virtual index_t rows_of_part(index_t rows) const = 0;
  virtual size_t arena_bytes() const = 0;
  virtual index_t totals_size() const = 0;
  virtual uint64_t iteration() const = 0;
  virtual void set_iteration(uint64_t value) = 0;
};

template <class T>
class PyPlanOf final : public PyPlan {
 public:
  PyPlanOf(const PyGraphOf<T>& graph, PlanOptions options, const plan::UserFunctions<T>& functions)
      : plan_(graph.graph, std::move(options), functions) {
    for (const plan::HeadOptions& head : plan_.options().heads) {
      if (head.loss.op != "expression")
        heads_.emplace_back(head, plan_.layout().output_shape(head.output));
      for (const Shape& shape : head.targets) heads_.emplace_back(shape);
    }
  }

  py::object predict(const py::object& x) override {
    index_t n = 0;
    const plan::RowsOfInputs<T> rows = checked_rows<T>(plan_.layout(), x, &n);
    return predict_rows(plan_, rows, n);
  }

  double train_step(const py::object& x, const py::object& y, const py::object& weight,
                    double rate) override {
    const Dataset<T> data = dataset_of(x, y, weight);
    const ReleaseGil release;
    return plan_.train_step(data, rate);
  }

  // The loss; or None, if the arguments are not in the form that the core takes directly.
  py::object train_step_if_fits(const py::object& x, const py::object& y, const py::object& weight,
                                const py::object& rate) override {
    Fitting<T> batch;
    if (!PyFloat_CheckExact(rate.ptr()) || !fitting(x, y, weight, &batch) ||
        !plan_.takes_batch(batch.data.size))
      return py::none();
    const double learning_rate = PyFloat_AS_DOUBLE(rate.ptr());
    try {
      double loss = 0;
      {
        const ReleaseGil release;
        loss = plan_.train_step(batch.data, learning_rate);
      }
      return py::float_(loss);
    } catch (const plan::DataError&) {
      return py::none();
    }
  }

  void train_batches(const py::object& x, const py::object& y, const py::object& weight,
                     const py::object& order, index_t first, index_t batch_size, const Rates& rates,
                     double seconds, const py::object& tally, index_t skipped) override {
    const Dataset<T> data = dataset_of(x, y, weight);
    const py::array rows = contiguous_array(order, "order");
    if (!has_type(rows, 'i', 8) || rows.ndim() != 1) {
      throw py::type_error("order: expected int64 row numbers of shape (n,), got " +
                           dtype_text(rows) + " of shape " + shape_text(rows));
    }
    const int64_t* numbers = data_of<int64_t>(rows);
    require(
        first >= 0 && first < rows.size() && batch_size > 0 && rates.ndim() == 1 &&
            rates.size() > 0,
        "train_batches: expected a first row within the order, a batch size of 1 or more and at "
        "least one learning rate");
    // Those that this call may reach: with a callback per batch there is a call for each.
    const index_t batches = std::min<index_t>(rates.size(), (rows.size() - first) / batch_size + 1);
    const index_t end = std::min<index_t>(rows.size(), first + batches * batch_size);
    for (index_t i = first; i < end; ++i) {
      if (numbers[i] >= 0 && numbers[i] < data.size) continue;
      throw ValueError(
          text("order: expected row numbers of 0 to ", data.size - 1, ", got ", numbers[i]));
    }
    py::array sums = output_array<double>(tally, {2, 1 + totals_size()}, "tally", {});
    double* to = mutable_data_of<double>(sums);
    const ReleaseGil release;
    plan_.train_batches(data, numbers, rows.size(), first, batch_size, rates.data(), rates.size(),
                        seconds, to, skipped);
  }

  py::array evaluate(const py::object& x, const py::object& y, const py::object& weight) override {
    const Dataset<T> data = dataset_of(x, y, weight);
    py::array_t<double> totals(totals_size());
    double* sums = totals.mutable_data();
    std::fill(sums, sums + totals.size(), 0.0);
    {
      const ReleaseGil release;
      plan_.evaluate(data, sums);
    }
    return py::array(std::move(totals));
  }

  double loss_and_gradients(const py::object& x, const py::object& y, const py::object& weight,
                            bool training) override {
    const Dataset<T> data = dataset_of(x, y, weight);
    const ReleaseGil release;
    return plan_.loss_and_gradients(data, training);
  }

  py::dict gradients(const py::handle& self) override {
    py::dict out;
    for (const auto& p : plan_.program().parameters) {
      if (!p->gradient) continue;
      out[py::str(p->name)] =
          view_of(p->gradient, std::vector<py::ssize_t>(p->shape.begin(), p->shape.end()), self);
    }
    return out;
  }

  void run(const py::object& x, bool training) override {
    index_t n = 0;
    const plan::RowsOfInputs<T> rows = checked_rows<T>(plan_.layout(), x, &n);
    const ReleaseGil release;
    plan_.run(rows, n, training);
  }

  // Of the last run, as new arrays.
  py::list outputs() override {
    py::list all;
    for (const auto& output : plan_.program().outputs)
      all.append(copy_of(output.tensor->value, *output.tensor));
    return all;
  }

  void pull_back(const py::list& d_outputs) override {
    const auto& outputs = plan_.program().outputs;
    require(d_outputs.size() == outputs.size(), "pullback: expected ", outputs.size(),
            " arrays, one for each output, got ", d_outputs.size());
    std::vector<py::array> arrays;
    OneOrMore<const T*> numbers(outputs.size());
    for (size_t i = 0; i < outputs.size(); ++i) {
      arrays.push_back(contiguous_array_of<T>(py::object(d_outputs[i]), "dy"));
      const auto shape = with_rows(plan_.rows_of_last_run(), outputs[i].tensor->shape);
      require(shape_of(arrays[i]) == shape, "dy: expected shape ", shape_text(shape), ", got ",
              shape_text(arrays[i]));
      numbers[i] = data_of<T>(arrays[i]);
    }
    const ReleaseGil release;
    plan_.pull_back(numbers);
  }

  // Of the last pull_back(), as new arrays.
  py::list input_gradients() override {
    py::list all;
    for (const auto& input : plan_.program().inputs) {
      if (input.gradient) {
        all.append(copy_of(input.gradient, *input.tensor));
        continue;
      }
      py::array_t<T> zeros(with_rows(plan_.rows_of_last_run(), input.tensor->shape));
      std::fill(zeros.mutable_data(), zeros.mutable_data() + zeros.size(), T(0));
      all.append(std::move(zeros));
    }
    return all;
  }

  void apply_gradients(double rate) override {
    const ReleaseGil release;
    plan_.apply_gradients(rate);
  }

  py::dict values() override {
    require_kept();
    py::dict out;
    for (const auto& op : plan_.program().ops) {
      for (const plan::Tensor<T>* output : op->outputs)
        out[py::str(output->name)] = copy_of(output->value, *output);
    }
    return out;
  }

  py::dict value_gradients() override {
    require_kept();
    py::dict out;
    for (const auto& tensor : plan_.program().tensors) {
      const auto found = plan_.program().gradients_of.find(tensor->name);
      if (found != plan_.program().gradients_of.end())
        out[py::str(tensor->name)] = copy_of(found->second, *tensor);
    }
    return out;
  }

  py::dict state(const py::handle& self) override {
    py::dict out;
    for (const auto& [name, numbers] : plan_.state())
      out[py::str(name)] = view_of(numbers, {plan_.layout().flat_size()}, self);
    return out;
  }

  std::vector<std::string> squares() override {
    std::vector<std::string> names;
    if (!plan_.optimizer()) return names;
    for (const auto& state : plan_.optimizer()->state()) {
      if (state.what.holds == plan::Holds::squares || state.what.holds == plan::Holds::sizes)
        names.emplace_back(state.what.name);
    }
    return names;
  }

  void merge_totals(const py::object& totals, const py::object& other) const override {
    py::array into = output_array<double>(totals, {totals_size()}, "totals", {});
    const py::array from = totals_of(other);
    plan_.objective().merge(mutable_data_of<double>(into), data_of<double>(from));
  }

  py::dict steps() override {
    py::dict out;
    if (!plan_.optimizer()) return out;
    const std::vector<uint64_t> steps = plan_.optimizer()->steps();
    for (size_t i = 0; i < steps.size(); ++i)
      out[py::str(plan_.program().parameters[i]->name)] = steps[i];
    return out;
  }

  void set_steps(const py::dict& values) override {
    if (!plan_.optimizer()) return;
    std::vector<uint64_t> steps;
    for (const auto& p : plan_.program().parameters) {
      require(values.contains(p->name), "steps: expected a number for ", p->name, ", got none");
      steps.push_back(values[py::str(p->name)].cast<uint64_t>());
    }
    plan_.optimizer()->set_steps(std::move(steps));
  }

  py::list describe() override {
    py::list out;
    const plan::Program<T>& program = plan_.program();
    for (size_t i = 0; i < program.ops.size(); ++i) {
      const plan::Op<T>& op = *program.ops[i];
      py::list inputs, parameters;
      for (const plan::Tensor<T>* t : op.inputs) inputs.append(t->name);
      for (const plan::Parameter<T>* p : op.parameters) parameters.append(p->name);
      for (size_t j = 0; j < op.outputs.size(); ++j) {
        py::dict row;
        row["op"] = op.kind;
        row["name"] = op.outputs[j]->name;
        row["inputs"] = inputs;
        row["shape"] = shape_tuple(op.outputs[j]->shape);
        row["parameters"] = parameters;
        row["algorithm"] = py::cast(op.algorithm());       // null: None
        row["flops"] = j == 0 ? op.flops_per_row() : 0.0;  // the op's, once
        row["offset"] = program.placements[i][j].offset;
        row["bytes"] = program.placements[i][j].bytes;
        out.append(row);
      }
    }
    return out;
  }

  index_t rows_of_part(index_t rows) const override { return plan_.rows_of_part(rows); }
  index_t capacity() const override { return plan_.options().capacity; }
  size_t arena_bytes() const override { return plan_.program().arena.size() * sizeof(T); }
  index_t totals_size() const override {
    return static_cast<index_t>(plan_.objective().totals_size());
  }
  std::vector<size_t> metric_sizes() const override { return plan_.objective().metric_sizes(); }
  uint64_t iteration() const override { return plan_.iteration; }
  void set_iteration(uint64_t value) override {
    require(value < UINT32_MAX, "iteration: expected less than 2^32 - 1 steps, got ", value);
    plan_.iteration = value;
  }

 private:
  Dataset<T> dataset_of(const py::object& x, const py::object& y, const py::object& weight) const {
    Dataset<T> data;
    data.x = checked_rows<T>(plan_.layout(), x, &data.size);
    data.y = OneOrMore<plan::Targets<T>>(std::max(heads_.size(), size_t(1)));
    for (size_t i = 0; i < heads_.size(); ++i)
      data.y[i] =
          heads_[i].targets(part_of(y, i, "y"), part_of(weight, i, "sample_weight"), data.size);
    return data;
  }

  // The object itself for a single head, else that of its items; None stands for one each.
  py::object part_of(const py::object& object, size_t i, const char* name) const {
    if (heads_.size() == 1 || object.is_none()) return object;
    require(PyList_Check(object.ptr()) && static_cast<size_t>(py::len(object)) == heads_.size(),
            name, ": expected a list of ", heads_.size(), ", one for each output with a loss");
    return object[py::int_(i)];
  }

  bool fitting(const py::object& x, const py::object& y, const py::object& weight,
               Fitting<T>* batch) const {
    Dataset<T>& data = batch->data;
    if (!fitting_rows(plan_.layout(), x, &data.size, &data.x, &batch->x)) return false;
    if (heads_.empty()) return y.is_none() && weight.is_none();
    if (heads_.size() == 1)
      return heads_[0].fitting(y, weight, data.size, &data.y[0], &batch->y[0]);
    const auto is_list_of_all = [this](const py::object& object) {
      return PyList_CheckExact(object.ptr()) &&
             static_cast<size_t>(PyList_GET_SIZE(object.ptr())) == heads_.size();
    };
    if (!is_list_of_all(y) || !(weight.is_none() || is_list_of_all(weight))) return false;
    data.y = OneOrMore<plan::Targets<T>>(heads_.size());
    batch->y = OneOrMore<CastTargets<T>>(heads_.size());
    for (size_t i = 0; i < heads_.size(); ++i) {
      if (!heads_[i].fitting(part_of(y, i, "y"), part_of(weight, i, "sample_weight"), data.size,
                             &data.y[i], &batch->y[i]))
        return false;
    }
    return true;
  }

  py::array totals_of(const py::object& object) const {
    const py::array totals = contiguous_array_of<double>(object, "totals");
    require(totals.ndim() == 1 && totals.shape(0) == totals_size(), "totals: expected shape (",
            totals_size(), ",), got ", shape_text(totals));
    return totals;
  }
  void require_kept() const {
    if (!plan_.options().keep) throw StateError("values: expected a plan made with keep=True");
  }
  py::array copy_of(const T* data, const plan::Tensor<T>& tensor) const {
    if (tensor.batched)
      return py::array_t<T>(with_rows(plan_.rows_of_last_run(), tensor.shape), data);
    return py::array_t<T>(std::vector<py::ssize_t>(tensor.shape.begin(), tensor.shape.end()), data);
  }

  Plan<T> plan_;
  std::vector<TargetReader<T>> heads_;
};

plan::HeadOptions head_of(const py::handle& object) {
  const py::dict dict = py::reinterpret_borrow<py::dict>(object);
  plan::HeadOptions head;
  head.output = dict["output"].cast<size_t>();
  head.loss = node_of(dict["loss"]);
  head.weight = dict["weight"].cast<double>();
  if (dict.contains("mask") && !dict["mask"].is_none())
    head.mask = dict["mask"].cast<std::string>();
  if (dict.contains("targets")) head.targets = dict["targets"].cast<std::vector<Shape>>();
  for (const auto& metric : dict["metrics"]) head.metrics.push_back(node_of(metric));
  if (dict.contains("weighted_metrics")) {
    for (const auto& metric : dict["weighted_metrics"])
      head.weighted_metrics.push_back(node_of(metric));
  }
  return head;
}

std::map<std::string, double> factors_of(const py::handle& object, const char* what) {
  auto factors = object.cast<std::map<std::string, double>>();
  for (const auto& [name, factor] : factors) {
    require(std::isfinite(factor) && factor >= 0, name, ": expected a finite ", what,
            " of 0 or more, got ", factor);
  }
  return factors;
}

// From a dict with any of the keys below.
plan::UpdateOptions update_options_of(const py::dict& given) {
  plan::UpdateOptions options;
  for (const auto& [key, value] : given) {
    const std::string name = key.cast<std::string>();
    if (name == "batches") {
      options.batches = value.cast<index_t>();
      require(options.batches >= 1, "plan: expected one batch or more of an update, got ",
              options.batches);
    } else if (name == "learning_rates") {
      options.learning_rates = factors_of(value, "factor of the learning rate");
    } else if (name == "weight_decays") {
      options.weight_decays = factors_of(value, "weight decay");
    } else if (name == "constraints") {
      for (const auto& [parameter, constraint] : py::reinterpret_borrow<py::dict>(value))
        options.constraints[parameter.cast<std::string>()] = node_of(constraint);
    } else if (name == "average") {
      options.average = node_of(value);
    } else {
      throw ValueError(text("plan: unknown option of the update, '", name, "'"));
    }
  }
  return options;
}

template <class T>
std::unique_ptr<PyPlan> make_plan_of(const PyGraphOf<T>& graph, PlanOptions options,
                                     const py::dict& functions) {
  for (const plan::HeadOptions& head : options.heads) {
    require(head.output < graph.layout().outputs().size(),
            "heads: expected outputs of the network, got number ", head.output);
    require(std::isfinite(head.weight), "heads: expected finite weights, got ", head.weight);
  }
  plan::UserFunctions<T> user = user_functions<T>(functions, graph.layout(), options.capacity);
  for (const plan::HeadOptions& head : options.heads) {
    const std::string name = graph.layout().output_name(head.output);
    require((head.loss.op == "callback") == (user.losses.count(name) != 0),
            "loss: expected a function with the loss \"callback\", and only then");
    require((head.loss.op == "expression") == (user.expressions[name].loss != nullptr),
            "loss: expected a graph with the loss \"expression\", and only then");
    require((head.loss.op == "expression") == !head.targets.empty(),
            "loss: expected the shapes of targets with the loss \"expression\", and only then");
  }
  return std::make_unique<PyPlanOf<T>>(graph, std::move(options), user);
}

std::unique_ptr<PyPlan> make_plan(const PyGraph& graph, index_t capacity, const py::sequence& heads,
                                  const std::vector<std::string>& penalties, bool by_hand,
                                  const py::object& optimizer, const py::object& gradients,
                                  const py::dict& regularizers, const py::dict& update,
                                  index_t shards, index_t micro_batch,
                                  const py::object& augmentation, const py::object& trainable,
                                  const py::dict& functions, uint64_t seed, bool fuse, bool keep) {
  PlanOptions options;
  options.capacity = capacity;
  for (const auto& head : heads) options.heads.push_back(head_of(head));
  options.penalties = penalties;
  options.by_hand = by_hand;
  if (!optimizer.is_none()) options.optimizer = node_of(optimizer);
  if (!gradients.is_none()) options.gradients = node_of(gradients);
  for (const auto& [name, value] : regularizers) {
    const auto [l1, l2] = value.cast<std::pair<double, double>>();
    options.regularizers[name.cast<std::string>()] = {l1, l2};
  }
  options.update = update_options_of(update);
  require(shards >= 1 && shards <= plan::kMaxShards, "plan: expected 1 to ", plan::kMaxShards,
          " shards, got ", shards);
  require(micro_batch >= 0, "plan: expected a micro_batch of 0 or more, got ", micro_batch);
  options.shards = shards;
  options.micro_batch = micro_batch;
  if (!augmentation.is_none()) options.augmentation = node_of(augmentation);
  if (!trainable.is_none()) options.trainable = trainable.cast<std::vector<std::string>>();
  options.seed = seed;
  options.fuse = fuse;
  options.keep = keep;
  return with_graph(
      graph, [&](const auto& of) { return make_plan_of(of, std::move(options), functions); });
}

}  // namespace

void add_plan(py::module_& module) {
  py::class_<PyPlan>(module, "Plan")
      .def(py::init(&make_plan), py::arg("graph"), py::arg("capacity"), py::kw_only(),
           py::arg("heads") = py::tuple(), py::arg("penalties") = std::vector<std::string>(),
           py::arg("by_hand") = false, py::arg("optimizer") = py::none(),
           py::arg("gradients") = py::none(), py::arg("regularizers") = py::dict(),
           py::arg("update") = py::dict(), py::arg("shards") = 1, py::arg("micro_batch") = 0,
           py::arg("augmentation") = py::none(), py::arg("trainable") = py::none(),
           py::arg("functions") = py::dict(), py::arg("seed") = 0, py::arg("fuse") = true,
           py::arg("keep") = false)
      .def_property_readonly("capacity", &PyPlan::capacity)
      .def_property_readonly("arena_bytes", &PyPlan::arena_bytes)
      .def_property_readonly("totals_size", &PyPlan::totals_size)
      .def_property_readonly("metric_sizes", &PyPlan::metric_sizes)
      .def_property("iteration", &PyPlan::iteration, &PyPlan::set_iteration)
      .def("rows_of_part", &PyPlan::rows_of_part, py::arg("rows"))
      .def("predict", &PyPlan::predict, py::arg("x"))
      .def("train_step_if_fits", &PyPlan::train_step_if_fits, py::arg("x"), py::arg("y"),
           py::arg("sample_weight"), py::arg("learning_rate"))
      .def("train_step", &PyPlan::train_step, py::arg("x"), py::arg("y"), py::arg("sample_weight"),
           py::arg("learning_rate"))
      .def("train_batches", &PyPlan::train_batches, py::arg("x"), py::arg("y"),
           py::arg("sample_weight"), py::arg("order"), py::arg("first"), py::arg("batch_size"),
           py::arg("learning_rates"), py::arg("seconds"), py::arg("tally"), py::arg("skipped") = 0)
      .def("evaluate", &PyPlan::evaluate, py::arg("x"), py::arg("y"), py::arg("sample_weight"))
      .def("merge_totals", &PyPlan::merge_totals, py::arg("totals"), py::arg("other"))
      .def("loss_and_gradients", &PyPlan::loss_and_gradients, py::arg("x"), py::arg("y"),
           py::arg("sample_weight"), py::arg("training"))
      .def("pull_back", &PyPlan::pull_back, py::arg("d_outputs"))
      .def("input_gradients", &PyPlan::input_gradients)
      .def("outputs", &PyPlan::outputs)
      .def("apply_gradients", &PyPlan::apply_gradients, py::arg("learning_rate"))
      .def("gradients", [](const py::object& self) { return self.cast<PyPlan&>().gradients(self); })
      .def("run", &PyPlan::run, py::arg("x"), py::arg("training"))
      .def("values", &PyPlan::values)
      .def("value_gradients", &PyPlan::value_gradients)
      .def("state", [](const py::object& self) { return self.cast<PyPlan&>().state(self); })
      .def("squares", &PyPlan::squares)
      .def_property("steps", &PyPlan::steps, &PyPlan::set_steps)
      .def("describe", &PyPlan::describe);
}

}  // namespace nnfast::bind
