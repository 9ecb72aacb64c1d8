#include "plan/nodes/window.h"

namespace nnfast::plan {
namespace {

Padding padding_of(const NodeSpec& node) {
  if (!node.has("padding")) return {"valid", {}};
  const Attribute& padding = node.attributes.at("padding");
  if (const auto* name = std::get_if<std::string>(&padding)) return {*name, {}};
  return {"", node.integers("padding")};
}

}  // namespace

Window window_of(const NodeSpec& node, const Shape& input, const char* size) {
  const std::vector<int64_t>& kernel = node.integers(size);
  const bool image = kernel.size() == 2;
  require(kernel.size() == 1 || image, node.name, ": expected ", size, " of 1 or 2 numbers, got ",
          kernel.size());
  require(input.size() == kernel.size() + 1, node.name, ": expected an input of ",
          image ? "(N, H, W, C)" : "(N, T, C)", ", got ", batch_shape_text(input),
          "; use layers.Reshape to add an axis");
  const std::vector<int64_t> ones(kernel.size(), 1);
  return make_window(node.name, {input.begin(), input.end() - 1}, kernel,
                     node.has("strides") ? node.integers("strides") : ones,
                     node.has("dilation_rate") ? node.integers("dilation_rate") : ones,
                     padding_of(node));
}

Shape window_shape(const Window& window, const Shape& input, int64_t channels) {
  if (input.size() == 2) return {window.w.out, channels};
  return {window.h.out, window.w.out, channels};
}

}  // namespace nnfast::plan
