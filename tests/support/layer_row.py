"""A row of the table of layers."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from nnfast import layers
from nnfast.core.typing import Array, Shape


@dataclass
class Row:
    make: Callable[[], layers.Layer]
    values: Callable[..., Array]
    """The layer's first output in NumPy, from its inputs, then its parameters."""
    shape: Shape = (5,)
    output_shape: Shape = (5,)
    inputs: int = 1
    parameters: dict[str, Shape] = field(default_factory=dict)
    text: str = ""
    vocabulary: int = 0
    """How many integers the layer takes, if it takes integers."""
    tolerance: float = 16
    """Of its values, in machine epsilons."""

    def data(self, rng: np.random.Generator, rows: int, dtype: str = "float64") -> Array:
        """Rows for `network`."""
        if self.vocabulary:
            return rng.integers(0, self.vocabulary, size=(rows, 4))
        return rng.normal(size=(rows, 4)).astype(dtype)
