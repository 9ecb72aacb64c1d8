"""Layers that merge two or more inputs, and `Split`, which does the reverse of `Concatenate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from nnfast.core.options import integer, shape_of
from nnfast.core.typing import Shape, Spec
from nnfast.layers.base import Layer, MultiOutput

__all__ = ["Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Split", "Subtract"]


class _Merge(Layer):
    passes_mask = True
    num_inputs: ClassVar[int | None] = None


class Add(_Merge):
    """Element-wise sum of inputs of the same shape. There is no broadcasting.

    A ReLU directly after the layer is fused into it.

    References
    ----------
    He et al. (2015), Deep residual learning for image recognition, arXiv:1512.03385.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> x = layers.Input((2,))
    >>> skip = Network(inputs=x, outputs=layers.Add()([x, layers.ReLU()(x)]))
    >>> skip.predict([[-1.0, 2.0]])
    array([[-1.,  4.]], dtype=float32)
    """

    op = "add"


class Subtract(_Merge):
    """Element-wise difference of two inputs of the same shape. There is no broadcasting.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> x = layers.Input((2,))
    >>> Network(inputs=x, outputs=x - layers.ReLU()(x)).predict([[-1.0, 2.0]])
    array([[-1.,  0.]], dtype=float32)
    """

    op = "subtract"
    num_inputs = 2


class Average(_Merge):
    """Element-wise mean of inputs of the same shape. There is no broadcasting.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> x = layers.Input((2,))
    >>> Network(inputs=x, outputs=layers.Average()([x, layers.ReLU()(x)])).predict([[-1.0, 2.0]])
    array([[-0.5,  2. ]], dtype=float32)
    """

    op = "average"


class Maximum(_Merge):
    """Element-wise maximum of inputs of the same shape. There is no broadcasting.

    Where several inputs are largest, the first of them receives the gradient, as in max pooling.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> x = layers.Input((2,))
    >>> Network(inputs=x, outputs=layers.Maximum()([x, layers.Tanh()(x)])).predict([[-1.0, 2.0]]).round(4)
    array([[-0.7616,  2.    ]], dtype=float32)
    """

    op = "maximum"


class Minimum(_Merge):
    """Element-wise minimum of inputs of the same shape. There is no broadcasting.

    Where several inputs are smallest, the first of them receives the gradient.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> x = layers.Input((2,))
    >>> Network(inputs=x, outputs=layers.Minimum()([x, layers.Tanh()(x)])).predict([[-1.0, 2.0]]).round(4)
    array([[-1.   ,  0.964]], dtype=float32)
    """

    op = "minimum"


class Multiply(_Merge):
    """Element-wise product of inputs of the same shape. There is no broadcasting.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> x = layers.Input((2,))
    >>> Network(inputs=x, outputs=x * layers.ReLU()(x)).predict([[2.0, 3.0]])
    array([[4., 9.]], dtype=float32)
    """

    op = "multiply"


class Concatenate(_Merge):
    """Concatenate inputs along one axis; all other sizes must be equal.

    Parameters
    ----------
    axis : int, default -1
        As in Keras, axis 0 is the batch axis, which is not allowed: 1 is the first axis of a row, -1 the last.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> x = layers.Input((2,))
    >>> Network(inputs=x, outputs=layers.Concatenate()([x, layers.ReLU()(x)])).predict([[-1.0, 2.0]])
    array([[-1.,  2.,  0.,  2.]], dtype=float32)
    """

    op = "concatenate"

    def __init__(self, axis: int = -1, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.axis = _axis("Concatenate", axis)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "axis": _without_batch(self.axis)}


class Split(MultiOutput):
    """Split an input along one axis into several outputs.

    Parameters
    ----------
    indices_or_sections : int or sequence of int
        As in NumPy: the number of parts of equal size, or the indices along the axis at which to split.
    axis : int, default -1
        As in Keras, axis 0 is the batch axis, which is not allowed: 1 is the first axis of a row, -1 the last.

    Notes
    -----
    On a symbolic tensor the layer returns a list of tensors. Elsewhere its outputs are named "split", "split#1",
    "split#2", ...

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> x = layers.Input((3,))
    >>> a, b = layers.Split([1])(x)
    >>> Network(inputs=x, outputs=layers.Concatenate()([b, a])).predict([[1.0, 2.0, 3.0]])
    array([[2., 3., 1.]], dtype=float32)
    """

    op = "split"

    def __init__(self, indices_or_sections: int | Sequence[int], axis: int = -1, *, name: str | None = None) -> None:
        super().__init__(name=name)
        given = indices_or_sections
        self.indices_or_sections = (
            shape_of("Split", "indices_or_sections", given)
            if isinstance(given, list | tuple)
            else integer("Split", "indices_or_sections", given, minimum=2)
        )
        self.axis = _axis("Split", axis)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        parts = self.indices_or_sections
        where = {"sections": parts} if isinstance(parts, int) else {"indices": list(parts)}
        return {"op": self.op, "axis": _without_batch(self.axis), **where}


def _axis(kind: str, axis: int) -> int:
    """The axis of a row, counted with the batch axis."""
    number = integer(kind, "axis", axis, minimum=-(2**31))
    if number == 0:
        raise ValueError(f"{kind}: axis 0 is the batch axis; expected 1, 2, ... or a negative axis")
    return number


def _without_batch(axis: int) -> int:
    return axis - 1 if axis > 0 else axis
