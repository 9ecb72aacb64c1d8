"""Schedules: learning rates that change from step to step, accepted by optimizers in place of a number.

A schedule is called with the index of the step (0, 1, 2, ...). Checkpoints store schedules, so resumed training
continues on the same curve. A plain function works too, but checkpoints store only its name.

>>> from nnfast import optimizers, schedules
>>> optimizers.SGD(schedules.Cosine(0.1, steps=100), momentum=0.9)
SGD(learning_rate=Cosine(0.1, 100), momentum=0.9)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnfast.core.hints import SCHEDULES
from nnfast.core.options import custom_classes, from_config, module_names, public_classes
from nnfast.schedules.base import Constant, Schedule
from nnfast.schedules.cosine import Cosine, CosineRestarts, OneCycle
from nnfast.schedules.decay import Exponential, InverseTime, Piecewise, Polynomial
from nnfast.schedules.keras import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
from nnfast.schedules.warmup import Warmup

__all__ = [
    "Constant",
    "Cosine",
    "CosineDecay",
    "CosineDecayRestarts",
    "CosineRestarts",
    "Exponential",
    "ExponentialDecay",
    "InverseTime",
    "InverseTimeDecay",
    "OneCycle",
    "Piecewise",
    "PiecewiseConstantDecay",
    "Polynomial",
    "PolynomialDecay",
    "Schedule",
    "Warmup",
]

__getattr__, __dir__ = module_names(__name__, __all__, SCHEDULES)

_CLASSES = public_classes(Schedule)
_DEEPEST = 16
"""Levels of schedules within schedules in a file; nobody needs as many."""


def from_description(description: Any, custom_objects: Mapping[str, Any], levels: int = _DEEPEST) -> Schedule:
    """Schedule from a checkpoint's description; user-defined classes are looked up in `custom_objects` only.

    Arguments that are descriptions themselves are schedules within the schedule.
    """
    if isinstance(description, Mapping) and isinstance(description.get("config"), Mapping):
        if not levels:
            raise ValueError(f"schedule: expected at most {_DEEPEST} schedules within each other")
        config = {
            name: from_description(value, custom_objects, levels - 1) if _is_description(value) else value
            for name, value in description["config"].items()
        }
        description = {**description, "config": config}
    return from_config("schedule", description, _CLASSES | custom_classes(custom_objects, Schedule))


def _is_description(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"class", "config"}
