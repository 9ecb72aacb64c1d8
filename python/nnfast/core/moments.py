"""Mean and variance of data of any length, in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nnfast.core.arrays import require_finite
from nnfast.core.typing import Array

__all__ = ["Moments"]

_PIECE = 1 << 18
"""Elements that are converted to float64 at once."""


class Moments:
    """Mean and variance over the batch and all axes but some, of data that come in parts.

    The sums of a part are taken around its own mean, and parts are merged in float64, so that neither a large mean nor
    millions of rows lose digits.

    Parameters
    ----------
    axes : sequence of int
        Axes of a batch that are kept, none of them 0.

    References
    ----------
    Chan, Golub & LeVeque (1983), Algorithms for computing the sample variance, DOI 10.1080/00031305.1983.10483115.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast.core.moments import Moments
    >>> moments = Moments([1])
    >>> moments.add(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> moments.mean, moments.variance
    (array([2., 5.]), array([1., 0.]))
    """

    def __init__(self, axes: Sequence[int]) -> None:
        self._axes = tuple(axes)
        self.count = 0
        self.mean: Array = np.zeros(())
        self._squares: Array = np.zeros(())

    @property
    def variance(self) -> Array:
        """The mean squared distance from the mean."""
        return self._squares / max(self.count, 1)

    def add(self, batch: Array) -> None:
        """Take in a batch of finite numbers (N, ...)."""
        require_finite(batch, "data")
        rows = max(1, _PIECE // max(1, math.prod(batch.shape[1:])))
        others = tuple(axis for axis in range(batch.ndim) if axis not in self._axes)
        for start in range(0, len(batch), rows):
            piece = np.asarray(batch[start : start + rows], dtype=np.float64)
            count = math.prod(piece.shape[axis] for axis in others)
            mean = piece.mean(axis=others, keepdims=True)
            squares = np.square(piece - mean).sum(axis=others)
            self._merge(count, np.squeeze(mean, axis=others), squares)

    def _merge(self, count: int, mean: Array, squares: Array) -> None:
        total = self.count + count
        apart = mean - self.mean
        self._squares = self._squares + squares + apart**2 * (self.count * count / total)
        self.mean = self.mean + apart * (count / total)
        self.count = total
