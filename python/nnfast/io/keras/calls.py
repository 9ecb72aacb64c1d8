"""Keras's descriptions of the calls of layers: which outputs of others they take, and which numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from nnfast.core.tensor import Tensor
from nnfast.core.text import short_repr

__all__ = [
    "MAX_CALLS",
    "Budget",
    "Key",
    "arguments_of",
    "flat",
    "modern",
    "names_of",
    "output_of",
    "references",
    "shifted",
    "tensor_of",
    "tensors_in",
]

MAX_CALLS: Final = 10_000
"""Of the layers of all models in a file, in models that are called several times and for each step of a sequence."""
_MAX_DEPTH: Final = 20
"""Of lists in lists."""
Key = tuple[str, int]
"""A call of a layer of Keras: its name, and the number of the call."""
Reference = tuple[str, int, int]
"""An output of a call: name of the layer, number of the call, number of the output."""


class Budget:
    """How many calls are left: models in models that are each called twice would be too many without one."""

    def __init__(self) -> None:
        self._left = 2 * MAX_CALLS  # each layer, and each call

    def spend(self, calls: int) -> None:
        """Count calls of layers."""
        self._left -= calls
        if self._left < 0:
            raise ValueError(f"expected at most {MAX_CALLS} calls of layers, got more")


def tensor_of(name: str, number: int = 0, output: int = 0) -> dict[str, Any]:
    """The description of an output of a call."""
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, number, output]}}


def reference(value: Any) -> Reference:
    """A reference of a file, checked."""
    if (
        not isinstance(value, list)
        or len(value) < 3
        or not isinstance(value[0], str)
        or not all(type(number) is int and 0 <= number <= MAX_CALLS for number in value[1:3])
    ):
        raise ValueError(f"expected a layer with numbers of a call and an output, got {short_repr(value)}")
    return value[0], value[1], value[2]


def references(value: Any) -> list[Reference]:
    """The references that are the inputs or outputs of a model, in any form."""
    values = list(value.values()) if isinstance(value, Mapping) else value
    if not isinstance(values, list) or not values:
        raise ValueError(f"expected layers as outputs, got {short_repr(value)}")
    return [reference(values)] if isinstance(values[0], str) else [reference(item) for item in values]


def names_of(value: Any) -> list[str]:
    """The names of the inputs of a model."""
    return [name for name, _, _ in references(value)]


def modern(call: Any, models: Collection[str]) -> Any:
    """The description of a call as Keras 3 has it; Keras 2 has a list of [name, call, output, keywords].

    `models` are the names of the layers that are models, whose calls Keras 2 counts from 1.
    """
    if not isinstance(call, list):
        return call
    items = [call] if call and isinstance(call[0], str) else call
    keywords: dict[str, Any] = {}
    tensors = []
    for item in items:
        tensors.append(tensor_of(*shifted(reference(item), models)))
        more = item[3] if len(item) > 3 else {}
        if not isinstance(more, dict) or any(isinstance(value, list) for value in more.values()):
            raise ValueError(f"expected a call without tensors by keyword in a file of Keras 2, got {short_repr(more)}")
        keywords |= more
    return {"args": tensors if len(tensors) == 1 else [tensors], "kwargs": keywords}


def shifted(given: Reference, models: Collection[str]) -> Reference:
    """A reference that counts the calls of models from 0 too."""
    name, number, output = given
    return (name, number - 1, output) if number and name in models else given


def tensors_in(value: Any, depth: int = 0) -> Iterable[Reference]:
    """The tensors in the description of a call."""
    if depth > _MAX_DEPTH:
        raise ValueError("expected arguments of calls that are nested less deeply")
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            yield reference(value.get("config", {}).get("keras_history"))
        else:
            for item in value.values():
                yield from tensors_in(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from tensors_in(item, depth + 1)


def arguments_of(where: str, call: Any, values: Mapping[Key, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a layer is called on."""
    if not isinstance(call, dict) or not isinstance(call.get("args"), list):
        raise ValueError(f"{where}: expected a call with its arguments, got {short_repr(call)}")
    arguments = tuple(_value(item, values) for item in call["args"])
    keywords = call.get("kwargs", {})
    if not isinstance(keywords, dict):
        raise ValueError(f"{where}: expected keyword arguments by name, got {short_repr(keywords)}")
    if keywords.get("training") is True:
        raise ValueError(f"{where}: expected a layer that predicts in predictions, got a call with training=True")
    given = {
        key: _value(value, values)
        for key, value in keywords.items()
        if key not in ("training", "mask") and value is not None and value is not False
    }
    if not arguments and given:
        arguments = (given.pop(next(iter(given))),)
    return arguments, given


def _value(value: Any, values: Mapping[Key, Any]) -> Any:
    if isinstance(value, dict):
        kind, config = value.get("class_name"), value.get("config", {})
        if kind == "__keras_tensor__":
            return output_of(values, reference(config.get("keras_history")))
        if kind == "__slice__":
            return slice(config.get("start"), config.get("stop"), config.get("step"))
        if kind == "__ellipsis__":
            return Ellipsis
        if kind == "__tuple__":
            return tuple(_value(item, values) for item in value.get("items", []))
        raise ValueError(f"expected numbers and tensors as arguments of calls, got {short_repr(value)}")
    if isinstance(value, list):
        items = [_value(item, values) for item in value]
        return items if any(isinstance(item, Tensor) for item in items) else tuple(items)
    return value


def output_of(values: Mapping[Key, Any], reference: Reference) -> Any:
    """One of the outputs of a call that has been made."""
    name, call, number = reference
    found = values[name, call]
    if isinstance(found, Mapping):
        found = list(found.values())
    if not isinstance(found, list | tuple):
        found = [found]
    if number >= len(found):
        raise ValueError(f"{name}: expected an output that it has, got number {number}")
    return found[number]


def flat(arguments: Iterable[Any]) -> Iterable[Any]:
    """The tensors in lists of arguments."""
    for argument in arguments:
        if isinstance(argument, list | tuple):
            yield from flat(argument)
        else:
            yield argument
