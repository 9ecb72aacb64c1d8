// Data augmentation as an option of a plan, with a spec like that of a loss or an optimizer.
#pragma once

#include "ops/image/augment.h"
#include "plan/graph/spec.h"

namespace nnfast::plan {

// Smaller stream numbers are those of nodes, those from 2^31 on are for the order of rows.
constexpr uint32_t kAugmentationStream = 3u << 29;

// For images of the given shape, which must be (H, W, C). Random numbers and the rescaling
// afterwards are set later.
AugmentParams parse_augmentation(const NodeSpec& spec, const Shape& image);

}  // namespace nnfast::plan
