// A window that slides over the two axes of an image, for convolution and pooling.
#pragma once

#include <string>
#include <vector>

#include "base/types.h"

namespace nnfast {

// One axis: output position `o` sees the inputs o * stride + tap * dilation - before, 0 <= tap < kernel.
struct WindowAxis {
  index_t in = 1, out = 1, kernel = 1, stride = 1, dilation = 1;
  index_t before = 0, after = 0;  // padding

  index_t span() const { return (kernel - 1) * dilation + 1; }
};

struct Window {
  WindowAxis h, w;

  bool is_padded() const { return h.before || h.after || w.before || w.after; }
};

// "valid": none. "same": output size ceil(in / stride), an odd element of padding coming last (as
// in Keras). Otherwise explicit: before and after for each axis, (top, bottom, left, right) or
// (left, right).
struct Padding {
  std::string name;  // "valid", "same", or "" for explicit
  std::vector<int64_t> amounts;
};

// `axes` is 1 (then h is trivial) or 2; the vectors hold one number per axis. Throws a ValueError
// that names `where` if a size is not positive or too large, or the window is larger than the
// padded input.
Window make_window(const std::string& where, const std::vector<int64_t>& in,
                   const std::vector<int64_t>& kernel, const std::vector<int64_t>& strides,
                   const std::vector<int64_t>& dilation, const Padding& padding);

}  // namespace nnfast
