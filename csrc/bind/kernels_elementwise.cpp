// Element-wise functions as functions on arrays.
#include "base/thread_pool.h"
#include "bind/arrays.h"
#include "bind/bind.h"
#include "bind/gil.h"
#include "kernels/select.h"
#include "ops/tensor/elementwise.h"

namespace nnfast::bind {
namespace {

Unary unary_named(const std::string& name, const char* where) {
  const auto f = find_unary(name);
  require(f.has_value(), where, ": expected one of ", join_names(unary_names()), "; got '", name,
          "'");
  return *f;
}

Binary binary_named(const std::string& name, const char* where) {
  const auto f = find_binary(name);
  require(f.has_value(), where, ": expected one of ", join_names(binary_names()), "; got '", name,
          "'");
  return *f;
}

// Calls body(begin, count) for pieces of n elements on all threads, without the GIL.
template <class Body>
void in_pieces(index_t n, double cost, const Body& body) {
  const ReleaseGil release;
  parallel_ranges(n, 64, static_cast<double>(n) * cost,
                  [&](index_t begin, index_t end) { body(begin, end - begin); });
}

py::array unary_forward(const std::string& name, const py::object& x_object,
                        const py::object& out) {
  const Unary f = unary_named(name, "unary_forward");
  const py::array x = contiguous_array(x_object, "x");
  return with_type(x, "x", [&](auto t) {
    using T = decltype(t);
    py::array y = output_array<T>(out, shape_of(x), "out", {{x, "x", Sharing::whole}});
    T* to = mutable_data_of<T>(y);
    const T* from = data_of<T>(x);
    in_pieces(x.size(), cost_of(f),
              [=](index_t i, index_t n) { kernels<T>().unary(to + i, from + i, n, f); });
    return y;
  });
}

py::array unary_backward(const std::string& name, const py::object& dy_object,
                         const py::object& x_object, const py::object& y_object,
                         const py::object& out) {
  const Unary f = unary_named(name, "unary_backward");
  const py::array dy = contiguous_array(dy_object, "dy");
  return with_type(dy, "dy", [&](auto t) {
    using T = decltype(t);
    const py::array x = contiguous_array_of<T>(x_object, "x"),
                    y = contiguous_array_of<T>(y_object, "y");
    require_like(x, dy, "x", "dy");
    require_like(y, dy, "y", "dy");
    py::array dx =
        output_array<T>(out, shape_of(dy), "out", {{dy, "dy", Sharing::whole}, {x, "x"}, {y, "y"}});
    T* to = mutable_data_of<T>(dx);
    const T *gradient = data_of<T>(dy), *input = data_of<T>(x), *output = data_of<T>(y);
    in_pieces(dy.size(), cost_of(f), [=](index_t i, index_t n) {
      kernels<T>().unary_backward(to + i, gradient + i, input + i, output + i, n, f);
    });
    return dx;
  });
}

py::array binary_forward(const std::string& name, const py::object& a_object,
                         const py::object& b_object, const py::object& out) {
  const Binary f = binary_named(name, "binary_forward");
  const py::array a = contiguous_array(a_object, "a");
  return with_type(a, "a", [&](auto t) {
    using T = decltype(t);
    const py::array b = contiguous_array_of<T>(b_object, "b");
    require_like(b, a, "b", "a");
    py::array y = output_array<T>(out, shape_of(a), "out",
                                  {{a, "a", Sharing::whole}, {b, "b", Sharing::whole}});
    T* to = mutable_data_of<T>(y);
    const T *left = data_of<T>(a), *right = data_of<T>(b);
    in_pieces(a.size(), cost_of(f), [=](index_t i, index_t n) {
      kernels<T>().binary(to + i, left + i, right + i, n, f);
    });
    return y;
  });
}

// The gradients of two inputs, in new arrays or those of `out`, a pair or None.
struct TwoOutputs {
  py::array a, b;

  template <class T>
  static TwoOutputs like(const py::array& dy, const py::object& out,
                         std::initializer_list<Input> inputs) {
    if (out.is_none()) return {new_array<T>(shape_of(dy), "da"), new_array<T>(shape_of(dy), "db")};
    if (!py::isinstance<py::tuple>(out) || py::len(out) != 2)
      throw py::type_error("out: expected a pair of arrays (da, db), got " +
                           std::string(py::str(py::type::of(out))));
    const py::tuple pair = out;
    TwoOutputs outputs{output_array<T>(pair[0], shape_of(dy), "da", inputs),
                       output_array<T>(pair[1], shape_of(dy), "db", inputs)};
    require_apart(outputs.b, "db", {{outputs.a, "da"}});
    return outputs;
  }
};

py::tuple binary_backward(const std::string& name, const py::object& dy_object,
                          const py::object& a_object, const py::object& b_object,
                          const py::object& y_object, const py::object& out) {
  const Binary f = binary_named(name, "binary_backward");
  const py::array dy = contiguous_array(dy_object, "dy");
  return with_type(dy, "dy", [&](auto t) {
    using T = decltype(t);
    const py::array a = contiguous_array_of<T>(a_object, "a"),
                    b = contiguous_array_of<T>(b_object, "b"),
                    y = contiguous_array_of<T>(y_object, "y");
    require_like(a, dy, "a", "dy");
    require_like(b, dy, "b", "dy");
    require_like(y, dy, "y", "dy");
    TwoOutputs outputs =
        TwoOutputs::like<T>(dy, out, {{dy, "dy", Sharing::whole}, {a, "a"}, {b, "b"}, {y, "y"}});
    T *da = mutable_data_of<T>(outputs.a), *db = mutable_data_of<T>(outputs.b);
    const T *gradient = data_of<T>(dy), *left = data_of<T>(a), *right = data_of<T>(b),
            *output = data_of<T>(y);
    in_pieces(dy.size(), 2 * cost_of(f), [=](index_t i, index_t n) {
      kernels<T>().binary_backward(da + i, db + i, gradient + i, left + i, right + i, output + i, n,
                                   f);
    });
    return py::make_tuple(outputs.a, outputs.b);
  });
}

py::array where_forward(const py::object& condition_object, const py::object& a_object,
                        const py::object& b_object, const py::object& out) {
  const py::array a = contiguous_array(a_object, "a");
  return with_type(a, "a", [&](auto t) {
    using T = decltype(t);
    const py::array condition = contiguous_array_of<T>(condition_object, "condition"),
                    b = contiguous_array_of<T>(b_object, "b");
    require_like(condition, a, "condition", "a");
    require_like(b, a, "b", "a");
    py::array y = output_array<T>(out, shape_of(a), "out",
                                  {{condition, "condition", Sharing::whole},
                                   {a, "a", Sharing::whole},
                                   {b, "b", Sharing::whole}});
    T* to = mutable_data_of<T>(y);
    const T *choice = data_of<T>(condition), *left = data_of<T>(a), *right = data_of<T>(b);
    in_pieces(a.size(), 0.1, [=](index_t i, index_t n) {
      kernels<T>().where(to + i, choice + i, left + i, right + i, n);
    });
    return y;
  });
}

py::tuple where_backward(const py::object& dy_object, const py::object& condition_object,
                         const py::object& out) {
  const py::array dy = contiguous_array(dy_object, "dy");
  return with_type(dy, "dy", [&](auto t) {
    using T = decltype(t);
    const py::array condition = contiguous_array_of<T>(condition_object, "condition");
    require_like(condition, dy, "condition", "dy");
    TwoOutputs outputs =
        TwoOutputs::like<T>(dy, out, {{dy, "dy", Sharing::whole}, {condition, "condition"}});
    T *da = mutable_data_of<T>(outputs.a), *db = mutable_data_of<T>(outputs.b);
    const T *gradient = data_of<T>(dy), *choice = data_of<T>(condition);
    in_pieces(dy.size(), 0.1, [=](index_t i, index_t n) {
      kernels<T>().where_backward(da + i, db + i, gradient + i, choice + i, n);
    });
    return py::make_tuple(outputs.a, outputs.b);
  });
}

}  // namespace

void add_elementwise_kernels(py::module_& module) {
  using py::arg;
  module.def("unary_names", &unary_names);
  module.def("binary_names", &binary_names);
  module.def("unary_forward", &unary_forward, arg("name"), arg("x"), arg("out"));
  module.def("unary_backward", &unary_backward, arg("name"), arg("dy"), arg("x"), arg("y"),
             arg("out"));
  module.def("binary_forward", &binary_forward, arg("name"), arg("a"), arg("b"), arg("out"));
  module.def("binary_backward", &binary_backward, arg("name"), arg("dy"), arg("a"), arg("b"),
             arg("y"), arg("out"));
  module.def("where_forward", &where_forward, arg("condition"), arg("a"), arg("b"), arg("out"));
  module.def("where_backward", &where_backward, arg("dy"), arg("condition"), arg("out"));
}

}  // namespace nnfast::bind
