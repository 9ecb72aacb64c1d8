"""Up-sampling of images (N, H, W, C), as one matrix for each axis."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def upsampling_matrix(extent: int, factor: int, interpolation: str) -> Array:
    """Return the (extent * factor, extent) matrix of an axis: pixels repeated, or interpolated between centers."""
    matrix = np.zeros((extent * factor, extent))
    for out in range(extent * factor):
        if interpolation == "nearest":
            matrix[out, out // factor] = 1
            continue
        place = (out + 0.5) / factor - 0.5
        left = int(np.floor(place))
        for neighbor, weight in ((left, left + 1 - place), (left + 1, place - left)):
            matrix[out, min(max(neighbor, 0), extent - 1)] += weight
    return matrix


def upsample(x: Array, factors: tuple[int, int], interpolation: str) -> Array:
    """Return x (N, H, W, C) with its axes H and W longer by whole factors."""
    rows = upsampling_matrix(x.shape[1], factors[0], interpolation)
    columns = upsampling_matrix(x.shape[2], factors[1], interpolation)
    return np.einsum("ph,qw,nhwc->npqc", rows, columns, np.asarray(x, np.float64), optimize=True)


def upsample_backward(dy: Array, factors: tuple[int, int], interpolation: str) -> Array:
    """Return dx: the transposed matrices on dy."""
    rows = upsampling_matrix(dy.shape[1] // factors[0], factors[0], interpolation)
    columns = upsampling_matrix(dy.shape[2] // factors[1], factors[1], interpolation)
    return np.einsum("ph,qw,npqc->nhwc", rows, columns, np.asarray(dy, np.float64), optimize=True)
