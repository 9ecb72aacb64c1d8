"""How a trainer creates plans and passes its progress from one to the next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nnfast import _core
from nnfast.network import Network

__all__ = ["continue_from", "progress_of", "smallest_capacity"]

_SMALLEST_CAPACITY = 32
"""Minimum capacity of a plan in rows, so that evaluation is fast even when training uses tiny batches ..."""
_SMALLEST_BYTES = 1 << 24
"""... but at most the rows whose tensors fit in this much memory, or one: large rows keep the cores busy anyway."""


def progress_of(plan: _core.Plan) -> dict[str, Any]:
    """State and counters of an optimizer, from which another plan can continue."""
    return {"iteration": plan.iteration, "steps": plan.steps, "state": plan.state()}


def continue_from(plan: _core.Plan, progress: Mapping[str, Any]) -> None:
    """Let a plan continue from the progress of another."""
    plan.iteration = progress["iteration"]
    plan.steps = progress["steps"]
    for name, vector in plan.state().items():
        vector[...] = progress["state"][name]


def smallest_capacity(network: Network) -> int:
    """Capacity, in rows, of the first plan of a network."""
    _, shapes, _ = network.architecture.infer()
    row = sum(math.prod(shape) for shape in shapes.values()) * network.flat().itemsize
    return max(1, min(_SMALLEST_CAPACITY, _SMALLEST_BYTES // row))
