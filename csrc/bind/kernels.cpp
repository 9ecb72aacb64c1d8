// Single kernels on arrays, for testing, benchmarking and learning.
#include <pybind11/stl.h>

#include <cmath>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "bind/arrays.h"
#include "bind/bind.h"
#include "bind/gil.h"
#include "kernels/select.h"
#include "ops/activation.h"
#include "ops/dropout.h"
#include "ops/gemm/gemm.h"
#include "ops/loss.h"
#include "ops/reduce.h"

namespace nnfast::bind {
namespace {

// ---- matrix product ----------------------------------------------------------------------------------

// A matrix as the product expects it: strides in elements, one of them 1.
struct Matrix {
  index_t rows, columns, row_stride, column_stride;
};

Matrix matrix_of(const py::array& array, bool transpose, const char* where) {
  if (array.ndim() != 2)
    throw ValueError(text(where, ": expected a matrix (2 axes), got shape ", shape_text(array)));
  const py::ssize_t size = array.itemsize();
  Matrix m{array.shape(0), array.shape(1), array.strides(0) / size, array.strides(1) / size};
  // The stride of an axis of size 1 is meaningless.
  if (m.columns == 1) m.column_stride = 1;
  if (m.rows == 1 && m.column_stride != 1) m.row_stride = 1;
  const bool whole = array.strides(0) % size == 0 && array.strides(1) % size == 0;
  const bool empty = m.rows == 0 || m.columns == 0;
  if (!empty && (!whole || m.row_stride < 0 || m.column_stride < 0 ||
                 (m.row_stride != 1 && m.column_stride != 1))) {
    throw ValueError(text(where, ": expected rows or columns that are contiguous, got strides of ",
                          array.strides(0), " and ", array.strides(1),
                          " bytes; use numpy.ascontiguousarray"));
  }
  if (transpose) {
    std::swap(m.rows, m.columns);
    std::swap(m.row_stride, m.column_stride);
  }
  return m;
}

template <class T>
py::array matmul_of(const py::array& a, const py::array& b, const py::object& out, bool transpose_a,
                    bool transpose_b, const py::object& bias, const std::string& activation,
                    double alpha, bool accumulate) {
  const Matrix am = matrix_of(a, transpose_a, "a"), bm = matrix_of(b, transpose_b, "b");
  if (am.columns != bm.rows) {
    throw ValueError(text("matmul: expected as many columns of a as rows of b, got (", am.rows,
                          ", ", am.columns, ") and (", bm.rows, ", ", bm.columns, ")",
                          transpose_a || transpose_b ? " after transposing" : ""));
  }
  require(!accumulate || !out.is_none(), "matmul: expected out with accumulate=True, got none");
  require(!accumulate || bias.is_none(),
          "matmul: expected either a bias or accumulate=True, got both");
  require(!accumulate || activation == "identity",
          "matmul: expected accumulate=True without an activation, got '", activation, "'");
  py::array bias_array;
  if (!bias.is_none()) {
    bias_array = contiguous_array_of<T>(bias, "bias");
    require(bias_array.ndim() == 1 && bias_array.shape(0) == bm.columns, "bias: expected shape (",
            bm.columns, ",), got ", shape_text(bias_array));
  }
  py::array c = output_array<T>(out, {am.rows, bm.columns}, "out",
                                {{a, "a"}, {b, "b"}, {bias_array, "bias"}});
  Gemm<T> p{};
  p.m = am.rows;
  p.n = bm.columns;
  p.k = am.columns;
  p.a = data_of<T>(a);
  p.a_row = am.row_stride;
  p.a_k = am.column_stride;
  p.b = data_of<T>(b);
  p.b_k = bm.row_stride;
  p.b_n = bm.column_stride;
  p.c = mutable_data_of<T>(c);
  p.c_row = bm.columns;
  p.accumulate = accumulate;
  if (!bias.is_none()) p.bias = data_of<T>(bias_array);
  if (activation != "identity") p.activation = parse_activation(activation, alpha, "matmul");
  require(!works_on_rows(p.activation.kind), "matmul: expected an element-wise activation, got '",
          activation, "'; use softmax_forward on the product");
  {
    const ReleaseGil release;
    gemm(p);
  }
  return c;
}

py::array matmul(const py::object& a_object, const py::object& b_object, const py::object& out,
                 bool transpose_a, bool transpose_b, const py::object& bias,
                 const std::string& activation, double alpha, bool accumulate) {
  const py::array a = any_array(a_object, "a"), b = any_array(b_object, "b");
  return with_type(a, "a", [&](auto t) {
    using T = decltype(t);
    if (!has_type_of<T>(b)) {
      throw py::type_error(
          text("b: expected ", type_name<T>(), " like a, got ", dtype_text(b), "; use .astype"));
    }
    return matmul_of<T>(a, b, out, transpose_a, transpose_b, bias, activation, alpha, accumulate);
  });
}

// ---- elementwise, rows ---------------------------------------------------------------------------------

struct RowShape {
  index_t rows, n;
};

RowShape rows_of(const py::array& x, const char* where) {
  require(x.ndim() >= 1, where, ": expected one axis or more, got a number; use numpy.atleast_1d");
  const index_t n = x.shape(x.ndim() - 1);
  return {n == 0 ? 0 : x.size() / n, n};
}

py::array activation_forward_py(const std::string& name, const py::object& object, double alpha,
                                const py::object& out) {
  const py::array x = contiguous_array(object, "x");
  return with_type(x, "x", [&](auto t) {
    using T = decltype(t);
    const ActivationParams p = parse_activation(name, alpha, "activation_forward");
    py::array y = output_array<T>(out, shape_of(x), "out", {{x, "x", Sharing::whole}});
    if (x.size() == 0) return y;
    const RowShape shape = works_on_rows(p.kind) ? rows_of(x, "x") : RowShape{1, x.size()};
    T* to = mutable_data_of<T>(y);
    const ReleaseGil release;
    activation_forward(to, data_of<T>(x), shape.rows, shape.n, p);
    return y;
  });
}

py::array activation_backward_py(const std::string& name, const py::object& dy_object,
                                 const py::object& x_object, const py::object& y_object,
                                 double alpha, const py::object& out) {
  const py::array dy = contiguous_array(dy_object, "dy");
  return with_type(dy, "dy", [&](auto t) {
    using T = decltype(t);
    const py::array x = contiguous_array_of<T>(x_object, "x"),
                    y = contiguous_array_of<T>(y_object, "y");
    require_like(x, dy, "x", "dy");
    require_like(y, dy, "y", "dy");
    const ActivationParams p = parse_activation(name, alpha, "activation_backward");
    py::array dx = output_array<T>(
        out, shape_of(dy), "out",
        {{dy, "dy", Sharing::whole}, {x, "x", Sharing::whole}, {y, "y", Sharing::whole}});
    if (dy.size() == 0) return dx;
    const RowShape shape = works_on_rows(p.kind) ? rows_of(dy, "dy") : RowShape{1, dy.size()};
    T* to = mutable_data_of<T>(dx);
    const ReleaseGil release;
    activation_backward(to, data_of<T>(dy), data_of<T>(x), data_of<T>(y), shape.rows, shape.n, p);
    return dx;
  });
}

const char* softmax_name(bool log) { return log ? "log_softmax" : "softmax"; }

// ---- losses --------------------------------------------------------------------------------------------

template <class T>
struct LossArrays {
  LossInputs<T> inputs;
  LossOptions options;
  const T* weights = nullptr;
  std::vector<int32_t> labels;
  std::vector<T> one_hot;
  py::array target, weight;
};

// Labels are converted to int32, or to one-hot rows if the loss reads values.
template <class T>
void take_labels(LossArrays<T>& out, const py::array& target) {
  const py::object wide = target.attr("astype")("int64");
  const py::array numbers = contiguous_array(wide, "target");
  const index_t all = numbers.size(), n = out.inputs.n;
  for (index_t i = 0; i < all; ++i) {
    const int64_t label = data_of<int64_t>(numbers)[i];
    require(label >= 0 && label < n, "target: expected labels of 0 to ", n - 1, ", got ", label);
    out.labels.push_back(static_cast<int32_t>(label));
  }
  if (out.options.softmax) {
    out.inputs.labels = out.labels.data();
    return;
  }
  out.one_hot.assign(static_cast<size_t>(all * n), T(0));
  for (index_t i = 0; i < all; ++i)
    out.one_hot[static_cast<size_t>(i * n + out.labels[static_cast<size_t>(i)])] = T(1);
  out.inputs.targets = out.one_hot.data();
}

double number_of(const py::dict& options, const char* key, double otherwise) {
  return options.contains(key) ? options[key].cast<double>() : otherwise;
}

template <class T>
void loss_arrays(LossArrays<T>& out, const std::string& name, const py::array& prediction,
                 const py::object& target, const py::object& weight, const py::dict& options) {
  require(prediction.ndim() >= 2 && prediction.size() > 0,
          "prediction: expected shape (N, ..., K) with one row or more, got ",
          shape_text(prediction));
  const bool logits = options.contains("from_logits") && options["from_logits"].cast<bool>();
  out.options = parse_loss(name, logits, number_of(options, "delta", 1),
                           number_of(options, "label_smoothing", 0), "loss");
  require(out.options.label_smoothing == 0 || out.options.softmax,
          "loss: expected label_smoothing only for cross_entropy with from_logits=True");
  out.inputs = {data_of<T>(prediction), nullptr, nullptr,
                prediction.shape(0),    1,       prediction.shape(prediction.ndim() - 1)};
  out.inputs.positions = prediction.size() / (out.inputs.rows * out.inputs.n);
  out.target = contiguous_array(target, "target");
  const bool labels = name == "cross_entropy" && out.target.dtype().kind() != 'f';
  if (labels) {
    require(out.target.dtype().kind() == 'i' || out.target.dtype().kind() == 'u',
            "target: expected integer labels or values, got ", dtype_text(out.target));
    require(out.target.ndim() > 0 && out.target.size() == out.inputs.rows * out.inputs.positions &&
                out.target.shape(0) == out.inputs.rows,
            "target: expected a label for each of ", out.inputs.rows * out.inputs.positions,
            " positions, got ", shape_text(out.target));
    take_labels(out, out.target);
  } else {
    out.target = contiguous_array_of<T>(target, "target");
    require_like(out.target, prediction, "target", "prediction");
    out.inputs.targets = data_of<T>(out.target);
  }
  // Cross-entropy of probabilities is a sum over a row: positions become rows.
  require(out.options.softmax || name != "cross_entropy" || out.inputs.positions == 1,
          "prediction: expected shape (N, K) for cross_entropy of probabilities, got ",
          shape_text(prediction));
  if (weight.is_none()) return;
  out.weight = contiguous_array_of<T>(weight, "sample_weight");
  require(out.weight.ndim() == 1 && out.weight.shape(0) == out.inputs.rows,
          "sample_weight: expected shape (", out.inputs.rows, ",), got ", shape_text(out.weight));
  out.weights = data_of<T>(out.weight);
}

py::array loss_forward_py(const std::string& name, const py::object& prediction,
                          const py::object& target, const py::object& weight,
                          const py::dict& options) {
  const py::array p = contiguous_array(prediction, "prediction");
  return with_type(p, "prediction", [&](auto t) -> py::array {
    using T = decltype(t);
    LossArrays<T> arrays;
    loss_arrays(arrays, name, p, target, weight, options);
    py::array_t<T> value(arrays.inputs.rows);
    T* to = value.mutable_data();
    loss_values<T>(to, nullptr, arrays.inputs, nullptr, 1, arrays.options);
    if (arrays.weights) weigh_rows(to, arrays.weights, arrays.inputs.rows);
    return py::array(std::move(value));
  });
}

py::array loss_backward_py(const std::string& name, const py::object& prediction,
                           const py::object& target, const py::object& weight,
                           const py::dict& options) {
  const py::array p = contiguous_array(prediction, "prediction");
  return with_type(p, "prediction", [&](auto t) -> py::array {
    using T = decltype(t);
    LossArrays<T> arrays;
    loss_arrays(arrays, name, p, target, weight, options);
    py::array_t<T> gradient(shape_of(p));
    loss_values<T>(nullptr, gradient.mutable_data(), arrays.inputs, arrays.weights,
                   1 / static_cast<double>(arrays.inputs.rows), arrays.options);
    return py::array(std::move(gradient));
  });
}

// ---- reductions ----------------------------------------------------------------------------------------

template <class T>
void reduce_rows(Reduction kind, T* out, const T* x, RowShape s) {
  parallel_ranges(s.rows, 1, 0.1 * static_cast<double>(s.rows * s.n),
                  [&](index_t begin, index_t end) {
                    const T* from = x + begin * s.n;
                    if (kind == Reduction::sum) {
                      kernels<T>().sum_rows(out + begin, from, end - begin, s.n);
                    } else {
                      kernels<T>().fold_rows(out + begin, from, end - begin, s.n, kind);
                    }
                  });
}

template <class T>
py::object reduce_of(Reduction kind, const py::array& x, const py::object& axis) {
  const T* data = data_of<T>(x);
  const bool sum = kind == Reduction::sum;
  require(sum || x.size() > 0, "x: expected one element or more, got shape ", shape_text(x));
  if (axis.is_none()) {
    if (sum) return py::float_(sum_all(data, x.size()));
    T maximum;
    kernels<T>().fold_rows(&maximum, data, 1, x.size(), kind);
    return py::float_(static_cast<double>(maximum));
  }
  const int which = axis.cast<int>();
  require(x.ndim() == 2 && which >= -2 && which <= 1,
          "x: expected a matrix and an axis of 0 or 1, got shape ", shape_text(x), " and axis ",
          which);
  const index_t rows = x.shape(0), n = x.shape(1);
  if (which == 1 || which == -1) {
    py::array_t<T> out = new_array<T>({rows}, "x");
    if (rows > 0) reduce_rows(kind, out.mutable_data(), data, {rows, n});
    return std::move(out);
  }
  py::array_t<T> out = new_array<T>({n}, "x");
  if (sum) {
    sum_columns(out.mutable_data(), data, rows, n);
  } else {
    kernels<T>().fold_columns(out.mutable_data(), data, n, rows, n, kind);
  }
  return std::move(out);
}

py::object reduce(Reduction kind, const py::object& object, const py::object& axis) {
  const py::array x = contiguous_array(object, "x");
  return with_type(x, "x", [&](auto t) { return reduce_of<decltype(t)>(kind, x, axis); });
}

py::array argmax(const py::object& object) {
  const py::array x = contiguous_array(object, "x");
  return with_type(x, "x", [&](auto t) -> py::array {
    using T = decltype(t);
    const RowShape s = rows_of(x, "x");
    require(s.n > 0 && s.n <= INT32_MAX, "x: expected a last axis of 1 to ", INT32_MAX,
            " elements, got shape ", shape_text(x));
    std::vector<py::ssize_t> shape = shape_of(x);
    shape.pop_back();
    py::array_t<int32_t> out = new_array<int32_t>(shape, "x");
    kernels<T>().argmax_rows(out.mutable_data(), data_of<T>(x), s.rows, s.n);
    return py::array(std::move(out));
  });
}

// ---- gather, dropout, sums, random numbers ---------------------------------------------------------------

py::array gather_rows(const py::object& x_object, const py::object& index_object, double scale,
                      double offset, const std::string& dtype) {
  const py::array x = contiguous_array(x_object, "x"),
                  indices = contiguous_array(index_object, "indices");
  require(x.ndim() >= 1, "x: expected one axis or more, got a number");
  if (!has_type(indices, 'i', 8))
    throw py::type_error("indices: expected int64, got " + dtype_text(indices) +
                         "; use .astype(\"int64\")");
  require(indices.ndim() == 1, "indices: expected shape (n,), got ", shape_text(indices));
  const int64_t* rows = data_of<int64_t>(indices);
  for (index_t i = 0; i < indices.size(); ++i) {
    require(rows[i] >= 0 && rows[i] < x.shape(0), "indices: expected row numbers of 0 to ",
            x.shape(0) - 1, ", got ", rows[i]);
  }
  return with_type(dtype, "gather_rows", [&](auto t) -> py::array {
    using T = decltype(t);
    std::vector<py::ssize_t> shape = shape_of(x);
    shape[0] = indices.size();
    py::array_t<T> y = new_array<T>(shape, "gather_rows");
    index_t n = 1;
    for (size_t i = 1; i < shape.size(); ++i) n *= shape[i];
    if (has_type_of<T>(x)) {
      kernels<T>().gather_rows(y.mutable_data(), data_of<T>(x), rows, indices.size(), n, scale,
                               offset);
    } else if (has_type(x, 'u', 1)) {
      kernels<T>().gather_byte_rows(y.mutable_data(), data_of<uint8_t>(x), rows, indices.size(), n,
                                    scale, offset);
    } else {
      throw py::type_error(text("x: expected ", type_name<T>(), " or uint8, got ", dtype_text(x)));
    }
    return py::array(std::move(y));
  });
}

py::array dropout(const py::object& object, double rate, uint64_t seed, uint32_t step,
                  uint32_t stream) {
  require(rate >= 0 && rate < 1, "dropout: expected a rate of 0 <= rate < 1, got ", rate);
  const py::array x = contiguous_array(object, "x");
  return with_type(x, "x", [&](auto t) -> py::array {
    using T = decltype(t);
    py::array_t<T> y(shape_of(x));
    const DropoutParams p = dropout_of(rate, {seed, step, stream});
    T* to = y.mutable_data();
    parallel_ranges(x.size(), 64, static_cast<double>(x.size()), [&](index_t begin, index_t end) {
      kernels<T>().dropout(to + begin, data_of<T>(x) + begin, begin, end - begin, p);
    });
    return py::array(std::move(y));
  });
}

template <bool PRODUCT>
py::array combine(const py::object& a_object, const py::object& b_object) {
  const py::array a = contiguous_array(a_object, "a");
  return with_type(a, "a", [&](auto t) -> py::array {
    using T = decltype(t);
    const py::array b = contiguous_array_of<T>(b_object, "b");
    require_like(b, a, "b", "a");
    py::array_t<T> y(shape_of(a));
    const auto kernel = PRODUCT ? kernels<T>().multiply : kernels<T>().add;
    kernel(y.mutable_data(), data_of<T>(a), data_of<T>(b), a.size());
    return py::array(std::move(y));
  });
}

py::array math_forward(const std::string& name, const py::object& object) {
  constexpr const char* names[] = {"exp",  "expm1",   "log", "log1p",
                                   "tanh", "sigmoid", "erf", "softplus"};
  for (int i = 0; i < 8; ++i) {
    if (name != names[i]) continue;
    const py::array x = contiguous_array(object, "x");
    return with_type(x, "x", [&](auto t) -> py::array {
      using T = decltype(t);
      py::array_t<T> y(shape_of(x));
      kernels<T>().math(y.mutable_data(), data_of<T>(x), x.size(), static_cast<MathFunction>(i));
      return py::array(std::move(y));
    });
  }
  throw ValueError(
      "math_forward: expected exp, expm1, log, log1p, tanh, sigmoid, erf or softplus, got '" +
      name + "'");
}

template <bool NORMAL>
py::array random_numbers(index_t n, uint64_t seed, uint32_t stream, const std::string& dtype) {
  require(n >= 0, "random: expected a size of 0 or more, got ", n);
  return with_type(dtype, "random", [&](auto t) -> py::array {
    using T = decltype(t);
    py::array_t<T> y = new_array<T>({n}, "random");
    T* to = y.mutable_data();
    parallel_ranges(n, 64, 4 * static_cast<double>(n), [&](index_t begin, index_t end) {
      const auto kernel = NORMAL ? kernels<T>().random_normal : kernels<T>().random_uniform;
      kernel(to + begin, begin, end - begin, {seed, 0, stream});
    });
    return py::array(std::move(y));
  });
}

// Fisher-Yates shuffle from the end, with 64-bit numbers from the stream.
py::array random_permutation(index_t n, uint64_t seed, uint32_t stream) {
  require(n >= 0 && n < (index_t(1) << 36),
          "random_permutation: expected a size of 0 or more, below 2^36, got ", n);
  py::array_t<int64_t> out = new_array<int64_t>({n}, "random_permutation");
  int64_t* p = out.mutable_data();
  for (index_t i = 0; i < n; ++i) p[i] = i;
  AlignedBuffer<double> uniform(static_cast<size_t>(n));
  kernels<double>().random_uniform(uniform.data(), 0, n, {seed, 0, stream});
  for (index_t i = n - 1; i > 0; --i) {
    // floor(u (i + 1)) without rounding: u is bits / 2^53, multiplied in two halves.
    const uint64_t bits = static_cast<uint64_t>(uniform.data()[i] * 9007199254740992.0);
    const uint64_t count = static_cast<uint64_t>(i) + 1;
    const uint64_t low = (bits & 0x3ffffff) * count, high = (bits >> 26) * count;
    std::swap(p[i], p[(high + (low >> 26)) >> 27]);
  }
  return py::array(std::move(out));
}

}  // namespace

void add_kernels(py::module_& module) {
  using py::arg;
  module.def("matmul", &matmul, arg("a"), arg("b"), arg("out") = py::none(),
             arg("transpose_a") = false, arg("transpose_b") = false, arg("bias") = py::none(),
             arg("activation") = "identity", arg("alpha") = std::nan(""),
             arg("accumulate") = false);
  module.def("activation_forward", &activation_forward_py, arg("name"), arg("x"), arg("alpha"),
             arg("out"));
  module.def("activation_backward", &activation_backward_py, arg("name"), arg("dy"), arg("x"),
             arg("y"), arg("alpha"), arg("out"));
  module.def(
      "softmax_forward",
      [](const py::object& x, bool log, const py::object& out) {
        return activation_forward_py(softmax_name(log), x, std::nan(""), out);
      },
      arg("x"), arg("log"), arg("out"));
  module.def(
      "softmax_backward",
      [](const py::object& dy, const py::object& y, bool log, const py::object& out) {
        return activation_backward_py(softmax_name(log), dy, y, y, std::nan(""), out);
      },
      arg("dy"), arg("y"), arg("log"), arg("out"));
  module.def("loss_forward", &loss_forward_py, arg("name"), arg("prediction"), arg("target"),
             arg("sample_weight"), arg("options"));
  module.def("loss_backward", &loss_backward_py, arg("name"), arg("prediction"), arg("target"),
             arg("sample_weight"), arg("options"));
  module.def(
      "reduce_sum",
      [](const py::object& x, const py::object& axis) { return reduce(Reduction::sum, x, axis); },
      arg("x"), arg("axis"));
  module.def(
      "reduce_max",
      [](const py::object& x, const py::object& axis) { return reduce(Reduction::max, x, axis); },
      arg("x"), arg("axis"));
  module.def("argmax", &argmax, arg("x"));
  module.def("gather_rows", &gather_rows, arg("x"), arg("indices"), arg("scale"), arg("offset"),
             arg("dtype"));
  module.def("dropout_forward", &dropout, arg("x"), arg("rate"), arg("seed"), arg("step"),
             arg("stream"));
  module.def("dropout_backward", &dropout, arg("dy"), arg("rate"), arg("seed"), arg("step"),
             arg("stream"));
  module.def("add", &combine<false>, arg("a"), arg("b"));
  module.def("multiply", &combine<true>, arg("a"), arg("b"));
  module.def("math_forward", &math_forward, arg("name"), arg("x"));
  module.def("random_uniform", &random_numbers<false>, arg("n"), arg("seed"), arg("stream"),
             arg("dtype"));
  module.def("random_normal", &random_numbers<true>, arg("n"), arg("seed"), arg("stream"),
             arg("dtype"));
  module.def("random_permutation", &random_permutation, arg("n"), arg("seed"), arg("stream"));
}

}  // namespace nnfast::bind
