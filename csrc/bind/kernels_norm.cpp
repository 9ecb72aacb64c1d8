// Normalization on arrays.
#include <cmath>

#include "base/aligned.h"
#include "bind/arrays.h"
#include "bind/bind.h"
#include "bind/gil.h"
#include "ops/norm/norm.h"

namespace nnfast::bind {
namespace {

// x (..., C) and its parameters, checked.
template <class T>
struct Normalized {
  Normalization<T> p;
  py::array x, gamma, beta, dy;
  const T* data() const { return data_of<T>(x); }
  std::vector<py::ssize_t> channels() const { return {p.n}; }
};

template <class T>
py::array vector_of(const py::object& object, index_t n, const char* where) {
  py::array vector = contiguous_array_of<T>(object, where);
  require(vector.ndim() == 1 && vector.shape(0) == n, where, ": expected shape (", n, ",), got ",
          shape_text(vector));
  return vector;
}

template <class T>
Normalized<T> normalized(const py::array& x, const py::object& gamma, const py::object& beta,
                         double epsilon) {
  require(x.ndim() >= 2 && x.size() > 0,
          "x: expected shape (N, ..., C) with one element or more, got ", shape_text(x));
  require(std::isfinite(epsilon) && epsilon > 0, "epsilon: expected a finite number above 0, got ",
          epsilon);
  Normalized<T> out;
  out.x = x;
  out.p.n = x.shape(x.ndim() - 1);
  out.p.rows = x.size() / out.p.n;
  out.p.epsilon = epsilon;
  if (!gamma.is_none()) {
    out.gamma = vector_of<T>(gamma, out.p.n, "gamma");
    out.p.gamma = data_of<T>(out.gamma);
  }
  if (!beta.is_none()) {
    out.beta = vector_of<T>(beta, out.p.n, "beta");
    out.p.beta = data_of<T>(out.beta);
  }
  return out;
}

template <class T>
const T* gradient_like(Normalized<T>& in, const py::object& dy) {
  in.dy = contiguous_array_of<T>(dy, "dy");
  require(shape_of(in.dy) == shape_of(in.x), "dy: expected the shape of x, ", shape_text(in.x),
          ", got ", shape_text(in.dy));
  return data_of<T>(in.dy);
}

template <class T>
py::array output_like_x(const Normalized<T>& in, const py::object& out) {
  return output_array<T>(out, shape_of(in.x), "out",
                         {{in.x, "x", Sharing::whole}, {in.gamma, "gamma"}, {in.beta, "beta"}});
}

bool is_relu(const std::string& activation) {
  require(activation == "identity" || activation == "relu",
          "activation: expected identity or relu, got '", activation, "'");
  return activation == "relu";
}

// Mean and variance in float64: given ones, or those of x.
template <class T>
AlignedBuffer<double> statistics_of(const Normalized<T>& in, const py::object& mean,
                                    const py::object& variance) {
  require(mean.is_none() == variance.is_none(),
          "variance: expected mean and variance or neither of them, got one");
  const index_t n = in.p.n;
  AlignedBuffer<double> numbers(2 * static_cast<size_t>(n));
  if (mean.is_none()) {
    const ReleaseGil release;
    batch_statistics(numbers.data(), numbers.data() + n, in.data(), in.p.rows, n);
    return numbers;
  }
  const py::array means = vector_of<T>(mean, n, "mean");
  const py::array variances = vector_of<T>(variance, n, "variance");
  for (index_t c = 0; c < n; ++c) {
    numbers.data()[c] = static_cast<double>(data_of<T>(means)[c]);
    numbers.data()[n + c] = static_cast<double>(data_of<T>(variances)[c]);
    require(numbers.data()[n + c] >= 0, "variance: expected numbers of 0 or more, got ",
            numbers.data()[n + c]);
  }
  return numbers;
}

template <class T>
py::array rounded(const double* numbers, index_t n) {
  py::array_t<T> out(n);
  for (index_t i = 0; i < n; ++i) out.mutable_data()[i] = static_cast<T>(numbers[i]);
  return std::move(out);
}

py::tuple batch_norm_forward_py(const py::object& object, const py::object& gamma,
                                const py::object& beta, const py::object& mean,
                                const py::object& variance, double epsilon,
                                const std::string& activation, const py::object& out) {
  const py::array x = contiguous_array(object, "x");
  return with_type(x, "x", [&](auto t) {
    using T = decltype(t);
    Normalized<T> in = normalized<T>(x, gamma, beta, epsilon);
    in.p.relu = is_relu(activation);
    py::array y = output_like_x(in, out);
    const AlignedBuffer<double> numbers = statistics_of(in, mean, variance);
    const double* variances = numbers.data() + in.p.n;
    T* to = mutable_data_of<T>(y);
    {
      const ReleaseGil release;
      batch_norm_forward(to, in.data(), numbers.data(), variances, in.p);
    }
    return py::make_tuple(y, rounded<T>(numbers.data(), in.p.n), rounded<T>(variances, in.p.n));
  });
}

// Calls backward(gradients, dy): dx, into `given` or a new array, d_gamma, d_beta.
template <class T, class Backward>
py::tuple gradients_of(Normalized<T>& in, const py::object& dy, const py::object& given,
                       const Backward& backward) {
  const T* from = gradient_like(in, dy);
  py::array dx = output_array<T>(
      given, shape_of(in.x), "out",
      {{in.x, "x"}, {in.dy, "dy", Sharing::whole}, {in.gamma, "gamma"}, {in.beta, "beta"}});
  py::array_t<T> d_gamma(in.p.n), d_beta(in.p.n);
  const NormalizationGradients<T> out{mutable_data_of<T>(dx), d_gamma.mutable_data(),
                                      d_beta.mutable_data()};
  {
    const ReleaseGil release;
    backward(out, from);
  }
  return py::make_tuple(dx, d_gamma, d_beta);
}

py::tuple batch_norm_backward_py(const py::object& dy, const py::object& object,
                                 const py::object& gamma, const py::object& beta,
                                 const py::object& mean, const py::object& variance, double epsilon,
                                 const std::string& activation, bool constant,
                                 const py::object& given) {
  const py::array x = contiguous_array(object, "x");
  return with_type(x, "x", [&](auto t) {
    using T = decltype(t);
    Normalized<T> in = normalized<T>(x, gamma, beta, epsilon);
    in.p.relu = is_relu(activation);
    const AlignedBuffer<double> numbers = statistics_of(in, mean, variance);
    return gradients_of(in, dy, given, [&](const NormalizationGradients<T>& out, const T* from) {
      batch_norm_backward(out, from, in.data(), numbers.data(), numbers.data() + in.p.n,
                          constant && !mean.is_none(), in.p);
    });
  });
}

py::array layer_norm_forward_py(const py::object& object, const py::object& gamma,
                                const py::object& beta, double epsilon, const py::object& out) {
  const py::array x = contiguous_array(object, "x");
  return with_type(x, "x", [&](auto t) {
    using T = decltype(t);
    const Normalized<T> in = normalized<T>(x, gamma, beta, epsilon);
    py::array y = output_like_x(in, out);
    T* to = mutable_data_of<T>(y);
    const ReleaseGil release;
    layer_norm_forward(to, in.data(), in.p);
    return y;
  });
}

py::tuple layer_norm_backward_py(const py::object& dy, const py::object& object,
                                 const py::object& gamma, double epsilon) {
  const py::array x = contiguous_array(object, "x");
  return with_type(x, "x", [&](auto t) {
    using T = decltype(t);
    Normalized<T> in = normalized<T>(x, gamma, py::none(), epsilon);
    return gradients_of(in, dy, py::none(),
                        [&](const NormalizationGradients<T>& out, const T* from) {
                          layer_norm_backward(out, from, in.data(), in.p);
                        });
  });
}

py::array rms_norm_forward_py(const py::object& object, const py::object& gamma, double epsilon,
                              const py::object& out) {
  const py::array x = contiguous_array(object, "x");
  return with_type(x, "x", [&](auto t) {
    using T = decltype(t);
    const Normalized<T> in = normalized<T>(x, gamma, py::none(), epsilon);
    py::array y = output_like_x(in, out);
    T* to = mutable_data_of<T>(y);
    const ReleaseGil release;
    rms_norm_forward(to, in.data(), in.p);
    return y;
  });
}

py::tuple rms_norm_backward_py(const py::object& dy, const py::object& object,
                               const py::object& gamma, double epsilon) {
  const py::array x = contiguous_array(object, "x");
  return with_type(x, "x", [&](auto t) {
    using T = decltype(t);
    Normalized<T> in = normalized<T>(x, gamma, py::none(), epsilon);
    const py::tuple all =
        gradients_of(in, dy, py::none(), [&](NormalizationGradients<T> out, const T* from) {
          out.d_beta = nullptr;
          rms_norm_backward(out, from, in.data(), in.p);
        });
    return py::make_tuple(all[0], all[1]);
  });
}

// The images of x, and the number of rows of each.
template <class T>
index_t images_of(Normalized<T>& in, index_t groups) {
  require(groups > 0 && in.p.n % groups == 0, "groups: expected a number that divides the ", in.p.n,
          " channels of x, got ", groups);
  const index_t images = in.x.shape(0);
  in.p.rows /= images;
  return images;
}

py::array group_norm_forward_py(const py::object& object, const py::object& gamma,
                                const py::object& beta, index_t groups, double epsilon,
                                const py::object& out) {
  const py::array x = contiguous_array(object, "x");
  return with_type(x, "x", [&](auto t) {
    using T = decltype(t);
    Normalized<T> in = normalized<T>(x, gamma, beta, epsilon);
    const index_t images = images_of(in, groups);
    py::array y = output_like_x(in, out);
    T* to = mutable_data_of<T>(y);
    const ReleaseGil release;
    group_norm_forward(to, in.data(), images, groups, in.p);
    return y;
  });
}

py::tuple group_norm_backward_py(const py::object& dy, const py::object& object,
                                 const py::object& gamma, index_t groups, double epsilon) {
  const py::array x = contiguous_array(object, "x");
  return with_type(x, "x", [&](auto t) {
    using T = decltype(t);
    Normalized<T> in = normalized<T>(x, gamma, py::none(), epsilon);
    const index_t images = images_of(in, groups);
    return gradients_of(in, dy, py::none(),
                        [&](const NormalizationGradients<T>& out, const T* from) {
                          group_norm_backward(out, from, in.data(), images, groups, in.p);
                        });
  });
}

}  // namespace

void add_norm_kernels(py::module_& module) {
  using py::arg;
  module.def("batch_norm_forward", &batch_norm_forward_py, arg("x"), arg("gamma"), arg("beta"),
             arg("mean"), arg("variance"), arg("epsilon"), arg("activation"), arg("out"));
  module.def("batch_norm_backward", &batch_norm_backward_py, arg("dy"), arg("x"), arg("gamma"),
             arg("beta"), arg("mean"), arg("variance"), arg("epsilon"), arg("activation"),
             arg("constant"), arg("out"));
  module.def("layer_norm_forward", &layer_norm_forward_py, arg("x"), arg("gamma"), arg("beta"),
             arg("epsilon"), arg("out"));
  module.def("layer_norm_backward", &layer_norm_backward_py, arg("dy"), arg("x"), arg("gamma"),
             arg("epsilon"));
  module.def("rms_norm_forward", &rms_norm_forward_py, arg("x"), arg("gamma"), arg("epsilon"),
             arg("out"));
  module.def("rms_norm_backward", &rms_norm_backward_py, arg("dy"), arg("x"), arg("gamma"),
             arg("epsilon"));
  module.def("group_norm_forward", &group_norm_forward_py, arg("x"), arg("gamma"), arg("beta"),
             arg("groups"), arg("epsilon"), arg("out"));
  module.def("group_norm_backward", &group_norm_backward_py, arg("dy"), arg("x"), arg("gamma"),
             arg("groups"), arg("epsilon"));
}

}  // namespace nnfast::bind
