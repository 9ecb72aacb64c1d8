"""Symbolic tensors, from which graphs of layers are built."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ClassVar

from nnfast.core.typing import Shape

if TYPE_CHECKING:
    from nnfast.layers.base import Layer

__all__ = ["Tensor", "ancestors"]

_made = itertools.count()


class Tensor:
    """The symbolic output of a layer, which has a shape but no values; ``a + b`` and ``a * b`` are element-wise.

    Attributes
    ----------
    layer : Layer
        The layer that computes it.
    inputs : tuple of Tensor
        The inputs of that layer.
    shape : tuple of int
        Shape of one row, without the batch axis.

    Examples
    --------
    >>> from nnfast import layers
    >>> x = layers.Input((4,))
    >>> y = layers.Dense(4, activation="relu")(x)
    >>> (x + y).shape
    (4,)
    """

    operators: ClassVar[dict[str, Callable[[list[Tensor]], Tensor]]] = {}
    """Implementations of ``+`` and ``*``, registered by the module that defines the layers."""

    def __init__(self, layer: Layer, inputs: tuple[Tensor, ...], shape: Shape) -> None:
        self.layer = layer
        self.inputs = inputs
        self.shape = shape
        self._number = next(_made)

    def __add__(self, other: Tensor) -> Tensor:
        return self.operators["+"]([self, other]) if isinstance(other, Tensor) else NotImplemented

    def __mul__(self, other: Tensor) -> Tensor:
        return self.operators["*"]([self, other]) if isinstance(other, Tensor) else NotImplemented

    def __repr__(self) -> str:
        return f"<Tensor (N{''.join(f', {size}' for size in self.shape)}) of {self.layer!r}>"


def ancestors(outputs: Iterable[Tensor]) -> list[Tensor]:
    """The tensors and everything they depend on, in order of creation: inputs come before outputs."""
    waiting = list(outputs)
    found = {id(output): output for output in waiting}
    while waiting:
        for tensor in waiting.pop().inputs:
            if id(tensor) not in found:
                found[id(tensor)] = tensor
                waiting.append(tensor)
    return sorted(found.values(), key=lambda tensor: tensor._number)
