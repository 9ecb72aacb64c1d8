// Time steps of recurrent cells on arrays.
#include <algorithm>

#include "bind/arrays.h"
#include "bind/bind.h"
#include "bind/gil.h"
#include "kernels/select.h"

namespace nnfast::bind {
namespace {

// The rows and units of an array of states.
struct StepShape {
  index_t rows, units;
  std::vector<py::ssize_t> of(index_t gates) const { return {rows, gates * units}; }
};

StepShape states_shape(const py::array& states, const char* where) {
  require(states.ndim() == 2, where, ": expected shape (N, U), got ", shape_text(states));
  return {states.shape(0), states.shape(1)};
}

// A copy for a kernel that works in place.
template <class T>
py::array_t<T> copy_of(const py::object& object, const std::vector<py::ssize_t>& shape,
                       const char* where) {
  const py::array array = array_with_shape<T>(object, shape, where);
  py::array_t<T> copy(shape);
  std::copy_n(data_of<T>(array), array.size(), copy.mutable_data());
  return copy;
}

py::tuple lstm_step_forward_py(const py::object& z, const py::object& object) {
  const py::array c_before = contiguous_array(object, "c");
  return with_type(c_before, "c", [&](auto t) -> py::tuple {
    using T = decltype(t);
    const StepShape s = states_shape(c_before, "c");
    py::array_t<T> gates = copy_of<T>(z, s.of(4), "z"), h(s.of(1)), c(s.of(1));
    const LstmStep<T> p{gates.mutable_data(),
                        data_of<T>(c_before),
                        c.mutable_data(),
                        h.mutable_data(),
                        nullptr,
                        0,
                        s.rows,
                        s.units};
    {
      const ReleaseGil release;
      kernels<T>().lstm_step_forward(p);
    }
    return py::make_tuple(h, c, gates);
  });
}

py::tuple lstm_step_backward_py(const py::object& dh, const py::object& dc, const py::object& gates,
                                const py::object& before, const py::object& object) {
  const py::array c = contiguous_array(object, "c");
  return with_type(c, "c", [&](auto t) -> py::tuple {
    using T = decltype(t);
    const StepShape s = states_shape(c, "c");
    const py::array c_before = array_with_shape<T>(before, s.of(1), "c_before");
    py::array_t<T> dz = copy_of<T>(gates, s.of(4), "gates"), d = copy_of<T>(dh, s.of(1), "dh");
    py::array_t<T> d_state = copy_of<T>(dc, s.of(1), "dc");
    const LstmStepGradient<T> p{dz.mutable_data(),
                                data_of<T>(c_before),
                                data_of<T>(c),
                                d.mutable_data(),
                                d_state.mutable_data(),
                                nullptr,
                                0,
                                s.rows,
                                s.units};
    {
      const ReleaseGil release;
      kernels<T>().lstm_step_backward(p);
    }
    return py::make_tuple(dz, d_state);
  });
}

py::tuple gru_step_forward_py(const py::object& z, const py::object& object,
                              const py::object& recurrent) {
  const py::array h_before = contiguous_array(object, "h");
  return with_type(h_before, "h", [&](auto t) -> py::tuple {
    using T = decltype(t);
    const StepShape s = states_shape(h_before, "h");
    py::array product;
    if (!recurrent.is_none()) product = array_with_shape<T>(recurrent, s.of(1), "recurrent");
    py::array_t<T> gates = copy_of<T>(z, s.of(3), "z"), h(s.of(1));
    const GruStep<T> p{gates.mutable_data(),
                       recurrent.is_none() ? nullptr : data_of<T>(product),
                       data_of<T>(h_before),
                       h.mutable_data(),
                       nullptr,
                       0,
                       s.rows,
                       s.units};
    {
      const ReleaseGil release;
      kernels<T>().gru_step_forward(p);
    }
    return py::make_tuple(h, gates);
  });
}

py::tuple gru_step_backward_py(const py::object& dh, const py::object& gates,
                               const py::object& object, const py::object& recurrent) {
  const py::array h_before = contiguous_array(object, "h");
  return with_type(h_before, "h", [&](auto t) -> py::tuple {
    using T = decltype(t);
    const StepShape s = states_shape(h_before, "h");
    py::array_t<T> dz = copy_of<T>(gates, s.of(3), "gates"), d = copy_of<T>(dh, s.of(1), "dh");
    py::object product = py::none();
    T* to = nullptr;
    if (!recurrent.is_none()) {
      py::array_t<T> copy = copy_of<T>(recurrent, s.of(1), "recurrent");
      to = copy.mutable_data();
      product = copy;
    }
    const GruStepGradient<T> p{
        dz.mutable_data(), to, data_of<T>(h_before), d.mutable_data(), nullptr, 0, s.rows, s.units};
    {
      const ReleaseGil release;
      kernels<T>().gru_step_backward(p);
    }
    return py::make_tuple(dz, d, product);
  });
}

py::tuple gru_reset_forward_py(const py::object& z, const py::object& object) {
  const py::array h = contiguous_array(object, "h");
  return with_type(h, "h", [&](auto t) -> py::tuple {
    using T = decltype(t);
    const StepShape s = states_shape(h, "h");
    py::array_t<T> gates = copy_of<T>(z, s.of(3), "z"), reset(s.of(1));
    T *of_gates = gates.mutable_data(), *to = reset.mutable_data();
    {
      const ReleaseGil release;
      kernels<T>().gru_reset_forward(to, of_gates, data_of<T>(h), s.rows, s.units);
    }
    return py::make_tuple(reset, gates);
  });
}

py::tuple gru_reset_backward_py(const py::object& d_reset, const py::object& gates,
                                const py::object& object) {
  const py::array h = contiguous_array(object, "h");
  return with_type(h, "h", [&](auto t) -> py::tuple {
    using T = decltype(t);
    const StepShape s = states_shape(h, "h");
    py::array_t<T> dz = copy_of<T>(gates, s.of(3), "gates");
    py::array_t<T> d = copy_of<T>(d_reset, s.of(1), "d_reset");
    T *of_gates = dz.mutable_data(), *to = d.mutable_data();
    {
      const ReleaseGil release;
      kernels<T>().gru_reset_backward(to, of_gates, data_of<T>(h), s.rows, s.units);
    }
    return py::make_tuple(d, dz);
  });
}

}  // namespace

void add_recurrent_kernels(py::module_& module) {
  using py::arg;
  module.def("lstm_step_forward", &lstm_step_forward_py, arg("z"), arg("c"));
  module.def("lstm_step_backward", &lstm_step_backward_py, arg("dh"), arg("dc"), arg("gates"),
             arg("c_before"), arg("c"));
  module.def("gru_step_forward", &gru_step_forward_py, arg("z"), arg("h"), arg("recurrent"));
  module.def("gru_step_backward", &gru_step_backward_py, arg("dh"), arg("gates"), arg("h"),
             arg("recurrent"));
  module.def("gru_reset_forward", &gru_reset_forward_py, arg("z"), arg("h"));
  module.def("gru_reset_backward", &gru_reset_backward_py, arg("d_reset"), arg("gates"), arg("h"));
}

}  // namespace nnfast::bind
