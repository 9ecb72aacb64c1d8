// The window of a convolution's or a pooling's node.
#pragma once

#include "ops/window.h"
#include "plan/graph/spec.h"

namespace nnfast::plan {

// `input` is (H, W, C) or (T, C); anything else is an error that names the node. Attributes: `size`
// names the window's own ("kernel_size", "pool_size"), a list with a number for each axis; "strides"
// and "dilation_rate" (optional, 1) likewise; "padding" (optional, "valid") is "valid", "same" or the
// numbers before and after for each axis.
Window window_of(const NodeSpec& node, const Shape& input, const char* size);

// The window's output, (OH, OW, channels) or (T, channels) as the input is.
Shape window_shape(const Window& window, const Shape& input, int64_t channels);

}  // namespace nnfast::plan
