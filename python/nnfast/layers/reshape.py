"""Layers that reshape, permute and repeat rows. `Flatten` and `Reshape` cost nothing, because no data move."""

from __future__ import annotations

from collections.abc import Sequence

from nnfast.core.options import integer, shape_of
from nnfast.core.typing import Shape, Spec
from nnfast.layers.base import Layer

__all__ = ["Flatten", "Permute", "RepeatVector", "Reshape"]


class Flatten(Layer):
    """Flatten rows in row-major order: (N, a, b, ...) to (N, a * b * ...).

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((3, 3)), layers.Flatten()]).predict([[[1, 1, 0], [4, 2, 1], [0, 2, 1]]])
    array([[1., 1., 0., 4., 2., 1., 0., 2., 1.]], dtype=float32)
    """

    op = "flatten"


class Reshape(Layer):
    """Reshape rows: (N, ...) to (N, *target_shape), with the same number of elements.

    Parameters
    ----------
    target_shape : sequence of int
        Shape of one row, without the batch axis. One size may be -1 and is inferred from the others.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((6,)), layers.Reshape((2, -1))]).output_shape
    (2, 3)
    """

    op = "reshape"

    def __init__(self, target_shape: Sequence[int], *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.target_shape = shape_of("Reshape", "target_shape", target_shape, minimum=-1)
        if self.target_shape.count(-1) > 1 or 0 in self.target_shape:
            raise ValueError(f"Reshape: expected sizes >= 1 and at most one -1, got {self.target_shape}")

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "shape": list(self.target_shape)}


class Permute(Layer):
    """Permute the axes of rows.

    Parameters
    ----------
    dims : sequence of int
        The input axis for each axis of the output. As in Keras, axis 0 is the batch axis, which stays: ``(2, 1)`` swaps
        the two axes of a row.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((2, 3)), layers.Permute((2, 1))]).predict([[[1, 2, 3], [4, 5, 6]]])
    array([[[1., 4.],
            [2., 5.],
            [3., 6.]]], dtype=float32)
    """

    op = "permute"

    def __init__(self, dims: Sequence[int], *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.dims = shape_of("Permute", "dims", dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"Permute: expected each of 1 to {len(self.dims)} once as dims, got {self.dims}")

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "axes": [axis - 1 for axis in self.dims]}


class RepeatVector(Layer):
    """Repeat a vector n times: (N, D) to (N, n, D).

    Parameters
    ----------
    n : int
        1 or more.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((2,)), layers.RepeatVector(3)]).predict([[1, 2]])
    array([[[1., 2.],
            [1., 2.],
            [1., 2.]]], dtype=float32)
    """

    op = "repeat"

    def __init__(self, n: int, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.n = integer("RepeatVector", "n", n)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "times": self.n}
