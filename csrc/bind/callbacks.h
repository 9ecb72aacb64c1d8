// User-defined layers and losses, called from the core.
#pragma once

#include "bind/gil.h"
#include "bind/graph.h"
#include "bind/results.h"
#include "plan/row_expression.h"

namespace nnfast::bind {

template <class T>
py::array tensor_view(T* data, const plan::Tensor<T>& tensor, index_t rows) {
  return view_of(data, with_rows(rows, tensor.shape), py::none());
}

// A read-only array for user functions: it may be the caller's own data.
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

// What a user's function gets for the outputs: of(i) alone for a single one, else a list.
template <class T, class Of>
py::object for_outputs(const plan::CallbackCall<T>& call, const Of& of) {
  if (call.outputs.size() == 1) return of(size_t(0));
  py::list all;
  for (size_t i = 0; i < call.outputs.size(); ++i) all.append(of(i));
  return std::move(all);
}

// The gradient of an output that nothing reads.
template <class T>
py::array zeros(std::vector<py::ssize_t> shape) {
  py::array_t<T> array(std::move(shape));
  std::fill_n(array.mutable_data(), array.size(), T(0));
  return std::move(array);
}

template <class T>
void call_forward(const py::object& forward, const plan::CallbackCall<T>& call) {
  const AcquireGil acquire;
  const index_t rows = call.run->rows;
  py::list inputs;
  for (const plan::Tensor<T>* t : call.inputs) inputs.append(tensor_to_read(*t, rows));
  Results<T> results(call.outputs[0]->name + ".forward");
  const py::object outputs = for_outputs(call, [&](size_t i) -> py::object {
    const plan::Tensor<T>& output = *call.outputs[i];
    const py::array view = tensor_view(output.value, output, rows);
    results.expect(call.outputs.size() == 1 ? "output" : text("output[", i, "]"), view);
    return view;
  });
  results.check(call_user(
      forward,
      py::make_tuple(inputs, outputs, named_views(call.parameters, false), call.run->training)));
}

template <class T>
void call_backward(const py::object& backward, const plan::CallbackCall<T>& call) {
  const AcquireGil acquire;
  const index_t rows = call.run->rows;
  py::list inputs, d_inputs;
  Results<T> results(call.outputs[0]->name + ".backward");
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    inputs.append(tensor_to_read(*call.inputs[i], rows));
    // A gradient that is not needed still gets memory to be written to.
    if (call.d_inputs[i]) {
      const py::array d_input = tensor_view(call.d_inputs[i], *call.inputs[i], rows);
      results.expect("d_inputs[" + std::to_string(i) + "]", d_input);
      d_inputs.append(d_input);
    } else {
      d_inputs.append(py::array_t<T>(with_rows(rows, call.inputs[i]->shape)));
    }
  }
  const py::dict d_parameters = named_views(call.parameters, true);
  results.expect_sums(d_parameters);
  const py::object d_outputs = for_outputs(call, [&](size_t i) -> py::object {
    const plan::Tensor<T>& output = *call.outputs[i];
    if (!call.d_outputs[i]) return zeros<T>(with_rows(rows, output.shape));
    return tensor_view(call.d_outputs[i], output, rows);
  });
  const py::object outputs = for_outputs(
      call, [&](size_t i) -> py::object { return tensor_to_read(*call.outputs[i], rows); });
  results.check(
      call_user(backward, py::make_tuple(d_outputs, d_inputs, inputs, outputs,
                                         named_views(call.parameters, false), d_parameters)));
}

template <class T>
plan::Callback<T> layer_callback(const py::sequence& functions) {
  const py::object forward = functions[0], backward = functions[1];
  plan::Callback<T> callback;
  callback.forward = [forward](const plan::CallbackCall<T>& call) { call_forward(forward, call); };
  callback.backward = [backward](const plan::CallbackCall<T>& call) {
    call_backward(backward, call);
  };
  return callback;
}

template <class T>
plan::LossCallback<T> loss_callback(const py::object& function, const plan::Shape& output_shape) {
  return [function, output_shape](const LossInputs<T>& in, T* value, T* d_prediction) {
    const AcquireGil acquire;
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
    call_user(function, py::make_tuple(target, read_only_view(in.prediction, shape),
                                       view_of(value, {in.rows}, py::none()), gradient));
  };
}

// A user's function of a dict of gradients by name, which it changes in place. They are copies: it may keep them.
template <class T>
plan::GradientCallback<T> gradient_callback(const py::object& function) {
  return [function](const std::vector<plan::Parameter<T>*>& parameters) {
    const AcquireGil acquire;
    py::dict gradients;
    std::vector<py::array_t<T>> copies;
    for (const plan::Parameter<T>* p : parameters) {
      copies.emplace_back(std::vector<py::ssize_t>(p->shape.begin(), p->shape.end()), p->gradient);
      gradients[py::str(p->name)] = copies.back();
    }
    call_user(function, py::make_tuple(gradients));
    for (size_t i = 0; i < parameters.size(); ++i) {
      const plan::Parameter<T>& p = *parameters[i];
      std::memcpy(p.gradient, copies[i].data(), sizeof(T) * static_cast<size_t>(p.size));
    }
  };
}

// From a graph and the targets that it reads.
template <class T>
plan::RowExpression<T> row_expression(const py::handle& pair, index_t capacity) {
  const py::sequence items = py::reinterpret_borrow<py::sequence>(pair);
  const auto* graph = dynamic_cast<const PyGraphOf<T>*>(&items[0].cast<const PyGraph&>());
  require(graph != nullptr, "expression: expected a graph of the network's dtype");
  return plan::make_row_expression<T>(graph->graph, items[1].cast<std::vector<size_t>>(), capacity);
}

// From a dict of what there is of "layers" (pairs of functions by name), "losses" (by the name of the output),
// "expressions" (likewise: that of the "loss", or None, and those of "metrics") and "gradients" (one function).
template <class T>
plan::UserFunctions<T> user_functions(const py::dict& given, const plan::GraphLayout& layout,
                                      index_t capacity) {
  plan::UserFunctions<T> functions;
  const auto each = [&given](const char* kind, const auto& use) {
    if (!given.contains(kind)) return;
    for (const auto& [name, value] : py::reinterpret_borrow<py::dict>(given[kind]))
      use(name.template cast<std::string>(), py::reinterpret_borrow<py::object>(value));
  };
  each("layers", [&functions](const std::string& name, const py::object& pair) {
    functions.layers[name] = layer_callback<T>(py::reinterpret_borrow<py::sequence>(pair));
  });
  each("losses", [&functions, &layout](const std::string& name, const py::object& function) {
    for (size_t i = 0; i < layout.outputs().size(); ++i) {
      if (layout.output_name(i) == name)
        functions.losses[name] = loss_callback<T>(function, layout.output_shape(i));
    }
  });
  each("expressions", [&](const std::string& name, const py::object& of_head) {
    plan::HeadExpressions<T>& expressions = functions.expressions[name];
    const py::dict given_here = py::reinterpret_borrow<py::dict>(of_head);
    const py::object loss = given_here["loss"];
    if (!loss.is_none()) expressions.loss = row_expression<T>(loss, capacity);
    for (const auto& metric : given_here["metrics"])
      expressions.metrics.push_back(row_expression<T>(metric, capacity));
  });
  if (given.contains("gradients"))
    functions.gradients = gradient_callback<T>(py::object(given["gradients"]));
  return functions;
}

}  // namespace nnfast::bind
