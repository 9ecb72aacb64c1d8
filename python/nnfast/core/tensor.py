"""Symbolic tensors, from which graphs of layers are built."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nnfast.core.typing import Shape, Unbatched

if TYPE_CHECKING:
    from nnfast.layers.base import Layer

__all__ = ["Tensor", "ancestors", "batch_shape", "call_names", "node_of", "output_name"]

_made = itertools.count()


class _Operators(dict[str, Callable[..., Any]]):
    """Functions by the name of the operator."""

    load: Callable[[], object]  # imports the module that registers them, with the first use

    def __missing__(self, name: str) -> Callable[..., Any]:
        self.load()
        if name not in self:
            raise KeyError(name)
        return self[name]


class Tensor:
    """A symbolic output of a layer: it has a shape but no values.

    Operators and slices work as on arrays: ``2 * x - y``, ``x ** 2``, ``x @ w``, ``-x``, ``abs(x)``, ``x > 0``,
    ``x[:, 1:]``. `nnfast.ops` has functions, such as ``nf.ops.exp(x)``.

    Attributes
    ----------
    layer : Layer
        The layer that computes it.
    inputs : tuple of Tensor
        The inputs of that layer.
    shape : tuple of int
        Shape of one row, without the batch axis; of a tensor without that axis the whole shape.
    batched : bool
        Whether it has the batch axis. Weights, constants, and sums over the batch do not.
    ndim : int
        Number of axes, the batch axis included.
    domain : {"real", "integer", "boolean"}
        What its numbers are. All are stored as numbers of the network's dtype.
    index : int
        Which output of the layer it is, from 0.

    Examples
    --------
    >>> from nnfast import layers
    >>> x = layers.Input((4,))
    >>> y = layers.Dense(4, activation="relu")(x)
    >>> (2 * x + y).shape
    (4,)
    """

    operators: ClassVar[_Operators] = _Operators()
    """Functions by the name of the operator, registered by `nnfast.ops`."""

    def __init__(
        self,
        layer: Layer,
        inputs: tuple[Tensor, ...],
        shape: Shape,
        index: int = 0,
        first: Tensor | None = None,
        domain: str = "real",
    ) -> None:
        self.layer = layer
        self.inputs = inputs
        self.shape = shape
        self.index = index
        self.domain = domain
        self._first = first
        self._number = next(_made)

    @property
    def first(self) -> Tensor:
        """The first output of the same call of the layer, which stands for the call."""
        return self if self._first is None else self._first

    @property
    def batched(self) -> bool:
        """Whether the tensor has the batch axis."""
        return not isinstance(self.shape, Unbatched)

    @property
    def ndim(self) -> int:
        """Number of axes, the batch axis included."""
        return len(self.shape) + self.batched

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        output = f", output {self.index}" if self.index else ""
        return f"<Tensor {batch_shape(self.shape)}{output} of {self.layer!r}>"

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self!r} has no value yet, so no `if`, `while`, `and`, `or` or `not` can ask for it; choose element by "
            "element with nf.ops.where(condition, a, b), and combine conditions with nf.ops.logical_and"
        )

    def __iter__(self) -> Iterator[Tensor]:
        raise TypeError(f"{self!r} is symbolic and cannot be iterated over; take parts with x[:, i] or nf.ops.split")

    def __len__(self) -> int:
        raise TypeError(f"{self!r} has no length yet, since the batch may be of any size; sizes of a row are in .shape")

    def __float__(self) -> float:
        raise TypeError(f"{self!r} has no value yet; Network.predict computes it")

    __int__ = __index__ = __float__

    def __array__(self, *args: Any, **options: Any) -> Any:
        raise TypeError(f"{self!r} is symbolic and has no values for NumPy; use the functions of nf.ops")

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, **options: Any) -> Any:
        operator = _OF_NUMPY.get(function.__name__)
        if method == "__call__" and operator and not options and isinstance(inputs[0], np.ndarray | np.generic):
            return self.operators[operator](*inputs)  # array + tensor
        raise TypeError(f"np.{function.__name__}: expected arrays, got {self!r}; use nf.ops.{function.__name__}")

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        raise TypeError(f"np.{function.__name__}: expected arrays, got {self!r}; use nf.ops.{function.__name__}")


_BINARY = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "floordiv": "floor_divide",
    "mod": "mod",
    "pow": "power",
    "matmul": "matmul",
}
_COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}
_OF_NUMPY = {name: name for name in (*_BINARY.values(), *_COMPARISONS.values())} | {"remainder": "mod"}


def _is_operand(value: Any) -> bool:
    return isinstance(value, Tensor | bool | int | float | np.ndarray | np.generic | list)


def _binary(name: str, swapped: bool) -> Callable[[Tensor, Any], Any]:
    def operator(self: Tensor, other: Any) -> Any:
        if not _is_operand(other):
            return NotImplemented
        operands = (other, self) if swapped else (self, other)
        return Tensor.operators[name](*operands)

    return operator


def _unary(name: str) -> Callable[..., Any]:
    return lambda self, *arguments: Tensor.operators[name](self, *arguments)


for _method, _name in (_BINARY | _COMPARISONS).items():
    setattr(Tensor, f"__{_method}__", _binary(_name, swapped=False))
for _method, _name in _BINARY.items():
    setattr(Tensor, f"__r{_method}__", _binary(_name, swapped=True))
for _method, _name in {"neg": "negative", "abs": "absolute", "invert": "logical_not", "getitem": "getitem"}.items():
    setattr(Tensor, f"__{_method}__", _unary(_name))


def batch_shape(shape: Shape) -> str:
    """A shape as shown to users, with the batch axis: "(N, 28, 28)"; without it for an `Unbatched`."""
    return str(tuple(shape)) if isinstance(shape, Unbatched) else f"(N{''.join(f', {size}' for size in shape)})"


def output_name(node: str, index: int) -> str:
    """The name of one of a node's outputs, as the core has it: of the first "split", of the next one "split#1"."""
    return f"{node}#{index}" if index else node


def node_of(output: str) -> str:
    """The node that has an output of that name, the reverse of `output_name`."""
    return output.partition("#")[0]


def call_names(calls: Iterable[Tensor]) -> Iterator[str]:
    """Names of calls of layers: that of the layer, "dense", and for further calls "dense:2", "dense:3"."""
    count: dict[str, int] = {}
    for tensor in calls:
        place = tensor.layer.place
        count[place] = count.get(place, 0) + 1
        yield place if count[place] == 1 else f"{place}:{count[place]}"


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
