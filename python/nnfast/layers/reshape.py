"""Layers that change the shape of rows and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from nnfast.core.options import shape_of
from nnfast.core.typing import Shape, Spec
from nnfast.layers.base import Layer

__all__ = ["Flatten", "Reshape"]


class Flatten(Layer):
    """Rows of any shape as vectors: (N, a, b, ...) to (N, a * b * ...), the last axis running fastest.

    Parameters
    ----------
    name : str, optional
        As in `Layer`; its errors are the only ones.

    Notes
    -----
    Costs nothing: no number moves.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((3, 3)), layers.Flatten()]).predict([[[1, 1, 0], [4, 2, 1], [0, 2, 1]]])
    array([[1., 1., 0., 4., 2., 1., 0., 2., 1.]], dtype=float32)
    """

    op = "flatten"


class Reshape(Layer):
    """Rows in another shape with the same number of elements: (N, ...) to (N, *target_shape).

    Parameters
    ----------
    target_shape : tuple of int
        Shape of one row, without the batch axis; one size may be -1 and follows from the others.
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        If a size is 0 or below -1, or more than one is -1. Where the layer is called: if the number of elements
        differs from the input's, or no whole number is left for -1.
    TypeError
        If a size is no integer.

    Notes
    -----
    Costs nothing: no number moves.

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
