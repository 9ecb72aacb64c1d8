// Pooling and resampling of images (N, H, W, C).
#include <pybind11/stl.h>

#include <variant>

#include "bind/arrays.h"
#include "bind/bind.h"
#include "bind/gil.h"
#include "ops/image/pad.h"
#include "ops/image/pool.h"
#include "ops/image/resample.h"

namespace nnfast::bind {
namespace {

using Sizes = std::vector<int64_t>;
using Extents = std::vector<py::ssize_t>;
using PaddingOption = std::variant<std::string, Sizes>;  // a name, or amounts

py::array image_array(const py::object& object, const char* where) {
  py::array x = contiguous_array(object, where);
  require(x.ndim() == 4, where, ": expected shape (N, H, W, C), got ", shape_text(x));
  return x;
}

// ---- pooling ----------------------------------------------------------------------------------------

// An empty pool_size means the whole image.
struct PoolOptions {
  Sizes pool_size, strides;
  PaddingOption padding;
};

struct Pooling {
  Window window;
  Extents in, out;
};

Pooling pooling_of(const Extents& in, const PoolOptions& options, const char* where) {
  Pooling p;
  p.in = in;
  if (options.pool_size.empty()) {
    require(in[1] > 0 && in[2] > 0, where, ": expected an image of one pixel or more, got ",
            shape_text(in));
    p.window = whole_image(in[1], in[2]);
    p.out = {in[0], in[3]};
    return p;
  }
  Padding padding;
  if (const auto* name = std::get_if<std::string>(&options.padding)) {
    padding.name = *name;
  } else {
    padding.amounts = std::get<Sizes>(options.padding);
  }
  p.window =
      make_window(where, {in[1], in[2]}, options.pool_size, options.strides, {1, 1}, padding);
  require_pooling(where, p.window);
  p.out = {in[0], p.window.h.out, p.window.w.out, in[3]};
  return p;
}

py::array max_pool_forward_py(const py::object& x_object, const PoolOptions& options,
                              const char* where, const py::object& out, const py::object& winners) {
  const py::array x = image_array(x_object, "x");
  return with_type(x, "x", [&](auto t) {
    using T = decltype(t);
    const Pooling p = pooling_of(shape_of(x), options, where);
    py::array y = output_array<T>(out, p.out, "out", {{x, "x"}}), indices;
    T *to = mutable_data_of<T>(y), *indices_to = nullptr;
    if (!winners.is_none()) {
      require_numbered(where, p.window);
      indices = output_array<T>(winners, p.out, "winners", {{x, "x"}, {y, "out"}});
      indices_to = mutable_data_of<T>(indices);
    }
    const ReleaseGil release;
    max_pool_forward<T>(to, indices_to, data_of<T>(x), p.in[0], p.in[3], p.window);
    return y;
  });
}

py::array avg_pool_forward_py(const py::object& x_object, const PoolOptions& options,
                              const char* where, const py::object& out) {
  const py::array x = image_array(x_object, "x");
  return with_type(x, "x", [&](auto t) {
    using T = decltype(t);
    const Pooling p = pooling_of(shape_of(x), options, where);
    py::array y = output_array<T>(out, p.out, "out", {{x, "x"}});
    T* to = mutable_data_of<T>(y);
    const ReleaseGil release;
    avg_pool_forward<T>(to, data_of<T>(x), p.in[0], p.in[3], p.window);
    return y;
  });
}

// `size` is (H, W) of the image; winners are null for average pooling.
template <bool MAX>
py::array pool_backward(const py::object& dy_object, const py::object& winners_object,
                        const Sizes& size, const PoolOptions& options, const char* where,
                        const py::object& out) {
  const py::array dy = contiguous_array(dy_object, "dy");
  const bool global = options.pool_size.empty();
  require(dy.ndim() == (global ? 2 : 4), "dy: expected shape ",
          global ? "(N, C)" : "(N, OH, OW, C)", ", got ", shape_text(dy));
  require(size.size() == 2 && size[0] >= 1 && size[1] >= 1, where,
          ": expected a size (H, W) of positive numbers");
  return with_type(dy, "dy", [&](auto t) {
    using T = decltype(t);
    const Extents in = {dy.shape(0), static_cast<py::ssize_t>(size[0]),
                        static_cast<py::ssize_t>(size[1]), dy.shape(dy.ndim() - 1)};
    const Pooling p = pooling_of(in, options, where);
    require_shape(dy, p.out, "dy");
    py::array winners = dy;
    if (MAX) {
      winners = contiguous_array_of<T>(winners_object, "winners");
      require_shape(winners, p.out, "winners");
    }
    py::array dx = output_array<T>(out, p.in, "out", {{dy, "dy"}, {winners, "winners"}});
    T* to = mutable_data_of<T>(dx);
    const ReleaseGil release;
    if constexpr (MAX) {
      max_pool_backward<T>(to, data_of<T>(dy), data_of<T>(winners), p.in[0], p.in[3], p.window);
    } else {
      avg_pool_backward<T>(to, data_of<T>(dy), p.in[0], p.in[3], p.window);
    }
    return dx;
  });
}

// ---- up-sampling, padding, cropping -----------------------------------------------------------------

template <bool BACKWARD>
py::array upsample(const py::object& object, const Sizes& size, const std::string& interpolation,
                   const char* where, const py::object& out) {
  const py::array x = image_array(object, BACKWARD ? "dy" : "x");
  require(size.size() == 2, where, ": expected a size of 2 numbers, got ", size.size());
  const Interpolation kind = parse_interpolation(interpolation, where);
  Extents small = shape_of(x), shape = small;
  for (size_t axis = 1; axis <= 2; ++axis) {
    const int64_t factor = size[axis - 1];
    if (BACKWARD) {
      require(factor >= 1 && x.shape(static_cast<py::ssize_t>(axis)) % factor == 0,
              "dy: expected a height and width that are multiples of ", size[0], " and ", size[1],
              ", got ", shape_text(x));
      shape[axis] = small[axis] /= factor;
    }
    require_upsampling(where, small[axis], factor);
    if (!BACKWARD) shape[axis] *= factor;
  }
  return with_type(x, BACKWARD ? "dy" : "x", [&](auto t) {
    using T = decltype(t);
    py::array y = output_array<T>(out, shape, "out", {{x, BACKWARD ? "dy" : "x"}});
    T* to = mutable_data_of<T>(y);
    if (x.size() == 0) return y;
    const ReleaseGil release;
    const Upsampling<T> upsampling(small[1], small[2], static_cast<index_t>(size[0]),
                                   static_cast<index_t>(size[1]), small[3], kind);
    if (BACKWARD) {
      upsampling.backward(to, data_of<T>(x), small[0]);
    } else {
      upsampling.forward(to, data_of<T>(x), small[0]);
    }
    return y;
  });
}

// `amounts`: top, bottom, left, right.
template <bool CROP>
py::array change_margins(const py::object& object, const Sizes& amounts, const char* where,
                         const py::object& out) {
  const py::array x = image_array(object, "x");
  require(amounts.size() == 4, where, ": expected amounts for 4 sides, got ", amounts.size());
  Extents shape = shape_of(x), small = shape;
  for (size_t i = 0; i < 4; ++i) {
    require(amounts[i] >= 0 && amounts[i] < int64_t(1) << 30, where,
            ": expected amounts of 0 or more and less than 2^30, got ", amounts[i]);
    py::ssize_t& extent = shape[1 + i / 2];
    extent += CROP ? -static_cast<py::ssize_t>(amounts[i]) : static_cast<py::ssize_t>(amounts[i]);
    require(extent >= (CROP ? 1 : 0), where, ": expected amounts that leave something of ",
            shape_text(x), ", got ", amounts[i / 2 * 2], " and ", amounts[i / 2 * 2 + 1]);
  }
  if (CROP) small = shape;
  const auto amount = [&](size_t i) { return static_cast<index_t>(amounts[i]); };
  const Margins margins = {amount(0), amount(1), amount(2), amount(3)};
  return with_type(x, "x", [&](auto t) {
    using T = decltype(t);
    py::array y = output_array<T>(out, shape, "out", {{x, "x"}});
    T* to = mutable_data_of<T>(y);
    const ReleaseGil release;
    const auto change = CROP ? &crop_images<T> : &pad_images<T>;
    change(to, data_of<T>(x), small[0], small[1], small[2], small[3], margins);
    return y;
  });
}

}  // namespace

void add_pool_kernels(py::module_& module) {
  using py::arg;
  using py::object;
  module.def(
      "max_pool2d_forward",
      [](const object& x, const Sizes& pool_size, const Sizes& strides,
         const PaddingOption& padding, const object& out, const object& winners) {
        return max_pool_forward_py(x, {pool_size, strides, padding}, "max_pool2d_forward", out,
                                   winners);
      },
      arg("x"), arg("pool_size"), arg("strides"), arg("padding"), arg("out"), arg("winners"));
  module.def(
      "max_pool2d_backward",
      [](const object& dy, const object& winners, const Sizes& size, const Sizes& pool_size,
         const Sizes& strides, const PaddingOption& padding, const object& out) {
        return pool_backward<true>(dy, winners, size, {pool_size, strides, padding},
                                   "max_pool2d_backward", out);
      },
      arg("dy"), arg("winners"), arg("size"), arg("pool_size"), arg("strides"), arg("padding"),
      arg("out"));
  module.def(
      "avg_pool2d_forward",
      [](const object& x, const Sizes& pool_size, const Sizes& strides,
         const PaddingOption& padding, const object& out) {
        return avg_pool_forward_py(x, {pool_size, strides, padding}, "avg_pool2d_forward", out);
      },
      arg("x"), arg("pool_size"), arg("strides"), arg("padding"), arg("out"));
  module.def(
      "avg_pool2d_backward",
      [](const object& dy, const Sizes& size, const Sizes& pool_size, const Sizes& strides,
         const PaddingOption& padding, const object& out) {
        return pool_backward<false>(dy, py::none(), size, {pool_size, strides, padding},
                                    "avg_pool2d_backward", out);
      },
      arg("dy"), arg("size"), arg("pool_size"), arg("strides"), arg("padding"), arg("out"));
  module.def(
      "upsample2d_forward",
      [](const object& x, const Sizes& size, const std::string& interpolation, const object& out) {
        return upsample<false>(x, size, interpolation, "upsample2d_forward", out);
      },
      arg("x"), arg("size"), arg("interpolation"), arg("out"));
  module.def(
      "upsample2d_backward",
      [](const object& dy, const Sizes& size, const std::string& interpolation, const object& out) {
        return upsample<true>(dy, size, interpolation, "upsample2d_backward", out);
      },
      arg("dy"), arg("size"), arg("interpolation"), arg("out"));
  module.def(
      "zero_padding2d",
      [](const object& x, const Sizes& amounts, const object& out) {
        return change_margins<false>(x, amounts, "zero_padding2d", out);
      },
      arg("x"), arg("padding"), arg("out"));
  module.def(
      "cropping2d",
      [](const object& x, const Sizes& amounts, const object& out) {
        return change_margins<true>(x, amounts, "cropping2d", out);
      },
      arg("x"), arg("cropping"), arg("out"));
}

}  // namespace nnfast::bind
