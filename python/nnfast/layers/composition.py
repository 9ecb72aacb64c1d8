"""How a user-defined layer becomes a graph: its weights, and the tensors that its `call` computes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from nnfast.core.tensor import Tensor, ancestors

__all__ = ["Composition", "Named", "Trace", "assign_names"]


class Named(Protocol):
    """What has a name, or gets one."""

    @property
    def name(self) -> str | None: ...
    def default_name(self) -> str: ...
    def take_name(self, name: Any) -> None: ...


class Trace(NamedTuple):
    """One call of a user-defined layer."""

    inputs: tuple[Tensor, ...]
    """Stand-ins for the arguments."""
    outputs: tuple[Tensor, ...]
    losses: tuple[Tensor, ...]
    calls: tuple[Tensor, ...]
    """The calls of layers on which outputs and losses depend, in order, by their first output."""

    @classmethod
    def of(cls, where: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], losses: Sequence[Tensor]) -> Trace:
        """The trace of a call, in which layers without a name get one."""
        stand_ins = {id(tensor) for tensor in inputs}
        calls = tuple(tensor for tensor in ancestors([*outputs, *losses]) if id(tensor) not in stand_ins)
        for tensor in calls:
            if not tensor.inputs and tensor.layer.num_inputs == 0 and not tensor.layer.fixed:
                raise ValueError(
                    f"{where}: expected call to use its arguments, weights and constants only, got {tensor!r} from "
                    "outside; pass it as a further input"
                )
        assign_names([tensor.layer for tensor in calls], where)
        return cls(tuple(inputs), tuple(outputs), tuple(losses), calls)


class Composition:
    """What a user-defined layer consists of."""

    def __init__(self) -> None:
        self.built = False
        self.weights: dict[str, Any] = {}
        """By name: the layers that stand for them."""
        self.layers: dict[str, Any] = {}
        """The layers that `call` uses, by name."""
        self.losses: list[Tensor] = []
        """Those that were added in the current call."""
        self.traces: dict[tuple[tuple[int, ...] | None, ...], Trace] = {}


def assign_names(layers: Iterable[Named], where: str = "Network") -> None:
    """Give every layer without a name the default one, numbered if it is taken; refuse equal names."""
    taken: set[str] = set()
    layers = list({id(layer): layer for layer in layers}.values())
    for layer in layers:
        if layer.name in taken:
            raise ValueError(f"{where}: expected different names of layers, got {layer.name!r} twice; rename one")
        if layer.name is not None:
            taken.add(layer.name)
    for layer in layers:
        if layer.name is None:
            base = name = layer.default_name()
            number = 0
            while name in taken:
                number += 1
                name = f"{base}_{number}"
            layer.take_name(name)
            taken.add(name)
