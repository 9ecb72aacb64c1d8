// Plans for Python: they run the ops of a graph. Specs are dicts, so a new op needs no change here.
#include "plan/plan.h"

#include <pybind11/stl.h>

#include "bind/arrays.h"
#include "bind/bind.h"
#include "bind/callbacks.h"
#include "bind/gil.h"
#include "bind/graph.h"
#include "bind/numbers.h"
#include "bind/rows.h"
#include "bind/spec.h"

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
  Numbers<T> y, weights;
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
                             const Rates& rates, double seconds, const py::object& tally) = 0;
  virtual py::array evaluate(const py::object& x, const py::object& y,
                             const py::object& weight) = 0;
  virtual double loss_and_gradients(const py::object& x, const py::object& y,
                                    const py::object& weight, bool training) = 0;
  virtual py::dict gradients(const py::handle& self) = 0;
  virtual void run(const py::object& x, bool training) = 0;
  virtual py::dict values() = 0;
  virtual py::dict value_gradients() = 0;
  virtual py::dict state(const py::handle& self) = 0;
  virtual std::vector<std::string> squares() = 0;
  virtual void merge_totals(const py::object& totals, const py::object& other) const = 0;
  virtual std::vector<double> results_of(const py::object& totals, index_t rows) const = 0;
  virtual py::dict steps() = 0;
  virtual void set_steps(const py::dict& steps) = 0;
  virtual py::list describe() = 0;
  virtual index_t capacity() const = 0;
  virtual size_t arena_bytes() const = 0;
  virtual index_t totals_size() const = 0;
  virtual uint64_t iteration() const = 0;
  virtual void set_iteration(uint64_t value) = 0;
};

template <class T>
class PyPlanOf final : public PyPlan {
 public:
  PyPlanOf(const PyGraphOf<T>& graph, PlanOptions options, const plan::Callbacks<T>& callbacks,
           plan::LossCallback<T> loss)
      : plan_(graph.graph, std::move(options), callbacks, std::move(loss)) {
    const plan::Program<T>& program = plan_.program();
    y_shape_ = program.outputs[0].prediction->shape;
    const std::string loss_name = plan_.options().loss ? plan_.options().loss->op : "";
    takes_labels_ = loss_name == "cross_entropy" || loss_name == "callback";
    // The targets of a user-defined loss are described in Python.
    takes_any_numbers_ = !takes_labels_ && loss_name != "binary_cross_entropy";
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
    if (!PyFloat_CheckExact(rate.ptr()) ||
        !fitting_rows(plan_.layout(), x, &batch.data.size, &batch.data.x, &batch.x) ||
        batch.data.size > plan_.options().capacity || !fitting_targets(y, &batch) ||
        !fitting_weights(weight, &batch))
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
                     double seconds, const py::object& tally) override {
    const Dataset<T> data = dataset_of(x, y, weight);
    const py::array rows = contiguous_array(order, "order");
    if (!has_type(rows, 'i', 8) || rows.ndim() != 1) {
      throw py::type_error("order: expected int64 row numbers of shape (n,), got " +
                           dtype_text(rows) + " of shape " + shape_text(rows));
    }
    const int64_t* numbers = data_of<int64_t>(rows);
    for (index_t i = 0; i < rows.size(); ++i) {
      require(numbers[i] >= 0 && numbers[i] < data.size, "order: expected row numbers of 0 to ",
              data.size - 1, ", got ", numbers[i]);
    }
    require(first >= 0 && first < rows.size() && rates.ndim() == 1 && rates.size() > 0,
            "train_batches: expected a first row within the order and at least one learning rate");
    py::array sums = output_array<double>(tally, {2, 1 + plan_.totals_size()}, "tally", {});
    double* to = mutable_data_of<double>(sums);
    const ReleaseGil release;
    plan_.train_batches(data, numbers, rows.size(), first, batch_size, rates.data(), rates.size(),
                        seconds, to);
  }

  py::array evaluate(const py::object& x, const py::object& y, const py::object& weight) override {
    const Dataset<T> data = dataset_of(x, y, weight);
    py::array_t<double> totals(plan_.totals_size());
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

  py::dict values() override {
    require_kept();
    py::dict out;
    for (const auto& op : plan_.program().ops) {
      out[py::str(op->output->name)] = copy_of(op->output->value, *op->output);
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
    if (!plan_.optimizer()) return out;
    for (const auto& state : plan_.optimizer()->state()) {
      out[py::str(state.what.name)] =
          view_of(state.numbers.data(), {plan_.layout().flat_size()}, self);
    }
    return out;
  }

  std::vector<std::string> squares() override {
    std::vector<std::string> names;
    if (!plan_.optimizer()) return names;
    for (const auto& state : plan_.optimizer()->state()) {
      if (state.what.holds == plan::Holds::squares) names.emplace_back(state.what.name);
    }
    return names;
  }

  void merge_totals(const py::object& totals, const py::object& other) const override {
    py::array into = output_array<double>(totals, {plan_.totals_size()}, "totals", {});
    const py::array from = totals_of(other);
    plan_.merge_totals(mutable_data_of<double>(into), data_of<double>(from));
  }

  std::vector<double> results_of(const py::object& totals, index_t rows) const override {
    std::vector<double> results(static_cast<size_t>(plan_.result_count()));
    const py::array from = totals_of(totals);
    plan_.results_of(results.data(), data_of<double>(from), rows);
    return results;
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
      py::dict row;
      row["op"] = op.kind;
      row["name"] = op.output->name;
      row["inputs"] = inputs;
      row["shape"] = shape_tuple(op.output->shape);
      row["parameters"] = parameters;
      row["algorithm"] = py::cast(op.algorithm());  // null: None
      row["flops"] = op.flops_per_row();
      row["offset"] = program.placements[i].offset;
      row["bytes"] = program.placements[i].bytes;
      out.append(row);
    }
    return out;
  }

  index_t capacity() const override { return plan_.options().capacity; }
  size_t arena_bytes() const override { return plan_.program().arena.size() * sizeof(T); }
  index_t totals_size() const override { return plan_.totals_size(); }
  uint64_t iteration() const override { return plan_.iteration; }
  void set_iteration(uint64_t value) override {
    require(value < UINT32_MAX, "iteration: expected less than 2^32 - 1 steps, got ", value);
    plan_.iteration = value;
  }

 private:
  Dataset<T> dataset_of(const py::object& x, const py::object& y, const py::object& weight) const {
    Dataset<T> data;
    data.x = checked_rows<T>(plan_.layout(), x, &data.size);
    const py::array targets = contiguous_array(y, "y");
    data.y = targets_of(targets, data.size);
    if (weight.is_none()) return data;
    const py::array weights = contiguous_array_of<T>(weight, "sample_weight");
    require(weights.ndim() == 1 && weights.shape(0) == data.size, "sample_weight: expected shape (",
            data.size, ",), as x has rows, got ", shape_text(weights));
    data.weights = data_of<T>(weights);
    return data;
  }

  enum class TargetShape { labels, whole, neither };

  TargetShape target_shape(const py::array& y, bool integer) const {
    const size_t extra = static_cast<size_t>(y.ndim()) - 1;
    const size_t rank = y_shape_.size();
    const auto begins_with = [&](size_t axes) {
      return extra >= axes &&
             std::equal(y_shape_.begin(), y_shape_.begin() + static_cast<std::ptrdiff_t>(axes),
                        y.shape() + 1);
    };
    const bool label_shape = begins_with(rank - 1) &&
                             (extra == rank - 1 || (extra == rank && y.shape(y.ndim() - 1) == 1));
    if (takes_labels_ && y_shape_.back() > 1 && integer && label_shape) return TargetShape::labels;
    const bool whole = (extra == rank && begins_with(rank)) || (y_shape_ == Shape{1} && extra == 0);
    return whole ? TargetShape::whole : TargetShape::neither;
  }

  static bool is_core_integer(const py::array& y) {
    const ElementType type = element_type(y);
    return type.is('u', 1) || type.is('i', 4) || type.is('i', 8);
  }

  static void set_integers(const py::array& y, TargetShape shape, plan::Targets<T>* targets) {
    targets->are_labels = shape == TargetShape::labels;
    targets->integers = y.data();
    const ElementType type = element_type(y);
    targets->integer_type = type.size == 1   ? plan::LabelType::uint8
                            : type.size == 4 ? plan::LabelType::int32
                                             : plan::LabelType::int64;
  }

  plan::Targets<T> targets_of(const py::array& y, index_t n) const {
    plan::Targets<T> targets;
    const bool integer = is_core_integer(y);
    if (!integer && !has_type_of<T>(y)) {
      throw py::type_error(text("y: expected ", type_name<T>(), ", int64, int32 or uint8, got ",
                                dtype_text(y), "; use .astype"));
    }
    require(y.ndim() > 0 && y.shape(0) == n, "y: expected ", n, " rows, as x has, got shape ",
            shape_text(y));
    const TargetShape shape = target_shape(y, integer);
    if (shape == TargetShape::neither) {
      Shape labels(y_shape_.begin(), y_shape_.end() - 1);
      throw ValueError(
          text("y: expected shape ", plan::batch_shape_text(y_shape_),
               takes_labels_ ? " or integer labels of shape " + plan::batch_shape_text(labels) : "",
               " with N = ", n, ", got ", shape_text(y), " of ", dtype_text(y)));
    }
    if (integer) {
      set_integers(y, shape, &targets);
    } else {
      targets.values = data_of<T>(y);
    }
    return targets;
  }

  // Converted data are checked as a whole, as in Python: if the loss takes probabilities, from 0 to
  // 1.
  bool fitting_targets(const py::object& object, Fitting<T>* batch) const {
    if (!is_plain_array(object)) return false;
    const py::array y = py::reinterpret_borrow<py::array>(object);
    if (y.ndim() == 0 || y.shape(0) != batch->data.size) return false;
    const bool integer = is_core_integer(y);
    const TargetShape shape = target_shape(y, integer);
    if (shape == TargetShape::neither) return false;
    if (integer) {
      set_integers(y, shape, &batch->data.y);
      return true;
    }
    if (element_type(y).kind != 'f' || !numbers_of(y, &batch->y)) return false;
    batch->data.y.values = batch->y.data;
    if (!batch->y.cast || takes_any_numbers_) return true;
    for (index_t i = 0; i < y.size(); ++i) {
      if (!(batch->y.data[i] >= 0 && batch->y.data[i] <= 1)) return false;
    }
    return true;
  }

  bool fitting_weights(const py::object& object, Fitting<T>* batch) const {
    if (object.is_none()) return true;
    if (!is_plain_array(object)) return false;
    const py::array weights = py::reinterpret_borrow<py::array>(object);
    if (weights.ndim() != 1 || weights.shape(0) != batch->data.size ||
        !numbers_of(weights, &batch->weights))
      return false;
    batch->data.weights = batch->weights.data;
    for (index_t i = 0; i < weights.size(); ++i) {
      if (!(batch->data.weights[i] >= 0)) return false;
    }
    return true;
  }

  py::array totals_of(const py::object& object) const {
    const py::array totals = contiguous_array_of<double>(object, "totals");
    require(totals.ndim() == 1 && totals.shape(0) == plan_.totals_size(),
            "totals: expected shape (", plan_.totals_size(), ",), got ", shape_text(totals));
    return totals;
  }
  void require_kept() const {
    if (!plan_.options().keep) throw StateError("values: expected a plan made with keep=True");
  }
  py::array copy_of(const T* data, const plan::Tensor<T>& tensor) const {
    return py::array_t<T>(with_rows(plan_.rows_of_last_run(), tensor.shape), data);
  }

  Plan<T> plan_;
  Shape y_shape_;
  bool takes_labels_ = false, takes_any_numbers_ = false;
};

template <class T>
std::unique_ptr<PyPlan> make_plan_of(const PyGraphOf<T>& graph, PlanOptions options,
                                     const py::object& callbacks) {
  UserFunctions<T> functions = user_functions<T>(callbacks, graph.layout().output(0).shape);
  const bool wants_function = options.loss && options.loss->op == "callback";
  require(wants_function == static_cast<bool>(functions.loss),
          "loss: expected a function with the loss \"callback\", and only then");
  return std::make_unique<PyPlanOf<T>>(graph, std::move(options), functions.layers,
                                       std::move(functions.loss));
}

std::unique_ptr<PyPlan> make_plan(const PyGraph& graph, index_t capacity, const py::object& loss,
                                  const py::sequence& metrics, const py::object& optimizer,
                                  const py::object& augmentation, const py::object& trainable,
                                  const py::object& callbacks, uint64_t seed, bool fuse,
                                  bool keep) {
  PlanOptions options;
  options.capacity = capacity;
  if (!loss.is_none()) options.loss = node_of(loss);
  for (const auto& metric : metrics) options.metrics.push_back(node_of(metric));
  if (!optimizer.is_none()) options.optimizer = node_of(optimizer);
  if (!augmentation.is_none()) options.augmentation = node_of(augmentation);
  if (!trainable.is_none()) options.trainable = trainable.cast<std::vector<std::string>>();
  options.seed = seed;
  options.fuse = fuse;
  options.keep = keep;
  return with_graph(
      graph, [&](const auto& of) { return make_plan_of(of, std::move(options), callbacks); });
}

}  // namespace

void add_plan(py::module_& module) {
  py::class_<PyPlan>(module, "Plan")
      .def(py::init(&make_plan), py::arg("graph"), py::arg("capacity"), py::kw_only(),
           py::arg("loss") = py::none(), py::arg("metrics") = py::tuple(),
           py::arg("optimizer") = py::none(), py::arg("augmentation") = py::none(),
           py::arg("trainable") = py::none(), py::arg("callbacks") = py::none(),
           py::arg("seed") = 0, py::arg("fuse") = true, py::arg("keep") = false)
      .def_property_readonly("capacity", &PyPlan::capacity)
      .def_property_readonly("arena_bytes", &PyPlan::arena_bytes)
      .def_property_readonly("totals_size", &PyPlan::totals_size)
      .def_property("iteration", &PyPlan::iteration, &PyPlan::set_iteration)
      .def("predict", &PyPlan::predict, py::arg("x"))
      .def("train_step_if_fits", &PyPlan::train_step_if_fits, py::arg("x"), py::arg("y"),
           py::arg("sample_weight"), py::arg("learning_rate"))
      .def("train_step", &PyPlan::train_step, py::arg("x"), py::arg("y"), py::arg("sample_weight"),
           py::arg("learning_rate"))
      .def("train_batches", &PyPlan::train_batches, py::arg("x"), py::arg("y"),
           py::arg("sample_weight"), py::arg("order"), py::arg("first"), py::arg("batch_size"),
           py::arg("learning_rates"), py::arg("seconds"), py::arg("tally"))
      .def("evaluate", &PyPlan::evaluate, py::arg("x"), py::arg("y"), py::arg("sample_weight"))
      .def("merge_totals", &PyPlan::merge_totals, py::arg("totals"), py::arg("other"))
      .def("results_of", &PyPlan::results_of, py::arg("totals"), py::arg("rows"))
      .def("loss_and_gradients", &PyPlan::loss_and_gradients, py::arg("x"), py::arg("y"),
           py::arg("sample_weight"), py::arg("training"))
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
