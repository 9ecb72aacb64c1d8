// Convolution on arrays, over one axis or two.
#include <pybind11/stl.h>

#include "bind/arrays.h"
#include "bind/bind.h"
#include "bind/gil.h"
#include "ops/activation.h"
#include "ops/conv/choose.h"
#include "ops/conv/conv.h"

namespace nnfast::bind {
namespace {

using Sizes = std::vector<int64_t>;

// Window parameters as given by Python: padding is a name or numbers.
struct Sliding {
  Sizes strides, dilation;
  py::object padding;
  int64_t groups;
};

Padding padding_of(const py::object& padding) {
  if (py::isinstance<py::str>(padding)) return {padding.cast<std::string>(), {}};
  return {"", padding.cast<Sizes>()};
}

ConvShape conv_shape(const py::array& x, const py::array& kernel, const Sliding& p) {
  require(x.ndim() == 3 || x.ndim() == 4, "x: expected shape (N, H, W, C) or (N, T, C), got ",
          shape_text(x));
  require(kernel.ndim() == x.ndim(), "kernel: expected as many axes as x, ", x.ndim(), ", got ",
          shape_text(kernel));
  const py::ssize_t axes = x.ndim() - 2;
  const Sizes in(x.shape() + 1, x.shape() + 1 + axes), size(kernel.shape(), kernel.shape() + axes);
  ConvShape s;
  s.window = make_window("conv", in, size, p.strides, p.dilation, padding_of(p.padding));
  require_bounded_padding("conv", s.window);
  s.in_channels = x.shape(axes + 1);
  s.out_channels = kernel.shape(axes + 1);
  s.groups = static_cast<index_t>(p.groups);
  require(s.in_channels > 0 && s.out_channels > 0,
          "conv: expected one channel or more, got x of shape ", shape_text(x),
          " and a kernel of shape ", shape_text(kernel));
  require(p.groups > 0 && s.in_channels % s.groups == 0 && s.out_channels % s.groups == 0,
          "groups: expected a divisor of ", s.in_channels, " channels and ", s.out_channels,
          " filters, got ", p.groups);
  require(kernel.shape(axes) == s.in_channels / s.groups, "kernel: expected ",
          s.in_channels / s.groups, " channels (those of x divided by groups), got ",
          shape_text(kernel));
  return s;
}

std::vector<py::ssize_t> output_shape(const py::array& x, const ConvShape& s) {
  std::vector<py::ssize_t> shape = {x.shape(0)};
  if (x.ndim() == 4) shape.push_back(s.window.h.out);
  shape.push_back(s.window.w.out);
  shape.push_back(s.out_channels);
  return shape;
}

py::array conv_forward_py(const py::object& x_object, const py::object& kernel_object,
                          const py::object& bias_object, const Sizes& strides,
                          const py::object& padding, const Sizes& dilation, int64_t groups,
                          const std::string& activation, double alpha, const py::object& out) {
  const py::array x = contiguous_array(x_object, "x");
  return with_type(x, "x", [&](auto t) {
    using T = decltype(t);
    const py::array kernel = contiguous_array_of<T>(kernel_object, "kernel");
    const ConvShape s = conv_shape(x, kernel, {strides, dilation, padding, groups});
    const ActivationParams p = parse_activation(activation, alpha, "conv");
    require(!works_on_rows(p.kind), "conv: expected an element-wise activation, got '", activation,
            "'; use softmax_forward on the result");
    py::array bias;
    if (!bias_object.is_none()) {
      bias = contiguous_array_of<T>(bias_object, "bias");
      require(bias.ndim() == 1 && bias.shape(0) == s.out_channels, "bias: expected shape (",
              s.out_channels, ",), got ", shape_text(bias));
    }
    py::array y = output_array<T>(out, output_shape(x, s), "out",
                                  {{x, "x"}, {kernel, "kernel"}, {bias, "bias"}});
    T* to = mutable_data_of<T>(y);
    const T* start = bias_object.is_none() ? nullptr : data_of<T>(bias);
    const ReleaseGil release;
    conv_forward(to, data_of<T>(x), data_of<T>(kernel), start, x.shape(0), s, p);
    return y;
  });
}

py::tuple conv_backward_py(const py::object& dy_object, const py::object& x_object,
                           const py::object& kernel_object, const Sizes& strides,
                           const py::object& padding, const Sizes& dilation, int64_t groups,
                           bool input_gradient) {
  const py::array x = contiguous_array(x_object, "x");
  return with_type(x, "x", [&](auto t) {
    using T = decltype(t);
    const py::array kernel = contiguous_array_of<T>(kernel_object, "kernel");
    const py::array dy = contiguous_array_of<T>(dy_object, "dy");
    const ConvShape s = conv_shape(x, kernel, {strides, dilation, padding, groups});
    const std::vector<py::ssize_t> expected = output_shape(x, s);
    require(shape_of(dy) == expected, "dy: expected shape ", shape_text(expected), ", got ",
            shape_text(dy));
    py::array d_kernel = py::array_t<T>(shape_of(kernel));
    py::array d_bias = py::array_t<T>(s.out_channels);
    py::object dx = py::none();
    T* dx_data = nullptr;
    if (input_gradient) {
      py::array made = py::array_t<T>(shape_of(x));
      dx_data = mutable_data_of<T>(made);
      dx = made;
    }
    T* d_kernel_data = mutable_data_of<T>(d_kernel);
    T* d_bias_data = mutable_data_of<T>(d_bias);
    {
      const ReleaseGil release;
      ConvKernelGradient<T> gradient;
      gradient(d_kernel_data, d_bias_data, data_of<T>(x), data_of<T>(dy), x.shape(0), s);
      if (dx_data) {
        conv_input_gradient<T>(dx_data, data_of<T>(dy), data_of<T>(kernel), nullptr, x.shape(0), s,
                               {Activation::identity, 0});
      }
    }
    return py::make_tuple(dx, d_kernel, d_bias);
  });
}

py::dict conv_algorithms_py(const py::object& x_object, const py::object& kernel_object,
                            const Sizes& strides, const py::object& padding, const Sizes& dilation,
                            int64_t groups) {
  const py::array x = contiguous_array(x_object, "x");
  return with_type(x, "x", [&](auto t) {
    using T = decltype(t);
    const py::array kernel = contiguous_array_of<T>(kernel_object, "kernel");
    const ConvShape s = conv_shape(x, kernel, {strides, dilation, padding, groups});
    py::dict out;
    out["forward"] = algorithm_name(choose_forward<T>(s));
    out["input_gradient"] = algorithm_name(choose_input_gradient(s, false));
    out["kernel_gradient"] = algorithm_name(choose_kernel_gradient<T>(s));
    return out;
  });
}

}  // namespace

void add_conv_kernels(py::module_& module) {
  using py::arg;
  module.def("conv_forward", &conv_forward_py, arg("x"), arg("kernel"), arg("bias"), arg("strides"),
             arg("padding"), arg("dilation"), arg("groups"), arg("activation"), arg("alpha"),
             arg("out"));
  module.def("conv_backward", &conv_backward_py, arg("dy"), arg("x"), arg("kernel"), arg("strides"),
             arg("padding"), arg("dilation"), arg("groups"), arg("input_gradient"));
  module.def("conv_algorithms", &conv_algorithms_py, arg("x"), arg("kernel"), arg("strides"),
             arg("padding"), arg("dilation"), arg("groups"));
}

}  // namespace nnfast::bind
