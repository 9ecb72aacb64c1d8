#include "plan/augmentation.h"

namespace nnfast::plan {

AugmentParams parse_augmentation(const NodeSpec& spec, const Shape& image) {
  const std::string where = "augmentation";
  require(image.size() == 3, where, ": expected images of shape (N, H, W, C), got ",
          batch_shape_text(image), "; begin the network with layers.Input((H, W, C))");
  require_known(spec,
                "horizontal_flip vertical_flip shift crop_padding rotation shear zoom brightness "
                "contrast cutout fill fill_value");
  AugmentParams p{};
  p.height = image[0];
  p.width = image[1];
  p.channels = image[2];
  p.horizontal_flip = spec.integer_or("horizontal_flip", 0) != 0;
  p.vertical_flip = spec.integer_or("vertical_flip", 0) != 0;
  p.shift = spec.number_or("shift", 0);
  p.crop_padding = spec.integer_or("crop_padding", 0);
  p.rotation = spec.number_or("rotation", 0) / 360;
  p.shear = spec.number_or("shear", 0) / 360;
  p.zoom = spec.number_or("zoom", 0);
  p.brightness = spec.number_or("brightness", 0);
  p.contrast = spec.number_or("contrast", 0);
  p.cutout = spec.integer_or("cutout", 0);
  p.fill = parse_fill(spec.has("fill") ? spec.string("fill") : "constant", where);
  p.fill_value = spec.number_or("fill_value", 0);
  p.scale = 1;
  require_augmentation(p, where);
  return p;
}

}  // namespace nnfast::plan
