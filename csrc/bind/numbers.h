// Arrays of real numbers that the core can take directly, without the checks and error messages of
// Python: read in place or converted. For all others the answer is no, and nothing is thrown.
#pragma once

#include <memory>
#include <optional>

#include "bind/arrays.h"

namespace nnfast::bind {

// An exact ndarray (not a subclass such as a masked array), aligned, in native byte order and
// C-contiguous.
inline bool is_plain_array(const py::handle& object) {
  const auto& api = py::detail::npy_api::get();
  if (reinterpret_cast<PyObject*>(Py_TYPE(object.ptr())) !=
      reinterpret_cast<PyObject*>(api.PyArray_Type_))
    return false;
  constexpr int kWanted =
      py::detail::npy_api::NPY_ARRAY_ALIGNED_ | py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_;
  const auto* array = py::detail::array_proxy(object.ptr());
  if ((array->flags & kWanted) != kWanted) return false;
  const char order = py::detail::array_descriptor_proxy(array->descr)->byteorder;
  return order == '=' || order == '|';
}

// Kind and size of an element: 'f', 8 for float64; '?' for a dtype that is not converted here.
// Asking pybind11 for the size takes longer than all other checks of a small batch.
struct ElementType {
  char kind;
  py::ssize_t size;
  bool is(char k, py::ssize_t s) const { return kind == k && size == s; }
};
inline ElementType element_type(const py::array& array) {
  using api = py::detail::npy_api;
  const auto* descr =
      py::detail::array_descriptor_proxy(py::detail::array_proxy(array.ptr())->descr);
  switch (descr->type_num) {
    case api::NPY_UBYTE_:
      return {'u', 1};
    case api::NPY_SHORT_:
      return {'i', sizeof(short)};
    case api::NPY_USHORT_:
      return {'u', sizeof(unsigned short)};
    case api::NPY_INT_:
      return {'i', sizeof(int)};
    case api::NPY_LONG_:
      return {'i', sizeof(long)};
    case api::NPY_LONGLONG_:
      return {'i', sizeof(long long)};
    case api::NPY_FLOAT_:
      return {'f', sizeof(float)};
    case api::NPY_DOUBLE_:
      return {'f', sizeof(double)};
    default:
      return {'?', 0};
  }
}

// Elements of another type converted to T, as NumPy does; nothing if any result is not finite, or
// if the type is not a common one of real numbers.
template <class T>
std::unique_ptr<T[]> cast_elements(const py::array& array) {
  const index_t n = array.size();
  std::unique_ptr<T[]> out(new T[static_cast<size_t>(n)]);
  bool finite = true;
  const auto cast = [&](const auto* from) {
    for (index_t i = 0; i < n; ++i) out[static_cast<size_t>(i)] = static_cast<T>(from[i]);
    for (index_t i = 0; i < n; ++i) {
      const T value = out[static_cast<size_t>(i)];
      finite &= value - value == T(0);
    }
  };
  const void* data = array.data();
  const ElementType type = element_type(array);
  if (type.is('f', 8)) {
    cast(static_cast<const double*>(data));
  } else if (type.is('f', 4)) {
    cast(static_cast<const float*>(data));
  } else if (type.is('i', 8)) {
    cast(static_cast<const int64_t*>(data));
  } else if (type.is('i', 4)) {
    cast(static_cast<const int32_t*>(data));
  } else if (type.is('u', 1)) {
    cast(static_cast<const uint8_t*>(data));
  } else if (type.is('i', 2)) {
    cast(static_cast<const int16_t*>(data));
  } else if (type.is('u', 2)) {
    cast(static_cast<const uint16_t*>(data));
  } else {
    return nullptr;
  }
  return finite ? std::move(out) : nullptr;
}

// Numbers of type T: those of the array, or converted ones.
template <class T>
struct Numbers {
  const T* data = nullptr;
  std::unique_ptr<T[]> cast;
};

// False if the array does not fit.
template <class T>
bool numbers_of(const py::array& array, Numbers<T>* out) {
  if (element_type(array).is('f', sizeof(T))) {
    out->data = data_of<T>(array);
    return true;
  }
  out->cast = cast_elements<T>(array);
  out->data = out->cast.get();
  return out->data != nullptr;
}

}  // namespace nnfast::bind
