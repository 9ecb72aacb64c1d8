// Graphs and plans for Python. Specs are dicts, so a new op needs nothing here.
#include "plan/plan.h"

#include <pybind11/stl.h>

#include "bind/arrays.h"
#include "bind/bind.h"
#include "bind/gil.h"
#include "bind/spec.h"

namespace nnfast::bind {
namespace {

using plan::Callback;
using plan::CallbackCall;
using plan::Dataset;
using plan::Graph;
using plan::NodeSpec;
using plan::Plan;
using plan::PlanOptions;
using plan::Shape;

py::tuple shape_tuple(const Shape& shape) { return py::tuple(py::cast(shape)); }

py::dict infer(const py::dict& node, const std::vector<Shape>& input_shapes) {
  const NodeSpec spec = node_of(node);
  const plan::Inference result = plan::infer_node(spec, input_shapes);
  py::list parameters, statistics;
  for (const plan::ParameterSpec& p : result.parameters) {
    plan::element_count(p.shape, spec.name + "." + p.name);
    parameters.append(py::make_tuple(p.name, shape_tuple(p.shape)));
    if (!p.trains) statistics.append(p.name);
  }
  plan::element_count(result.shape, spec.name);
  py::dict out;
  out["shape"] = shape_tuple(result.shape);
  out["parameters"] = parameters;
  out["statistics"] = statistics;
  return out;
}

std::vector<py::ssize_t> with_rows(index_t rows, const Shape& shape) {
  std::vector<py::ssize_t> out = {rows};
  out.insert(out.end(), shape.begin(), shape.end());
  return out;
}

// ---- graphs ---------------------------------------------------------------------------------------

class PyGraph {
 public:
  virtual ~PyGraph() = default;
  virtual const plan::GraphLayout& layout() const = 0;
  virtual const char* dtype() const = 0;
  virtual py::array flat(const py::handle& self) const = 0;
  virtual py::dict parameters(const py::handle& self) const = 0;
};

template <class T>
class PyGraphOf final : public PyGraph {
 public:
  PyGraphOf(std::vector<NodeSpec> nodes, const std::string& output)
      : graph(std::make_shared<Graph<T>>(std::move(nodes), output)) {}
  const plan::GraphLayout& layout() const override { return graph->layout; }
  const char* dtype() const override { return type_name<T>(); }
  py::array flat(const py::handle& self) const override {
    return view_of(graph->flat.data(), {layout().flat_size()}, self);
  }
  py::dict parameters(const py::handle& self) const override {
    py::dict out;
    for (const plan::GraphNode& node : layout().nodes()) {
      for (size_t i = 0; i < node.parameters.size(); ++i) {
        const plan::ParameterSpec& p = node.parameters[i];
        out[py::str(node.spec.name + "." + p.name)] =
            view_of(graph->flat.data() + node.offsets[i],
                    std::vector<py::ssize_t>(p.shape.begin(), p.shape.end()), self);
      }
    }
    return out;
  }

  std::shared_ptr<Graph<T>> graph;
};

std::unique_ptr<PyGraph> make_graph(const py::sequence& nodes, const std::string& output,
                                    const std::string& dtype) {
  std::vector<NodeSpec> specs;
  for (const auto& node : nodes) specs.push_back(node_of(node));
  return with_type(dtype, "network", [&](auto t) -> std::unique_ptr<PyGraph> {
    return std::make_unique<PyGraphOf<decltype(t)>>(std::move(specs), output);
  });
}

// ---- callbacks --------------------------------------------------------------------------------------

template <class T>
py::array tensor_view(T* data, const plan::Tensor<T>& tensor, index_t rows) {
  return view_of(data, with_rows(rows, tensor.shape), py::none());
}

// What a user's function may look at and not change: it may be the caller's own array.
template <class T>
py::array read_only_view(const T* data, std::vector<py::ssize_t> shape) {
  py::array view = view_of(const_cast<T*>(data), std::move(shape), py::none());
  view.attr("setflags")(false);
  return view;
}

// Parameters to read, or their gradients to write.
template <class T>
py::dict named_views(const std::vector<plan::Parameter<T>*>& parameters, bool gradients) {
  py::dict out;
  for (const plan::Parameter<T>* p : parameters) {
    if (gradients && !p->gradient) continue;
    std::vector<py::ssize_t> shape(p->shape.begin(), p->shape.end());
    const std::string local = p->name.substr(p->name.rfind('.') + 1);
    out[py::str(local)] = gradients ? view_of(p->gradient, std::move(shape), py::none())
                                    : read_only_view<T>(p->value, std::move(shape));
  }
  return out;
}

template <class T>
py::array tensor_to_read(const plan::Tensor<T>& tensor, index_t rows) {
  return read_only_view<T>(tensor.value, with_rows(rows, tensor.shape));
}

template <class T>
Callback<T> layer_callback(const py::sequence& functions) {
  const py::object forward = functions[0], backward = functions[1];
  Callback<T> callback;
  callback.forward = [forward](const CallbackCall<T>& call) {
    const py::gil_scoped_acquire acquire;
    const index_t rows = call.run->rows;
    py::list inputs;
    for (const plan::Tensor<T>* t : call.inputs) inputs.append(tensor_to_read(*t, rows));
    forward(inputs, tensor_view(call.output->value, *call.output, rows),
            named_views(call.parameters, false), call.run->training);
  };
  callback.backward = [backward](const CallbackCall<T>& call) {
    const py::gil_scoped_acquire acquire;
    const index_t rows = call.run->rows;
    py::list inputs, d_inputs;
    for (size_t i = 0; i < call.inputs.size(); ++i) {
      inputs.append(tensor_to_read(*call.inputs[i], rows));
      // A gradient that nobody wants has a place to be written to all the same.
      if (call.d_inputs[i]) {
        d_inputs.append(tensor_view(call.d_inputs[i], *call.inputs[i], rows));
      } else {
        d_inputs.append(py::array_t<T>(with_rows(rows, call.inputs[i]->shape)));
      }
    }
    backward(tensor_view(call.d_output, *call.output, rows), d_inputs, inputs,
             tensor_to_read(*call.output, rows), named_views(call.parameters, false),
             named_views(call.parameters, true));
  };
  return callback;
}

template <class T>
plan::LossCallback<T> loss_callback(const py::object& function, const Shape& output_shape) {
  return [function, output_shape](const LossInputs<T>& in, T* value, T* d_prediction) {
    const py::gil_scoped_acquire acquire;
    const std::vector<py::ssize_t> shape = with_rows(in.rows, output_shape);
    py::object target;
    if (in.labels) {
      std::vector<py::ssize_t> labels(shape.begin(), shape.end() - 1);
      target = py::array_t<int32_t>(labels, in.labels, py::none());
      target.attr("setflags")(false);
    } else {
      target = read_only_view(in.targets, shape);
    }
    py::object gradient = py::none();
    if (d_prediction) gradient = view_of(d_prediction, shape, py::none());
    function(target, read_only_view(in.prediction, shape), view_of(value, {in.rows}, py::none()),
             gradient);
  };
}

// ---- plans ------------------------------------------------------------------------------------------

using Rates = py::array_t<double, py::array::c_style | py::array::forcecast>;

class PyPlan {
 public:
  virtual ~PyPlan() = default;
  virtual py::array predict(const py::object& x, const py::object& out) = 0;
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
  virtual py::list describe() = 0;
  virtual index_t capacity() const = 0;
  virtual size_t arena_bytes() const = 0;
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
    y_shape_ = program.prediction ? program.prediction->shape : program.output->shape;
    const std::string loss_name = plan_.options().loss ? plan_.options().loss->op : "";
    takes_labels_ = loss_name == "cross_entropy" || loss_name == "callback";
  }

  py::array predict(const py::object& x, const py::object& out) override {
    index_t n = 0;
    const plan::Rows<T> rows = rows_of(x, &n);
    py::array y = output_array<T>(out, with_rows(n, plan_.program().output->shape), "out",
                                  {{py::reinterpret_borrow<py::array>(x), "x"}});
    T* to = mutable_data_of<T>(y);
    {
      const ReleaseGil release;
      plan_.predict(rows, n, to);
    }
    return y;
  }

  double train_step(const py::object& x, const py::object& y, const py::object& weight,
                    double rate) override {
    const Dataset<T> data = dataset_of(x, y, weight);
    const ReleaseGil release;
    return plan_.train_step(data, rate);
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
    py::array sums = output_array<double>(tally, {2, 2 + plan_.metric_count()}, "tally", {});
    double* to = mutable_data_of<double>(sums);
    const ReleaseGil release;
    plan_.train_batches(data, numbers, rows.size(), first, batch_size, rates.data(), rates.size(),
                        seconds, to);
  }

  py::array evaluate(const py::object& x, const py::object& y, const py::object& weight) override {
    const Dataset<T> data = dataset_of(x, y, weight);
    py::array_t<double> totals(1 + plan_.metric_count());
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
    const plan::Rows<T> rows = rows_of(x, &n);
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
    for (const auto& [name, data] : plan_.optimizer()->state()) {
      out[py::str(name)] = view_of(data, {plan_.layout().flat_size()}, self);
    }
    return out;
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
      row["flops"] = op.flops_per_row();
      row["offset"] = program.placements[i].offset;
      row["bytes"] = program.placements[i].bytes;
      out.append(row);
    }
    return out;
  }

  index_t capacity() const override { return plan_.options().capacity; }
  size_t arena_bytes() const override { return plan_.program().arena.size() * sizeof(T); }
  uint64_t iteration() const override { return plan_.iteration; }
  void set_iteration(uint64_t value) override {
    require(value < UINT32_MAX, "iteration: expected less than 2^32 - 1 steps, got ", value);
    plan_.iteration = value;
  }

 private:
  plan::Rows<T> rows_of(const py::object& object, index_t* n) const {
    const plan::GraphNode& input = plan_.layout().nodes()[0];
    const py::array x = contiguous_array(object, input.spec.name.c_str());
    const Shape& shape = input.shape;
    const bool fits = x.ndim() == static_cast<py::ssize_t>(shape.size()) + 1 && x.shape(0) > 0 &&
                      std::equal(shape.begin(), shape.end(), x.shape() + 1);
    if (!fits) {
      throw ValueError(text(input.spec.name, ": expected input ", plan::batch_shape_text(shape),
                            " with N of 1 or more, got ", shape_text(x)));
    }
    *n = x.shape(0);
    plan::Rows<T> rows;
    if (has_type_of<T>(x)) {
      rows.values = data_of<T>(x);
    } else if (has_type(x, 'u', 1)) {
      rows.bytes = data_of<uint8_t>(x);
    } else {
      throw py::type_error(text(input.spec.name, ": expected ", type_name<T>(), " or uint8, got ",
                                dtype_text(x), "; use .astype(\"", type_name<T>(), "\")"));
    }
    return rows;
  }

  Dataset<T> dataset_of(const py::object& x, const py::object& y, const py::object& weight) const {
    Dataset<T> data;
    data.x = rows_of(x, &data.size);
    const py::array targets = contiguous_array(y, "y");
    data.y = targets_of(targets, data.size);
    if (weight.is_none()) return data;
    const py::array weights = contiguous_array_of<T>(weight, "sample_weight");
    require(weights.ndim() == 1 && weights.shape(0) == data.size, "sample_weight: expected shape (",
            data.size, ",), as x has rows, got ", shape_text(weights));
    data.weights = data_of<T>(weights);
    return data;
  }

  plan::Targets<T> targets_of(const py::array& y, index_t n) const {
    plan::Targets<T> targets;
    const bool integer = has_type(y, 'u', 1) || has_type(y, 'i', 4) || has_type(y, 'i', 8);
    if (!integer && !has_type_of<T>(y)) {
      throw py::type_error(text("y: expected ", type_name<T>(), ", int64, int32 or uint8, got ",
                                dtype_text(y), "; use .astype"));
    }
    require(y.ndim() > 0 && y.shape(0) == n, "y: expected ", n, " rows, as x has, got shape ",
            shape_text(y));
    const size_t extra = static_cast<size_t>(y.ndim()) - 1;
    const size_t rank = y_shape_.size();
    const auto begins_with = [&](size_t axes) {
      return extra >= axes &&
             std::equal(y_shape_.begin(), y_shape_.begin() + static_cast<std::ptrdiff_t>(axes),
                        y.shape() + 1);
    };
    const bool label_shape = begins_with(rank - 1) &&
                             (extra == rank - 1 || (extra == rank && y.shape(y.ndim() - 1) == 1));
    targets.are_labels = takes_labels_ && y_shape_.back() > 1 && integer && label_shape;
    const bool whole = (extra == rank && begins_with(rank)) || (y_shape_ == Shape{1} && extra == 0);
    if (!targets.are_labels && !whole) {
      Shape labels(y_shape_.begin(), y_shape_.end() - 1);
      throw ValueError(
          text("y: expected shape ", plan::batch_shape_text(y_shape_),
               takes_labels_ ? " or integer labels of shape " + plan::batch_shape_text(labels) : "",
               " with N = ", n, ", got ", shape_text(y), " of ", dtype_text(y)));
    }
    if (!integer) {
      targets.values = data_of<T>(y);
      return targets;
    }
    targets.integers = y.data();
    targets.integer_type = has_type(y, 'u', 1)   ? plan::LabelType::int8_unsigned
                           : has_type(y, 'i', 4) ? plan::LabelType::int32
                                                 : plan::LabelType::int64;
    return targets;
  }

  void require_kept() const {
    if (!plan_.options().keep) throw StateError("values: expected a plan made with keep=True");
  }
  py::array copy_of(const T* data, const plan::Tensor<T>& tensor) const {
    return py::array_t<T>(with_rows(plan_.rows_of_last_run(), tensor.shape), data);
  }

  Plan<T> plan_;
  Shape y_shape_;
  bool takes_labels_ = false;
};

template <class T>
std::unique_ptr<PyPlan> make_plan_of(const PyGraphOf<T>& graph, PlanOptions options,
                                     const py::object& callbacks) {
  plan::Callbacks<T> functions;
  plan::LossCallback<T> loss;
  if (!callbacks.is_none()) {
    for (const auto& [key, value] : py::reinterpret_borrow<py::dict>(callbacks)) {
      const std::string name = key.template cast<std::string>();
      if (name == "loss") {
        loss = loss_callback<T>(py::reinterpret_borrow<py::object>(value),
                                graph.layout().output_shape());
      } else {
        functions[name] = layer_callback<T>(py::reinterpret_borrow<py::sequence>(value));
      }
    }
  }
  const bool wants_function = options.loss && options.loss->op == "callback";
  require(wants_function == static_cast<bool>(loss),
          "loss: expected a function with the loss \"callback\", and only then");
  return std::make_unique<PyPlanOf<T>>(graph, std::move(options), functions, std::move(loss));
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
  if (const auto* single = dynamic_cast<const PyGraphOf<float>*>(&graph)) {
    return make_plan_of(*single, std::move(options), callbacks);
  }
  return make_plan_of(dynamic_cast<const PyGraphOf<double>&>(graph), std::move(options), callbacks);
}

}  // namespace

void add_plan(py::module_& module) {
  module.def("infer", &infer, py::arg("node"), py::arg("input_shapes"));

  py::class_<PyGraph>(module, "Graph")
      .def(py::init(&make_graph), py::arg("nodes"), py::arg("output"), py::arg("dtype"))
      .def_property_readonly("dtype", &PyGraph::dtype)
      .def_property_readonly("input_shape",
                             [](const PyGraph& g) { return shape_tuple(g.layout().input_shape()); })
      .def_property_readonly(
          "output_shape", [](const PyGraph& g) { return shape_tuple(g.layout().output_shape()); })
      .def_property_readonly("num_parameters",
                             [](const PyGraph& g) { return g.layout().parameter_count(); })
      .def("flat", [](const py::object& self) { return self.cast<const PyGraph&>().flat(self); })
      .def("parameters",
           [](const py::object& self) { return self.cast<const PyGraph&>().parameters(self); })
      .def("statistics",
           [](const PyGraph& g) {
             py::list names;
             for (const plan::GraphNode& node : g.layout().nodes()) {
               for (const plan::ParameterSpec& p : node.parameters)
                 if (!p.trains) names.append(node.spec.name + "." + p.name);
             }
             return names;
           })
      .def("shapes", [](const PyGraph& g) {
        py::dict out;
        for (const plan::GraphNode& node : g.layout().nodes())
          out[py::str(node.spec.name)] = shape_tuple(node.shape);
        return out;
      });

  py::class_<PyPlan>(module, "Plan")
      .def(py::init(&make_plan), py::arg("graph"), py::arg("capacity"), py::kw_only(),
           py::arg("loss") = py::none(), py::arg("metrics") = py::tuple(),
           py::arg("optimizer") = py::none(), py::arg("augmentation") = py::none(),
           py::arg("trainable") = py::none(), py::arg("callbacks") = py::none(),
           py::arg("seed") = 0, py::arg("fuse") = true, py::arg("keep") = false)
      .def_property_readonly("capacity", &PyPlan::capacity)
      .def_property_readonly("arena_bytes", &PyPlan::arena_bytes)
      .def_property("iteration", &PyPlan::iteration, &PyPlan::set_iteration)
      .def("predict", &PyPlan::predict, py::arg("x"), py::arg("out") = py::none())
      .def("train_step", &PyPlan::train_step, py::arg("x"), py::arg("y"), py::arg("sample_weight"),
           py::arg("learning_rate"))
      .def("train_batches", &PyPlan::train_batches, py::arg("x"), py::arg("y"),
           py::arg("sample_weight"), py::arg("order"), py::arg("first"), py::arg("batch_size"),
           py::arg("learning_rates"), py::arg("seconds"), py::arg("tally"))
      .def("evaluate", &PyPlan::evaluate, py::arg("x"), py::arg("y"), py::arg("sample_weight"))
      .def("loss_and_gradients", &PyPlan::loss_and_gradients, py::arg("x"), py::arg("y"),
           py::arg("sample_weight"), py::arg("training"))
      .def("gradients", [](const py::object& self) { return self.cast<PyPlan&>().gradients(self); })
      .def("run", &PyPlan::run, py::arg("x"), py::arg("training"))
      .def("values", &PyPlan::values)
      .def("value_gradients", &PyPlan::value_gradients)
      .def("state", [](const py::object& self) { return self.cast<PyPlan&>().state(self); })
      .def("describe", &PyPlan::describe);
}

}  // namespace nnfast::bind
