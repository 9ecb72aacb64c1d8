// Specs from Python dicts.
#pragma once

#include <pybind11/pybind11.h>

#include "plan/graph/spec.h"

namespace nnfast::bind {

namespace py = pybind11;

// A node from a dict; for losses, metrics and optimizers, "name" replaces "op".
plan::NodeSpec node_of(const py::handle& object);

}  // namespace nnfast::bind
