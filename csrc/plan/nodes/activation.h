// The activation that a node names by its attributes "activation" and "alpha".
#pragma once

#include "kernels/select.h"
#include "plan/graph/spec.h"

namespace nnfast::plan {

// Identity where the node names none.
ActivationParams activation_of(const NodeSpec& node);

// The node of that activation alone.
NodeSpec activation_alone(const NodeSpec& node);

}  // namespace nnfast::plan
