// Specs from Python's dicts.
#pragma once

#include <pybind11/pybind11.h>

#include "plan/graph/spec.h"

namespace nnfast::bind {

namespace py = pybind11;

// A node from a dict; for losses, metrics and optimisers "name" says which and there is no "op".
plan::NodeSpec node_of(const py::handle& object);

}  // namespace nnfast::bind
