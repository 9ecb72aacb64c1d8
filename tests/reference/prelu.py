"""PReLU: y = x where x > 0, else alpha * x."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def prelu(x: Array, alpha: Array) -> Array:
    """Return y (N, ...) for x (N, ...) and alpha, whose sizes are those of a row of x or 1."""
    return np.where(x > 0, x, alpha * x)


def prelu_backward(dy: Array, x: Array, alpha: Array) -> tuple[Array, Array]:
    """Return dx and d_alpha, the sum of x * dy over all that an alpha serves where x is not above 0."""
    terms = np.where(x > 0, 0.0, x * dy)
    shared = tuple(axis + 1 for axis, size in enumerate(alpha.shape) if size == 1)
    return np.where(x > 0, dy, alpha * dy), terms.sum(axis=(0, *shared)).reshape(alpha.shape)
