"""Dropout (Srivastava et al., 2014): zero an element with probability rate, scale the others by 1 / (1 - rate)."""

import math

import numpy as np
from numpy.typing import NDArray

from reference.philox import words


def dropout(x: NDArray[np.floating], rate: float, seed: int, step: int, stream: int) -> NDArray[np.floating]:
    """Return x with elements dropped, in x's dtype and bit for bit; the backward pass is the same function of dy."""
    keep = words(x.size, seed, step, stream).astype(np.uint64) >= math.floor(rate * 2.0**32)
    scale = x.dtype.type(1 / (1 - rate))
    return np.where(keep.reshape(x.shape), x * scale, x.dtype.type(0))
