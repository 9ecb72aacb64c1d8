// The window of a convolution or pooling node.
#pragma once

#include "ops/window.h"
#include "plan/graph/spec.h"

namespace nnfast::plan {

// `input` is (H, W, C) or (T, C); anything else is an error that names the node. Attributes: `size`
// is the name of the window size ("kernel_size", "pool_size"), a list with one number per axis;
// "strides" and "dilation_rate" (optional, 1) likewise; "padding" (optional, "valid") is "valid",
// "same" or the numbers before and after for each axis.
Window window_of(const NodeSpec& node, const Shape& input, const char* size);

// The output of the window, (OH, OW, channels) or (T, channels), like the input.
Shape window_shape(const Window& window, const Shape& input, int64_t channels);

}  // namespace nnfast::plan
