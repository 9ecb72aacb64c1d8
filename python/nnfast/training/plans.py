"""What a trainer asks of its plan, and hands on to the next one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nnfast import _core
from nnfast.network import Network

__all__ = ["continue_from", "progress_of", "smallest_capacity"]

_SMALLEST_CAPACITY = 32
"""Rows for which a plan is made at least, so that evaluation is quick beside training with tiny batches ..."""
_SMALLEST_BYTES = 1 << 24
"""... but no more than fit with all their tensors in so much memory, or one: large rows keep the cores busy anyway."""


def progress_of(plan: _core.Plan) -> dict[str, Any]:
    """What an optimiser has counted and kept, which another plan can go on from."""
    return {"iteration": plan.iteration, "steps": plan.steps, "state": plan.state()}


def continue_from(plan: _core.Plan, progress: Mapping[str, Any]) -> None:
    """Let a plan continue from the progress of another."""
    plan.iteration = progress["iteration"]
    plan.steps = progress["steps"]
    for name, vector in plan.state().items():
        vector[...] = progress["state"][name]


def smallest_capacity(network: Network) -> int:
    """Rows for which the first plan of a network is made."""
    _, shapes, _ = network.architecture.infer()
    row = sum(math.prod(shape) for shape in shapes.values()) * network.flat().itemsize
    return max(1, min(_SMALLEST_CAPACITY, _SMALLEST_BYTES // row))
