// NumPy arrays from Python: checked once, then used as plain pointers.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <initializer_list>
#include <string>
#include <type_traits>
#include <vector>

#include "base/check.h"
#include "base/types.h"

namespace nnfast::bind {

namespace py = pybind11;

inline std::vector<py::ssize_t> shape_of(const py::array& array) {
  return std::vector<py::ssize_t>(array.shape(), array.shape() + array.ndim());
}
std::string shape_text(const std::vector<py::ssize_t>& shape);
inline std::string shape_text(const py::array& array) { return shape_text(shape_of(array)); }
std::string dtype_text(const py::array& array);

// The object as an aligned array in native byte order, or a TypeError that names `where`.
py::array any_array(const py::handle& object, const char* where);
// Likewise, and C-contiguous (ValueError otherwise).
py::array contiguous_array(const py::handle& object, const char* where);

inline bool has_type(const py::array& array, char kind, py::ssize_t size) {
  const py::dtype dtype = array.dtype();
  return dtype.kind() == kind && dtype.itemsize() == size;
}
template <class T>
bool has_type_of(const py::array& array) {
  static_assert(std::is_floating_point_v<T>, "float or double");
  return has_type(array, 'f', static_cast<py::ssize_t>(sizeof(T)));
}
template <class T>
constexpr const char* type_name() {
  return sizeof(T) == 4 ? "float32" : "float64";
}

template <class T>
py::array contiguous_array_of(const py::handle& object, const char* where) {
  py::array array = contiguous_array(object, where);
  if (!has_type_of<T>(array)) {
    throw py::type_error(text(where, ": expected ", type_name<T>(), ", got ", dtype_text(array),
                              "; use .astype(\"", type_name<T>(), "\")"));
  }
  return array;
}

void require_shape(const py::array& array, const std::vector<py::ssize_t>& shape,
                   const char* where);

template <class T>
py::array array_with_shape(const py::handle& object, const std::vector<py::ssize_t>& shape,
                           const char* where) {
  py::array array = contiguous_array_of<T>(object, where);
  require_shape(array, shape, where);
  return array;
}

// An array that a kernel reads while it writes others, which must not overlap it or, with
// Sharing::whole, may be the very same elements. Strides must not be negative.
enum class Sharing { none, whole };
struct Input {
  const py::array& array;
  const char* name;
  Sharing sharing = Sharing::none;
};
void require_apart(const py::array& written, const char* where,
                   std::initializer_list<Input> inputs);

// Refuses an array that does not have the shape of `like`, which the error calls `other`.
void require_like(const py::array& x, const py::array& like, const char* where, const char* other);

// Refuses, naming `where`, an array that does not fit in the machine's memory.
void require_memory(const std::vector<py::ssize_t>& shape, size_t element_size, const char* where);

template <class T>
py::array_t<T> new_array(const std::vector<py::ssize_t>& shape, const char* where) {
  require_memory(shape, sizeof(T), where);
  return py::array_t<T>(shape);
}

// A new array, or `out` if it is given and fits.
template <class T>
py::array output_array(const py::object& out, const std::vector<py::ssize_t>& shape,
                       const char* where, std::initializer_list<Input> inputs) {
  if (out.is_none()) return new_array<T>(shape, where);
  py::array array = contiguous_array_of<T>(out, where);
  if (!array.writeable())
    throw ValueError(text(where, ": expected a writable array, got a read-only one"));
  require_shape(array, shape, where);
  require_apart(array, where, inputs);
  return array;
}

template <class T>
const T* data_of(const py::array& array) {
  return static_cast<const T*>(array.data());
}
template <class T>
T* mutable_data_of(py::array& array) {
  return static_cast<T*>(array.mutable_data());
}

// An array over memory that `owner` keeps alive (None: valid only as long as documented by the
// caller).
template <class T>
py::array view_of(T* data, std::vector<py::ssize_t> shape, const py::handle& owner) {
  return py::array_t<T>(std::move(shape), data, owner);
}

// Calls body with a float or a double, according to the type of the array.
template <class Body>
auto with_type(const py::array& array, const char* where, const Body& body) {
  if (has_type(array, 'f', 4)) return body(float());
  if (has_type(array, 'f', 8)) return body(double());
  throw py::type_error(text(where, ": expected float32 or float64, got ", dtype_text(array),
                            "; use .astype(\"float32\")"));
}
template <class Body>
auto with_type(const std::string& dtype, const char* where, const Body& body) {
  if (dtype == "float32") return body(float());
  if (dtype == "float64") return body(double());
  throw ValueError(text(where, ": expected dtype float32 or float64, got '", dtype, "'"));
}

}  // namespace nnfast::bind
