"""Conversion between nnfast's layouts, channels last, and channels-first layouts."""

import numpy as np
from numpy.typing import NDArray

from bench.images import Array


def channels_first(x: NDArray[np.generic]) -> NDArray[np.generic]:
    """(N, H, W, C) to (N, C, H, W), contiguous."""
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def outputs_first(kernel: Array, image: tuple[int, ...] | None = None) -> Array:
    """A kernel (KH, KW, C, O) to (O, C, KH, KW), or (D, O) to (O, D).

    If D is a flattened `image` (H, W, C), it becomes a flattened (C, H, W).
    """
    if kernel.ndim == 4:
        return np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
    if image:
        kernel = kernel.reshape(*image, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
    return np.ascontiguousarray(kernel.T)


def outputs_last(kernel: Array, image: tuple[int, ...] | None = None) -> Array:
    """The inverse of `outputs_first`."""
    if kernel.ndim == 4:
        return kernel.transpose(2, 3, 1, 0)
    if image:
        h, w, c = image
        return kernel.reshape(-1, c, h, w).transpose(2, 3, 1, 0).reshape(kernel.shape[1], -1)
    return kernel.T
