#include "ops/conv/shape.h"

#include <algorithm>

#include "base/check.h"

namespace nnfast {

void require_bounded_padding(const std::string& where, const Window& window) {
  // Every image may be padded up to this many pixels.
  constexpr index_t limit = 1 << 22;
  const WindowAxis &h = window.h, &w = window.w;
  const index_t height = h.in + h.before + h.after, width = w.in + w.before + w.after;
  const auto area = [](index_t a, index_t b) {
    return static_cast<double>(a) * static_cast<double>(b);
  };
  require(area(height, width) <= std::max<double>(limit, 4 * area(h.in, w.in)), where,
          ": expected padding to at most 4 times the input, or ", limit, " pixels, got ", h.in,
          " x ", w.in, " padded to ", height, " x ", width,
          "; use a smaller kernel_size, dilation_rate or padding");
}

}  // namespace nnfast
