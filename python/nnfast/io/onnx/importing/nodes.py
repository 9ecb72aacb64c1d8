"""Nodes of an ONNX graph as the functions that import them see them, and the table of these functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nnfast.core.text import short_repr
from nnfast.core.typing import Array, Shape
from nnfast.io.onnx.importing.errors import NeedsConstant, Unsupported
from nnfast.io.onnx.importing.layout import View
from nnfast.io.onnx.messages import AttributeProto, AttributeType, NodeProto
from nnfast.io.onnx.tensors import to_array

if TYPE_CHECKING:
    from nnfast.io.onnx.importing.building import Builder

__all__ = ["MAX_NUMBERS", "Const", "Node", "Value", "importers", "imports", "slim"]


MAX_NUMBERS: Final = 1 << 28
"""Of all weights: 1 GiB in float32. Graphs can ask for far more than their file holds."""


class Const:
    """Numbers that are known at import.

    Parameters
    ----------
    array : ndarray
        Repeated numbers may take no memory (strides of 0).
    source : str, optional
        The initializer of the graph that has these numbers, in this or in another order.
    """

    __slots__ = ("array", "source")

    def __init__(self, array: Array, source: str | None = None) -> None:
        self.array = array
        self.source = source

    @property
    def shape(self) -> Shape:
        return self.array.shape

    def permuted(self, order: Sequence[int]) -> Const:
        """The axes in another order, as of a `View`."""
        return Const(np.transpose(self.array, order), self.source)


Value = View | Const


def slim(array: Array) -> Array:
    """With one element along axes along which the same numbers are repeated without taking memory."""
    keys = [
        slice(0, 1) if size > 1 and not step else slice(None)
        for size, step in zip(array.shape, array.strides, strict=True)
    ]
    return array[tuple(keys)]


Importer = Callable[["Node"], Any]
importers: Final[dict[tuple[str, str], Importer]] = {}
"""The function for each operation, by domain and name. It returns the value of the output, or a list of them."""


def imports(*names: str, domain: str = "") -> Callable[[Importer], Importer]:
    """Register a function as the importer of operations."""

    def register(function: Importer) -> Importer:
        importers.update({(domain, name): function for name in names})
        return function

    return register


_SINGLE: Final = {
    "i": AttributeType.INT,
    "f": AttributeType.FLOAT,
    "s": AttributeType.STRING,
    "t": AttributeType.TENSOR,
}
_SEVERAL: Final = {"ints": AttributeType.INTS, "floats": AttributeType.FLOATS, "strings": AttributeType.STRINGS}


class Node:
    """A node with the values of its inputs."""

    def __init__(self, proto: NodeProto, inputs: Sequence[Value | None], version: int, builder: Builder) -> None:
        self.op = proto.op_type
        self.name = proto.name
        self.names = list(proto.input)
        self.outputs = list(proto.output)
        self.inputs = inputs
        self.version = version
        self.builder = builder
        self.folds = False
        """Whether it is computed at import; then its inputs may be larger than memory, see `slim`."""
        self.attributes: dict[str, AttributeProto] = {attribute.name: attribute for attribute in proto.attribute}

    # ---- attributes ----------------------------------------------------------

    def _attribute(self, name: str, kind: str) -> Any:
        """The value of an attribute; None if the node lacks it."""
        found = self.attributes.get(name)
        if found is None:
            return None
        if found.type not in (AttributeType.UNDEFINED, (_SINGLE | _SEVERAL)[kind]) or not (
            kind in _SEVERAL or found.has(kind) or found.type
        ):
            raise Unsupported(f"expected the attribute {name} in the field {kind!r}, got another type")
        return getattr(found, kind)

    def has(self, name: str) -> bool:
        """Whether the node has an attribute."""
        return name in self.attributes

    def integer(self, name: str, default: int) -> int:
        """An integer."""
        found = self._attribute(name, "i")
        return default if found is None else int(found)

    def number(self, name: str, default: float) -> float:
        """A real number."""
        found = self._attribute(name, "f")
        return default if found is None else float(found)

    def text(self, name: str, default: str) -> str:
        """A text."""
        found = self._attribute(name, "s")
        return default if found is None else bytes(found).decode("utf-8", "replace")

    def integers(self, name: str) -> list[int] | None:
        """Several integers; None without the attribute."""
        found = self._attribute(name, "ints")
        return None if found is None else [int(i) for i in found]

    def numbers(self, name: str) -> list[float] | None:
        """Several real numbers; None without the attribute."""
        found = self._attribute(name, "floats")
        return None if found is None else [float(i) for i in found]

    def texts(self, name: str) -> list[str] | None:
        """Several texts; None without the attribute."""
        found = self._attribute(name, "strings")
        return None if found is None else [bytes(i).decode("utf-8", "replace") for i in found]

    def tensor(self, name: str) -> Array | None:
        """An array; None without the attribute."""
        found = self._attribute(name, "t")
        return None if found is None else to_array(found, self.builder.folder)

    # ---- inputs --------------------------------------------------------------

    def has_input(self, place: int) -> bool:
        """Whether an input is given."""
        return place < len(self.inputs) and self.inputs[place] is not None

    def value(self, place: int) -> Value:
        """An input that has to be there."""
        found = self.inputs[place] if place < len(self.inputs) else None
        if found is None:
            raise Unsupported(f"expected {place + 1} inputs or more, got none at place {place + 1}")
        return found

    def view(self, place: int) -> View:
        """An input that depends on the network's inputs."""
        found = self.value(place)
        if isinstance(found, Const):
            raise Unsupported(
                f"expected its input {self.names[place]!r} to depend on the network's inputs, got a constant"
            )
        return found

    def constant(self, place: int, what: str) -> Array:
        """An input that is known at import."""
        return self.const(place, what).array

    def const(self, place: int, what: str) -> Const:
        """An input that is known at import, with its source."""
        found = self.value(place)
        if isinstance(found, View):
            raise NeedsConstant(self.names[place], what)
        if math.prod(found.shape) > MAX_NUMBERS and not self.folds:
            raise Unsupported(f"expected {what} of at most {MAX_NUMBERS} numbers, got the shape {found.shape}")
        return found

    def optional_constant(self, place: int, what: str) -> Array | None:
        """An input that is known at import, or None if it is left out."""
        return self.constant(place, what) if self.has_input(place) else None

    def given_integers(self, name: str, place: int) -> list[int] | None:
        """Integers that older versions of an operation have as an attribute, newer ones as an input."""
        found = self.integers(name)
        if found is not None:
            return found
        array = self.optional_constant(place, name)
        return None if array is None else whole_numbers(array, name)

    def wants(self, place: int) -> bool:
        """Whether an output is used."""
        return place < len(self.outputs) and self.outputs[place] in self.builder.used


def whole_numbers(array: Array, what: str) -> list[int]:
    """The integers of an array."""
    if array.dtype.kind not in "iu" or array.ndim > 1 or array.size > 64:
        raise Unsupported(f"expected a few integers as {what}, got an array of shape {array.shape}, {array.dtype}")
    return [int(i) for i in np.atleast_1d(array)]


def place_of(proto: NodeProto, number: int) -> str:
    """A node in error messages: "node 'conv1' (Conv)"."""
    operation = f"{proto.domain}.{proto.op_type}" if proto.domain not in ("", "ai.onnx") else proto.op_type
    return f"node {short_repr(proto.name) if proto.name else number} ({operation})"
