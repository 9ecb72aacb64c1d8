// The activation function given by the attributes "activation" and "alpha" of a node.
#pragma once

#include "kernels/select.h"
#include "plan/graph/spec.h"

namespace nnfast::plan {

// Identity if the node has none.
ActivationParams activation_of(const NodeSpec& node);

// A node with only that activation.
NodeSpec activation_alone(const NodeSpec& node);

}  // namespace nnfast::plan
