"""Layers that merge two or more inputs."""

from __future__ import annotations

from nnfast.core.options import integer
from nnfast.core.tensor import Tensor
from nnfast.core.typing import Shape, Spec
from nnfast.layers.base import Layer

__all__ = ["Add", "Concatenate", "Multiply"]


class _Merge(Layer):
    passes_mask = True
    num_inputs = None


class Add(_Merge):
    """Element-wise sum of inputs of the same shape; also written ``a + b``. There is no broadcasting.

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


class Multiply(_Merge):
    """Element-wise product of inputs of the same shape; also written ``a * b``. There is no broadcasting.

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
        self.axis = integer("Concatenate", "axis", axis, minimum=-(2**31))
        if self.axis == 0:
            raise ValueError("Concatenate: axis 0 is the batch axis; expected 1, 2, ... or a negative axis")

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "axis": self.axis - 1 if self.axis > 0 else self.axis}


Tensor.operators.update({"+": lambda tensors: Add()(tensors), "*": lambda tensors: Multiply()(tensors)})
