"""Optimizers: update rules for the parameters. An update is a single pass over all parameters in the core.

All take this parameter, which may be changed at any time; other options are fixed once an optimizer is constructed:

learning_rate : float, Schedule or callable
    A number of 0 or more, a schedule from `nnfast.schedules`, or a function of the step (0, 1, 2, ...).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnfast import schedules
from nnfast.core.options import (
    choose,
    custom_classes,
    description_of,
    from_config,
    function_name,
    module_names,
    public_classes,
)
from nnfast.optimizers.adam import Adam, Adamax, AdamW, MomentEstimates, Nadam
from nnfast.optimizers.base import Optimizer
from nnfast.optimizers.lamb import Lamb
from nnfast.optimizers.lbfgs import LBFGS
from nnfast.optimizers.lion import Lion
from nnfast.optimizers.muon import Muon
from nnfast.optimizers.rmsprop import Adadelta, Adagrad, RMSprop
from nnfast.optimizers.sgd import SGD

__all__ = [
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lamb",
    "Lion",
    "Muon",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "get",
]

__getattr__, __dir__ = module_names(__name__, __all__)

CLASSES = public_classes(Optimizer, MomentEstimates)
_NAMES = {c.name: c for c in CLASSES.values()}


def get(optimizer: Any) -> Optimizer:
    """Look up an optimizer by name, with default options.

    Parameters
    ----------
    optimizer : Optimizer or str
        Case is ignored in names.

    Examples
    --------
    >>> from nnfast import optimizers
    >>> optimizers.get("adam")
    Adam()
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, type):
        raise TypeError(f"optimizer: expected an optimizer, got a class; write {optimizer.__name__}()")
    return _NAMES[choose("optimizer", optimizer, _NAMES, {})]()


def describe(optimizer: Optimizer) -> dict[str, Any]:
    """Description of an optimizer for checkpoints; a learning-rate function is stored by its name only."""
    description = description_of(optimizer)
    config = description["config"]
    if callable(config["learning_rate"]):
        config["learning_rate"] = {"function": function_name(config["learning_rate"])}
    return description


def from_description(description: Any, custom_objects: Mapping[str, Any]) -> Optimizer:
    """Optimizer from the output of `describe`; functions and user-defined classes are looked up in `custom_objects`."""
    config = description.get("config") if isinstance(description, Mapping) else None
    rate = config.get("learning_rate") if isinstance(config, Mapping) else None
    if isinstance(config, Mapping) and isinstance(rate, Mapping):
        found: Any
        if "function" in rate:
            found = custom_objects[choose("learning rate in custom_objects", rate["function"], custom_objects)]
        else:
            found = schedules.from_description(rate, custom_objects)
        description = {**description, "config": {**config, "learning_rate": found}}
    return from_config("optimizer", description, CLASSES | custom_classes(custom_objects, Optimizer))
