"""Element-wise maximum and minimum of several arrays, and their gradients."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def extreme(inputs: Sequence[Array], largest: bool) -> Array:
    """Return the largest or the smallest, element by element."""
    return np.max(inputs, axis=0) if largest else np.min(inputs, axis=0)


def extreme_backward(dy: Array, inputs: Sequence[Array], largest: bool) -> list[Array]:
    """Return each input's gradient: the first of equal inputs takes dy, the others get 0."""
    winner = np.argmax(inputs, axis=0) if largest else np.argmin(inputs, axis=0)
    return [np.where(winner == i, dy, 0.0) for i in range(len(inputs))]
