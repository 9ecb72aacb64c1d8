#include "ops/window.h"

#include "base/check.h"

namespace nnfast {
namespace {

// Sizes below this cannot overflow when they are multiplied or added pairwise.
constexpr int64_t kLargest = int64_t(1) << 30;

void require_sizes(const std::string& where, const char* what, const std::vector<int64_t>& sizes,
                   size_t axes, int64_t minimum) {
  require(sizes.size() == axes, where, ": expected ", what, " of ", axes, " numbers, got ",
          sizes.size());
  for (const int64_t size : sizes) {
    require(size >= minimum && size < kLargest, where, ": expected ", what, " of ", minimum,
            " or more and less than 2^30, got ", size);
  }
}

WindowAxis make_axis(const std::string& where, const char* axis, int64_t in, int64_t kernel,
                     int64_t stride, int64_t dilation, const Padding& padding, size_t index) {
  WindowAxis a;
  a.in = static_cast<index_t>(in);
  a.kernel = static_cast<index_t>(kernel);
  a.stride = static_cast<index_t>(stride);
  a.dilation = static_cast<index_t>(dilation);
  require((kernel - 1) <= kLargest / dilation, where, ": expected a window of less than 2^30, got ",
          kernel, " taps with a dilation of ", dilation);
  if (padding.name == "same") {
    const index_t out = (a.in + a.stride - 1) / a.stride;
    const index_t needed = (out - 1) * a.stride + a.span() - a.in;
    const index_t total = needed > 0 ? needed : 0;
    a.before = total / 2;
    a.after = total - a.before;
  } else if (padding.name.empty()) {
    a.before = static_cast<index_t>(padding.amounts[2 * index]);
    a.after = static_cast<index_t>(padding.amounts[2 * index + 1]);
  }
  const index_t padded = a.in + a.before + a.after;
  require(a.span() <= padded, where, ": expected a window of at most the padded input's ", axis,
          ", ", padded, ", got one of ", a.span(), "; use padding=\"same\" or a smaller window");
  a.out = (padded - a.span()) / a.stride + 1;
  return a;
}

}  // namespace

Window make_window(const std::string& where, const std::vector<int64_t>& in,
                   const std::vector<int64_t>& kernel, const std::vector<int64_t>& strides,
                   const std::vector<int64_t>& dilation, const Padding& padding) {
  const size_t axes = in.size();
  require_sizes(where, "an input size", in, axes, 1);
  require_sizes(where, "a window size", kernel, axes, 1);
  require_sizes(where, "strides", strides, axes, 1);
  require_sizes(where, "a dilation", dilation, axes, 1);
  require(padding.name.empty() || padding.name == "valid" || padding.name == "same", where,
          ": expected padding \"valid\", \"same\" or numbers, got '", padding.name, "'");
  if (padding.name.empty()) require_sizes(where, "padding", padding.amounts, 2 * axes, 0);
  Window window;
  size_t axis = 0;
  if (axes == 2) {
    window.h =
        make_axis(where, "height", in[0], kernel[0], strides[0], dilation[0], padding, axis++);
  }
  window.w = make_axis(where, axes == 2 ? "width" : "length", in[axis], kernel[axis], strides[axis],
                       dilation[axis], padding, axis);
  return window;
}

}  // namespace nnfast
