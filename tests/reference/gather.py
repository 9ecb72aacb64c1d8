"""A batch taken from a data set by row number, and rescaled."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def gather_rows(x: Array, indices: NDArray[np.int64], scale: float = 1.0, offset: float = 0.0) -> Array:
    """Return x[indices] * scale + offset: (N, ...) and (B,) give (B, ...)."""
    return np.asarray(x)[np.asarray(indices)].astype(np.float64) * scale + offset
