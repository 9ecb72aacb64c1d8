// Augmentation as an option of a plan: a spec like a loss's or an optimizer's.
#pragma once

#include "ops/image/augment.h"
#include "plan/graph/spec.h"

namespace nnfast::plan {

// Streams of random numbers below are those of nodes, those from 2^31 on of the order of rows.
constexpr uint32_t kAugmentationStream = 3u << 29;

// For images of the given shape, which must be (H, W, C). Random numbers and the rescaling
// afterwards are still to be set.
AugmentParams parse_augmentation(const NodeSpec& spec, const Shape& image);

}  // namespace nnfast::plan
