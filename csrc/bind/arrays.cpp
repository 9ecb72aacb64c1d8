#include "bind/arrays.h"

#include "base/cpu.h"

namespace nnfast::bind {

std::string shape_text(const std::vector<py::ssize_t>& shape) {
  std::string out = "(";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + (shape.size() == 1 ? ",)" : ")");
}

std::string dtype_text(const py::array& array) { return py::str(array.dtype()); }

// Whether the array is a numpy.ma array with masked elements. Nearly every array is an exact
// ndarray, for which this costs nothing.
static bool hides_elements(const py::handle& array) {
  if (Py_TYPE(array.ptr()) == py::detail::npy_api::get().PyArray_Type_) return false;
  return py::module_::import("numpy.ma").attr("is_masked")(array).cast<bool>();
}

py::array any_array(const py::handle& object, const char* where) {
  if (!py::isinstance<py::array>(object)) {
    throw py::type_error(text(where, ": expected a NumPy array, got ",
                              py::type::of(object).attr("__name__").cast<std::string>(),
                              "; use numpy.asarray"));
  }
  if (hides_elements(object)) {
    throw ValueError(
        text(where,
             ": expected no masked elements, got a masked array; leave them out or fill "
             "them with .filled(value)"));
  }
  py::array array = py::reinterpret_borrow<py::array>(object);
  const char order = array.dtype().byteorder();
  constexpr int kAligned = py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  if ((order != '=' && order != '|') || !(array.flags() & kAligned)) {
    throw py::type_error(text(where,
                              ": expected an aligned array of native byte order, got one of ",
                              dtype_text(array), "; use numpy.require(a, requirements=\"CA\")"));
  }
  return array;
}

py::array contiguous_array(const py::handle& object, const char* where) {
  py::array array = any_array(object, where);
  if (!(array.flags() & py::array::c_style)) {
    throw ValueError(text(
        where,
        ": expected a C-contiguous array, got strides that are not; use numpy.ascontiguousarray"));
  }
  return array;
}

void require_shape(const py::array& array, const std::vector<py::ssize_t>& shape,
                   const char* where) {
  require(shape_of(array) == shape, where, ": expected shape ", shape_text(shape), ", got ",
          shape_text(array));
}

void require_like(const py::array& x, const py::array& like, const char* where, const char* other) {
  const bool same =
      x.ndim() == like.ndim() && std::equal(x.shape(), x.shape() + x.ndim(), like.shape());
  require(same, where, ": expected the shape of ", other, ", ", shape_text(like), ", got ",
          shape_text(x));
}

void require_memory(const std::vector<py::ssize_t>& shape, size_t element_size, const char* where) {
  bool fits = true;
  size_t bytes = element_size;
  for (const py::ssize_t size : shape) {
    const size_t extent = size > 0 ? static_cast<size_t>(size) : 1;
    fits = fits && bytes <= static_cast<size_t>(PTRDIFF_MAX) / extent;
    bytes = fits ? bytes * extent : bytes;
  }
  constexpr size_t kSurelyFits = size_t(1) << 30;
  if (fits && bytes <= kSurelyFits) return;
  const size_t memory = machine_memory();
  require(fits && bytes <= memory, where, ": expected an array of at most the ", memory >> 30,
          " GiB of this machine's memory, got shape ", shape_text(shape), "; use smaller sizes");
}

// Whether the byte ranges of two arrays overlap.
static bool overlap(const py::array& a, const py::array& b) {
  const auto end = [](const py::array& x) {
    py::ssize_t last = x.itemsize();
    for (py::ssize_t i = 0; i < x.ndim(); ++i) last += (x.shape(i) - 1) * x.strides(i);
    return static_cast<const char*>(x.data()) + last;
  };
  if (a.size() == 0 || b.size() == 0) return false;
  return static_cast<const char*>(a.data()) < end(b) && static_cast<const char*>(b.data()) < end(a);
}

void require_apart(const py::array& written, const char* where,
                   std::initializer_list<Input> inputs) {
  for (const Input& input : inputs) {
    const bool may_share = input.sharing == Sharing::whole;
    // Both are contiguous if they may share elements.
    const bool same =
        input.array.data() == written.data() && input.array.nbytes() == written.nbytes();
    if ((may_share && same) || !overlap(written, input.array)) continue;
    throw ValueError(text(where, ": expected ", may_share ? input.name : "",
                          may_share ? " itself or an array that does not overlap it"
                                    : "an array that does not overlap ",
                          may_share ? "" : input.name,
                          " in memory, got an overlap; use another array"));
  }
}

}  // namespace nnfast::bind
