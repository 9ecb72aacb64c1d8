// Data augmentation as a function on arrays.
#include "bind/arrays.h"
#include "bind/bind.h"
#include "bind/gil.h"
#include "bind/spec.h"
#include "plan/augmentation.h"

namespace nnfast::bind {
namespace {

py::array augment(const py::object& object, const py::dict& options, uint64_t seed, uint32_t step,
                  double scale, double offset, const std::string& dtype) {
  const py::array x = contiguous_array(object, "images");
  require(x.ndim() == 4, "images: expected shape (N, H, W, C), got ", shape_text(x));
  AugmentParams p =
      plan::parse_augmentation(node_of(options), plan::Shape(x.shape() + 1, x.shape() + 4));
  p.random = {seed, step, plan::kAugmentationStream};
  p.scale = scale;
  p.offset = offset;
  return with_type(dtype, "augment", [&](auto t) -> py::array {
    using T = decltype(t);
    const bool bytes = has_type(x, 'u', 1);
    if (!bytes && !has_type_of<T>(x)) {
      throw py::type_error(
          text("images: expected ", type_name<T>(), " or uint8, got ", dtype_text(x)));
    }
    py::array_t<T> y(shape_of(x));
    T* to = y.mutable_data();
    {
      const ReleaseGil release;
      augment_images<T>(to, bytes ? nullptr : data_of<T>(x), bytes ? data_of<uint8_t>(x) : nullptr,
                        nullptr, x.shape(0), p);
    }
    return py::array(std::move(y));
  });
}

}  // namespace

void add_augment_kernels(py::module_& module) {
  module.def("augment", &augment, py::arg("images"), py::arg("options"), py::arg("seed"),
             py::arg("step"), py::arg("scale"), py::arg("offset"), py::arg("dtype"));
}

}  // namespace nnfast::bind
