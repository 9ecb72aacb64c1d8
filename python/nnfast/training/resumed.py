"""What a checkpoint keeps of an unfinished `fit`: its epoch, and the states of its callbacks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nnfast.core.options import flag, integer
from nnfast.core.text import short_repr
from nnfast.core.typing import Array
from nnfast.training.callbacks.base import Callback

if TYPE_CHECKING:
    from nnfast.training.trainer import Trainer

__all__ = ["Resumed", "decoded", "encoded"]

_ARRAY, _NUMBER = "$array", "$number"
"""Keys of dicts that stand for what JSON does not have: an array, by the name of its tensor; NaN and infinity."""


class Resumed(NamedTuple):
    """An unfinished `fit`."""

    epoch: int
    """Index of the epoch that runs, or of the next one."""
    stopped: bool
    """Whether a callback has stopped it: no further epoch is due."""
    callbacks: Sequence[tuple[str, dict[str, Any]]]
    """Classes and states."""

    @classmethod
    def of(cls, trainer: Trainer) -> Resumed | None:
        """That of the running or interrupted `fit` of a trainer, or else what it was resumed from."""
        if trainer.first_epoch is None:
            return trainer.resumed
        states = [(type(callback).__name__, callback.get_state()) for callback in trainer.callbacks]
        return cls(trainer.first_epoch + trainer.epoch, trainer.stop_training, states)

    def hand_over(self, callbacks: Sequence[Callback]) -> None:
        """Give their states to those callbacks that have the class of the one that stood at their position."""
        for callback, (name, state) in zip(callbacks, self.callbacks, strict=False):
            if state and type(callback).__name__ == name:
                callback.set_state(state)

    def describe(self, prefix: str) -> tuple[dict[str, Any], dict[str, Array]]:
        """JSON values, and the tensors they refer to, whose names begin with `prefix`."""
        tensors: dict[str, Array] = {}
        callbacks = [
            {"class": name, "state": encoded(state, f"{name}.get_state()", prefix, tensors)}
            for name, state in self.callbacks
        ]
        return {"epoch": self.epoch, "stopped": self.stopped, "callbacks": callbacks}, tensors

    @classmethod
    def from_description(cls, description: Any, tensors: Mapping[str, Array]) -> Resumed:
        """From the output of `describe`, which is not trusted."""
        callbacks = description.get("callbacks") if isinstance(description, dict) else None
        if not isinstance(callbacks, list):
            raise ValueError(f"expected a description of fit, got {short_repr(description)}")
        states = []
        for one in callbacks:
            name, state = (one.get("class"), one.get("state")) if isinstance(one, dict) else (None, None)
            if not isinstance(name, str) or not isinstance(state, dict):
                raise ValueError(f"expected class and state of a callback, got {short_repr(one)}")
            states.append((name, decoded(state, tensors)))
        epoch = integer("fit", "epoch", description.get("epoch"), minimum=-(2**62))
        return cls(epoch, flag("fit", "stopped", description.get("stopped")), states)


def encoded(value: Any, place: str, prefix: str, tensors: dict[str, Array]) -> Any:
    """A value as JSON has it; arrays are added to `tensors`."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or key.startswith("$"):
                raise ValueError(f"{place}: expected strings that do not begin with $ as keys, got {short_repr(key)}")
        return {key: encoded(item, f"{place}[{key!r}]", prefix, tensors) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encoded(item, f"{place}[{i}]", prefix, tensors) for i, item in enumerate(value)]
    if isinstance(value, np.ndarray):
        if value.dtype not in (np.float32, np.float64):
            raise TypeError(f"{place}: expected an array of float32 or float64, got {value.dtype}; use tolist()")
        name = f"{prefix}{len(tensors)}"
        tensors[name] = value
        return {_ARRAY: name}
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and not math.isfinite(plain):
        return {_NUMBER: str(plain)}
    if plain is None or isinstance(plain, bool | int | float | str):
        return plain
    raise TypeError(
        f"{place}: expected numbers, strings, None, lists, dicts and arrays, got {short_repr(value)}; leave it out of "
        "get_state, or convert it"
    )


def decoded(value: Any, tensors: Mapping[str, Array]) -> Any:
    """The value that `encoded` was given, with lists in place of tuples."""
    if isinstance(value, list):
        return [decoded(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {_NUMBER} and value[_NUMBER] in ("nan", "inf", "-inf"):
        return float(value[_NUMBER])
    if set(value) == {_ARRAY} and isinstance(value[_ARRAY], str) and value[_ARRAY] in tensors:
        return tensors[value[_ARRAY]]
    if any(key.startswith("$") for key in value):
        raise ValueError(f"expected the state of a callback, got {short_repr(value)}")
    return {key: decoded(item, tensors) for key, item in value.items()}
