// An optimizer step on arrays.
#include <cfloat>
#include <cmath>

#include "bind/arrays.h"
#include "bind/bind.h"
#include "bind/spec.h"
#include "ops/update.h"
#include "plan/train/update_rule.h"

namespace nnfast::bind {
namespace {

py::array writable_like(const py::object& object, const py::array& like, const char* where) {
  py::array array = contiguous_array(object, where);
  require(array.writeable(), where, ": expected a writable array, got a read-only one");
  if (dtype_text(array) != dtype_text(like)) {
    throw py::type_error(text(where, ": expected ", dtype_text(like), " like the gradients, got ",
                              dtype_text(array)));
  }
  require_like(array, like, where, "gradients");
  return array;
}

// Error for a number out of range; NaN is always out of range.
void require_number(bool in_range, const char* where, const char* wanted, double got) {
  require(in_range && std::isfinite(got), where, ": expected ", wanted, ", got ", got);
}

void sgd(const py::object& parameters, const py::object& gradients, const py::object& velocity,
         double learning_rate, double momentum, bool nesterov) {
  const py::array g = contiguous_array(gradients, "gradients");
  require_number(learning_rate >= 0, "sgd_update", "a finite learning_rate >= 0", learning_rate);
  require_number(momentum >= 0 && momentum < 1, "sgd_update", "0 <= momentum < 1", momentum);
  require(momentum == 0 || !velocity.is_none(),
          "sgd_update: expected a velocity with momentum, got none");
  with_type(g, "gradients", [&](auto t) {
    using T = decltype(t);
    py::array p = writable_like(parameters, g, "parameters");
    py::array v;
    if (!velocity.is_none()) v = writable_like(velocity, g, "velocity");
    require_apart(p, "parameters", {{g, "gradients"}});
    require_apart(v, "velocity", {{g, "gradients"}, {p, "parameters"}});
    sgd_update(mutable_data_of<T>(p), velocity.is_none() ? nullptr : mutable_data_of<T>(v),
               data_of<T>(g), g.size(), {learning_rate, momentum, nesterov});
  });
}

void adam(const py::object& parameters, const py::object& gradients, const py::object& m_object,
          const py::object& v_object, double learning_rate, double beta_1, double beta_2,
          double epsilon, uint64_t step) {
  const py::array g = contiguous_array(gradients, "gradients");
  require(step >= 1, "adam_update: expected a step of 1 or more, got 0");
  require_number(learning_rate >= 0, "adam_update", "a finite learning_rate >= 0", learning_rate);
  require_number(beta_1 >= 0 && beta_1 < 1, "adam_update", "0 <= beta_1 < 1", beta_1);
  require_number(beta_2 >= 0 && beta_2 < 1, "adam_update", "0 <= beta_2 < 1", beta_2);
  // A normal number in float32 too: otherwise 0 / 0 for gradients of 0.
  require_number(epsilon >= FLT_MIN, "adam_update", "a finite epsilon >= 2^-126", epsilon);
  with_type(g, "gradients", [&](auto t) {
    using T = decltype(t);
    py::array p = writable_like(parameters, g, "parameters"), m = writable_like(m_object, g, "m"),
              v = writable_like(v_object, g, "v");
    require_apart(p, "parameters", {{g, "gradients"}});
    require_apart(m, "m", {{g, "gradients"}, {p, "parameters"}});
    require_apart(v, "v", {{g, "gradients"}, {p, "parameters"}, {m, "m"}});
    adam_update<T>(mutable_data_of<T>(p), mutable_data_of<T>(m), mutable_data_of<T>(v), nullptr,
                   data_of<T>(g), g.size(), learning_rate, beta_1, beta_2, epsilon, step);
  });
}

// Any optimizer, described as for a plan; state: its vectors by name.
void optimizer_update(const py::dict& optimizer, const py::object& parameters,
                      const py::object& gradients, const py::dict& state, double learning_rate,
                      uint64_t step) {
  const plan::NodeSpec spec = node_of(optimizer);
  const py::array g = contiguous_array(gradients, "gradients");
  with_type(g, "gradients", [&](auto t) {
    using T = decltype(t);
    const auto rule = plan::make_update_rule<T>(spec);
    if (rule->searches()) rule->update({}, learning_rate);  // which raises an error
    plan::Parameter<T> parameter;
    parameter.name = "parameters";
    parameter.shape.assign(g.shape(), g.shape() + g.ndim());
    parameter.size = g.size();
    rule->prepare({&parameter});
    py::array p = writable_like(parameters, g, "parameters");
    require_apart(p, "parameters", {{g, "gradients"}});
    const std::vector<plan::StateVector> vectors = rule->state();
    const std::string wanted = join_names(vectors);
    std::vector<py::array> arrays;
    T* pointers[plan::kMaxStateVectors];
    for (const plan::StateVector& each : vectors) {
      require(state.contains(each.name), "state: expected the vectors ", wanted, ", got no ",
              each.name);
      py::array array = writable_like(state[each.name], g, each.name);
      require_apart(array, each.name, {{g, "gradients"}, {p, "parameters"}});
      for (size_t i = 0; i < arrays.size(); ++i)
        require_apart(array, each.name, {{arrays[i], vectors[i].name}});
      pointers[arrays.size()] = mutable_data_of<T>(array);
      arrays.push_back(std::move(array));
    }
    require(state.size() == vectors.size(), "state: expected ",
            wanted.empty() ? "no vectors" : "no vectors but " + wanted, ", got ", state.size());
    rule->update({mutable_data_of<T>(p), data_of<T>(g), pointers, g.size(), step, &parameter},
                 learning_rate);
  });
}

}  // namespace

void add_update_kernels(py::module_& module) {
  using py::arg;
  module.def("sgd_update", &sgd, arg("parameters"), arg("gradients"), arg("velocity"),
             arg("learning_rate"), arg("momentum"), arg("nesterov"));
  module.def("adam_update", &adam, arg("parameters"), arg("gradients"), arg("m"), arg("v"),
             arg("learning_rate"), arg("beta_1"), arg("beta_2"), arg("epsilon"), arg("step"));
  module.def("optimizer_update", &optimizer_update, arg("optimizer"), arg("parameters"),
             arg("gradients"), arg("state"), arg("learning_rate"), arg("step"));
}

}  // namespace nnfast::bind
