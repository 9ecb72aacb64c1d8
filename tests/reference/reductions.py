"""Sums, maxima and the index of the largest element."""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def reduce_sum(x: Array, axis: int | None = None) -> Array:
    """Return the sum over one axis (or all), each correctly rounded to float64."""
    x = np.asarray(x, np.float64)
    if axis is None:
        return np.float64(math.fsum(x.ravel()))
    return np.apply_along_axis(math.fsum, axis, x) if x.size else x.sum(axis=axis)


def reduce_max(x: Array, axis: int | None = None) -> Array:
    """Return the largest element along one axis (or of all)."""
    return np.asarray(x, np.float64).max(axis=axis)


def reduce_min(x: Array, axis: int | None = None) -> Array:
    """Return the smallest element along one axis (or of all)."""
    return np.asarray(x, np.float64).min(axis=axis)


def reduce_prod(x: Array, axis: int | None = None) -> Array:
    """Return the product along one axis (or of all)."""
    return np.asarray(x, np.float64).prod(axis=axis)


def argmax(x: Array) -> NDArray[np.intp]:
    """Return the index of the first largest element over the last axis."""
    return np.asarray(x, np.float64).argmax(axis=-1)
