"""The layers of `nnfast.ops`: operations on tensors, and constants."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnfast import _core
from nnfast.core.arrays import as_numbers
from nnfast.core.options import choose, flag, shape_of
from nnfast.core.tensor import Tensor
from nnfast.core.text import short_repr
from nnfast.core.typing import Array, Shape, Spec
from nnfast.layers.base import Layer

__all__ = ["Constant", "Operation"]


_FIELDS = ("op", "name", "inputs", "shared", "owner")
"""Of the description of any node."""


_NUMBERS = ("constant", "value")
_OTHER_NUMBERS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


class Operation(Layer):
    """An operation on tensors, as made by the functions of `nnfast.ops` and the operators of tensors.

    Parameters
    ----------
    kind : str
        The core's name of the operation.
    attributes : dict
        Its options by name: numbers, strings and lists of them.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import layers
    >>> x = layers.Input((2,))
    >>> y = nf.ops.exp(-x)
    >>> y.layer
    Operation('elementwise', {'function': 'exp'})
    >>> nf.Network(inputs=x, outputs=y).predict([[0.0, 1.0]]).round(4)
    array([[1.    , 0.3679]], dtype=float32)
    """

    num_inputs = None

    def __init__(self, kind: str, attributes: Mapping[str, Any], *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.kind = choose("operation", kind, _core.tensor_ops())
        if not isinstance(attributes, Mapping) or not all(isinstance(key, str) for key in attributes):
            raise TypeError(f"Operation: expected a dict of attributes by name, got {short_repr(attributes)}")
        for key in attributes:
            if key in _FIELDS:
                raise ValueError(f"Operation: expected attributes of the operation, got {key!r}")
        self.attributes = {
            key: _OTHER_NUMBERS.get(value, value) if key in _NUMBERS and isinstance(value, str) else value
            for key, value in attributes.items()
        }
        self.passes_mask = kind == "elementwise"

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {**self.attributes, "op": self.kind}

    def get_config(self) -> dict[str, Any]:
        # JSON has no infinity.
        attributes = {
            key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in self.attributes.items()
        }
        return {**super().get_config(), "attributes": attributes}

    def default_name(self) -> str:  # type: ignore[override]
        return str(self.attributes.get("function", self.kind))


class Constant(Layer):
    """Fixed numbers, as made of arrays in expressions of tensors. They are saved with the network's parameters.

    Parameters
    ----------
    shape : tuple of int
    value : array_like, optional
        Of that shape; by default zeros, as before a saved network's parameters are read.
    trainable : bool, default False
        Whether they are trained, and so the first values of a weight.

    Examples
    --------
    >>> import numpy as np
    >>> import nnfast as nf
    >>> from nnfast import layers
    >>> x = layers.Input((2,))
    >>> nf.Network(inputs=x, outputs=x * np.array([1.0, 10.0])).predict([[2.0, 3.0]])
    array([[ 2., 30.]], dtype=float32)
    """

    op = "parameter"
    num_inputs = 0
    fixed = True

    def __init__(
        self, shape: Sequence[int], value: Any = None, *, trainable: bool = False, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self._declare_trainable(flag("Constant", "trainable", trainable))
        is_scalar = isinstance(shape, list | tuple) and not shape
        self.shape = () if is_scalar else shape_of("Constant", "shape", shape)
        self._value = np.zeros(self.shape) if value is None else np.array(value)

    @property
    def value(self) -> None:
        """Not part of the description of the layer."""
        return None

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "shape": list(self.shape), "trains": int(self._trainable is True)}

    def initializer(self, parameter: str) -> Array:
        return self._value


def constant(value: Any) -> Tensor:
    """A tensor of fixed numbers, without the batch axis."""
    array = as_numbers(value, "nf.ops", "an operand")
    tensor = Constant(array.shape, array)(())
    tensor.domain = {"b": "boolean", "i": "integer", "u": "integer"}.get(np.asarray(value).dtype.kind, "real")
    return tensor
