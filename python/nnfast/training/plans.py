"""How a trainer creates plans and passes its progress from one to the next."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nnfast import _core
from nnfast.core.typing import Array
from nnfast.network import Network

if TYPE_CHECKING:
    from nnfast.training.trainer import Trainer

__all__ = ["AVERAGE", "continue_from", "parts_of", "progress_of", "smallest_capacity", "take_over"]

AVERAGE = "weight_average"
"""The state vector with the moving average of the parameters."""

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


def take_over(trainer: Trainer, other: Trainer) -> None:
    """Let a trainer and its network continue from a trainer of the same settings for a network of the same layers."""
    trainer.network.take_over(other.network)
    continue_from(trainer.plan, progress_of(other.plan))
    trainer.optimizer.learning_rate = other.optimizer.learning_rate
    trainer.position = copy.deepcopy(other.position)
    trainer.epoch = other.epoch


def smallest_capacity(network: Network) -> int:
    """Capacity, in rows, of the first plan of a network."""
    _, shapes, _ = network.architecture.infer()
    row = sum(math.prod(shape) for shape in shapes.values()) * network.flat().itemsize
    return max(1, min(_SMALLEST_CAPACITY, _SMALLEST_BYTES // row))


def parts_of(network: Network, vector: Array) -> dict[str, Array]:
    """Views of a vector with the layout of the parameters, by parameter."""
    flat = network.flat()
    parts = {}
    for name, view in network.parameters.items():
        first = (view.ctypes.data - flat.ctypes.data) // flat.itemsize
        parts[name] = vector[first : first + view.size].reshape(view.shape)
    return parts
