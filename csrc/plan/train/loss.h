// Losses and loss metrics, from their descriptions.
#pragma once

#include "ops/loss.h"
#include "plan/graph/graph.h"

namespace nnfast::plan {

LossOptions loss_options(const NodeSpec& spec, bool on_logits);

// Whether the description says that the network outputs logits.
bool wants_logits(const NodeSpec& loss);

// Whether the loss reads logits, so that the last softmax or sigmoid of the network is left to it.
// Checks that the end of the network fits the loss.
bool loss_takes_logits_of(const NodeSpec& loss, const GraphNode& output);

}  // namespace nnfast::plan
