"""Trainers, callbacks, checkpoints, and the history of training.

`Trainer` and `History` are in nnfast itself, callbacks in `nnfast.callbacks`. Here are the protocol of data that are
produced on demand, and the search for a learning rate.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from nnfast.core.options import unknown_attribute
from nnfast.training.dataset import Dataset

if TYPE_CHECKING:
    from nnfast.training.learning_rate_finder import LearningRateCurve, find_learning_rate

__all__ = ["Dataset", "LearningRateCurve", "find_learning_rate"]

_ON_DEMAND = {"LearningRateCurve": "learning_rate_finder", "find_learning_rate": "learning_rate_finder"}
"""Modules imported with the first use of what they define."""


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        return getattr(importlib.import_module(f"{__name__}.{_ON_DEMAND[name]}"), name)
    raise unknown_attribute(__name__, name, __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
