"""Symbolic tensors, from which graphs of layers are built."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ClassVar

from nnfast.core.typing import Shape

if TYPE_CHECKING:
    from nnfast.layers.base import Layer

__all__ = ["Tensor", "ancestors", "node_of", "output_name"]

_made = itertools.count()


class Tensor:
    """A symbolic output of a layer: it has a shape but no values.

    ``a + b``, ``a - b`` and ``a * b`` are element-wise.

    Attributes
    ----------
    layer : Layer
        The layer that computes it.
    inputs : tuple of Tensor
        The inputs of that layer.
    shape : tuple of int
        Shape of one row, without the batch axis.
    index : int
        Which output of the layer it is, from 0.

    Examples
    --------
    >>> from nnfast import layers
    >>> x = layers.Input((4,))
    >>> y = layers.Dense(4, activation="relu")(x)
    >>> (x + y).shape
    (4,)
    """

    operators: ClassVar[dict[str, Callable[[list[Tensor]], Tensor]]] = {}
    """Implementations of ``+``, ``-`` and ``*``, registered by the module that defines the layers."""

    def __init__(
        self, layer: Layer, inputs: tuple[Tensor, ...], shape: Shape, index: int = 0, first: Tensor | None = None
    ) -> None:
        self.layer = layer
        self.inputs = inputs
        self.shape = shape
        self.index = index
        self._first = first
        self._number = next(_made)

    @property
    def first(self) -> Tensor:
        """The first output of the same call of the layer, which stands for the call."""
        return self if self._first is None else self._first

    def __add__(self, other: Tensor) -> Tensor:
        return self.operators["+"]([self, other]) if isinstance(other, Tensor) else NotImplemented

    def __sub__(self, other: Tensor) -> Tensor:
        return self.operators["-"]([self, other]) if isinstance(other, Tensor) else NotImplemented

    def __mul__(self, other: Tensor) -> Tensor:
        return self.operators["*"]([self, other]) if isinstance(other, Tensor) else NotImplemented

    def __repr__(self) -> str:
        output = f", output {self.index}" if self.index else ""
        return f"<Tensor (N{''.join(f', {size}' for size in self.shape)}){output} of {self.layer!r}>"


def output_name(node: str, index: int) -> str:
    """The name of one of a node's outputs, as the core has it: of the first "split", of the next one "split#1"."""
    return f"{node}#{index}" if index else node


def node_of(output: str) -> str:
    """The node that has an output of that name, the reverse of `output_name`."""
    return output.partition("#")[0]


def ancestors(outputs: Iterable[Tensor]) -> list[Tensor]:
    """The calls on which tensors depend, each by its first output, in order of creation: inputs come before outputs."""
    waiting = [output.first for output in outputs]
    found = {id(tensor): tensor for tensor in waiting}
    while waiting:
        for tensor in waiting.pop().inputs:
            if id(tensor.first) not in found:
                found[id(tensor.first)] = tensor.first
                waiting.append(tensor.first)
    return sorted(found.values(), key=lambda tensor: tensor._number)
