"""Layers that join branches."""

from __future__ import annotations

from nnfast.core.options import integer
from nnfast.core.tensor import Tensor
from nnfast.core.typing import Shape, Spec
from nnfast.layers.base import Layer

__all__ = ["Add", "Concatenate", "Multiply"]


class _Merge(Layer):
    num_inputs = None


class Add(_Merge):
    """Sum of two or more inputs of one shape, element by element; on tensors also written ``a + b``.

    Parameters
    ----------
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        Where the layer is called: if there are fewer than two inputs, or their shapes differ.

    Notes
    -----
    Shapes (N, ...) to the same; nothing is broadcast. A ReLU layer right after it runs inside of it.

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


class Multiply(_Merge):
    """Product of two or more inputs of one shape, element by element; on tensors also written ``a * b``.

    Parameters
    ----------
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        Where the layer is called: if there are fewer than two inputs, or their shapes differ.

    Notes
    -----
    Shapes (N, ...) to the same; nothing is broadcast.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> x = layers.Input((2,))
    >>> Network(inputs=x, outputs=x * layers.ReLU()(x)).predict([[2.0, 3.0]])
    array([[4., 9.]], dtype=float32)
    """

    op = "multiply"


class Concatenate(_Merge):
    """Inputs side by side along one axis; their other sizes are equal.

    Parameters
    ----------
    axis : int, default -1
        Counted as in Keras, the batch axis being 0: 1 is a row's first axis, -1 its last. The batch axis is not
        allowed.
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        If `axis` is 0. Where the layer is called: if the inputs have no such axis, differ in another one, or are
        fewer than two.
    TypeError
        If `axis` is no integer.

    Notes
    -----
    Shapes (N, ..., A, ...), (N, ..., B, ...), ... to (N, ..., A + B + ..., ...).

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
        self.axis = integer("Concatenate", "axis", axis, minimum=-(2**31))
        if self.axis == 0:
            raise ValueError("Concatenate: axis 0 is the batch axis; expected 1, 2, ... or a negative axis")

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "axis": self.axis - 1 if self.axis > 0 else self.axis}


Tensor.operators.update({"+": lambda tensors: Add()(tensors), "*": lambda tensors: Multiply()(tensors)})
