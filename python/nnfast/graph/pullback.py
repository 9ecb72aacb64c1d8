"""Vector-Jacobian products: backpropagation of gradients computed by the caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nnfast.core.arrays import as_numbers, require_finite
from nnfast.core.typing import Array
from nnfast.graph.ends import number_of_rows

if TYPE_CHECKING:
    from nnfast.network import Network

__all__ = ["Pullback"]


class Pullback:
    """Returned by `Network.vjp` with the output: a function (dy) -> (gradients, dx)."""

    def __init__(self, network: Network, rows: Any, iteration: int, training: bool) -> None:
        self._network = network
        self._rows = number_of_rows(rows)
        self._plan = network.plan(self._rows, by_hand=True)
        self._plan.iteration = iteration
        self._plan.run(rows, training)
        self.outputs = network.architecture.outputs.arrange(self._plan.outputs())

    def __call__(self, dy: Any) -> tuple[dict[str, Array], Any]:
        """Propagate gradients backward.

        Parameters
        ----------
        dy : array_like, or list or dict of them
            dL/dy, with the shape and form of the outputs; None in a list, or a missing key, means zeros.

        Returns
        -------
        gradients : dict of str to ndarray
            dL/dp by full name of the trainable parameter.
        dx : ndarray, or list or dict of them
            dL/dx, in the form of the network's inputs.
        """
        architecture, dtype = self._network.architecture, self._network.dtype
        outputs = architecture.outputs
        if isinstance(dy, Mapping) and not outputs.single:
            dy = {key: dy.get(key) for key in outputs.keys_in(dy, "dy")}
        shapes = outputs.split(self._network.output_shape, "output_shape")
        parts = []
        for part, shape, name in zip(outputs.split(dy, "dy"), shapes, outputs.names, strict=True):
            if part is None:
                parts.append(np.zeros((self._rows, *shape), dtype))
                continue
            array = as_numbers(part, name, "dy")
            if array.shape != (self._rows, *shape):
                raise ValueError(f"{name}: expected dy of shape {(self._rows, *shape)}, as y, got {array.shape}")
            with np.errstate(over="ignore"):  # infinity is found below
                array = np.require(array, dtype, ["C", "A"])
            require_finite(array, "dy" if outputs.single else f"dy of {name}")
            parts.append(array)
        self._plan.pull_back(parts)
        gradients = {name: gradient.copy() for name, gradient in self._plan.gradients().items()}
        return gradients, architecture.inputs.arrange(self._plan.input_gradients())
