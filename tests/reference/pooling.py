"""Max and average pooling of images (N, H, W, C), window by window."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


def padding_amounts(padding: str | Padding, size: Pair, pool: Pair, strides: Pair) -> Padding:
    """Return ((top, bottom), (left, right)); "same" gives ceil(size / stride) windows, the odd element at the end."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding != "same":
        return padding
    pairs = []
    for extent, window, step in zip(size, pool, strides, strict=True):
        total = max(0, (-(-extent // step) - 1) * step + window - extent)
        pairs.append((total // 2, total - total // 2))
    return pairs[0], pairs[1]


def windows(size: Pair, pool: Pair, strides: Pair, padding: str | Padding) -> Iterator[tuple[Pair, slice, slice]]:
    """Yield each window's place in the output, and the rows and columns that it sees of the image."""
    pairs = padding_amounts(padding, size, pool, strides)
    starts = [
        range(-before, extent + after - window + 1, step)
        for extent, window, step, (before, after) in zip(size, pool, strides, pairs, strict=True)
    ]
    for i, top in enumerate(starts[0]):
        for j, left in enumerate(starts[1]):
            yield (i, j), slice(max(top, 0), top + pool[0]), slice(max(left, 0), left + pool[1])


def max_pool(x: Array, pool: Pair, strides: Pair, padding: str | Padding = "valid") -> Array:
    """Return the largest element of each window."""
    return _pool(x, pool, strides, padding, lambda window: window.max(axis=(1, 2)))


def avg_pool(x: Array, pool: Pair, strides: Pair, padding: str | Padding = "valid") -> Array:
    """Return the mean of each window's elements inside of the image."""
    return _pool(x, pool, strides, padding, lambda window: window.mean(axis=(1, 2)))


def _pool(x: Array, pool: Pair, strides: Pair, padding: str | Padding, reduce) -> Array:
    x = np.asarray(x, np.float64)
    found = {
        place: reduce(x[:, rows, columns]) for place, rows, columns in windows(x.shape[1:3], pool, strides, padding)
    }
    height, width = max(found)
    y = np.empty((len(x), height + 1, width + 1, x.shape[3]))
    for (i, j), value in found.items():
        y[:, i, j] = value
    return y


def max_pool_backward(dy: Array, x: Array, pool: Pair, strides: Pair, padding: str | Padding = "valid") -> Array:
    """Return dx: each dy goes to the first, row by row, of its window's largest elements."""
    dx = np.zeros(x.shape)
    for (i, j), rows, columns in windows(x.shape[1:3], pool, strides, padding):
        window, target = x[:, rows, columns], dx[:, rows, columns]
        n, height, width, channels = window.shape
        first = window.reshape(n, height * width, channels).argmax(axis=1)
        won = np.arange(height * width)[None, :, None] == first[:, None, :]
        target += won.reshape(window.shape) * np.asarray(dy, np.float64)[:, i, j][:, None, None, :]
    return dx


def avg_pool_backward(dy: Array, size: Pair, pool: Pair, strides: Pair, padding: str | Padding = "valid") -> Array:
    """Return dx (N, H, W, C) for images of `size` (H, W): each dy in equal shares to its window's elements."""
    dx = np.zeros((len(dy), *size, dy.shape[3]))
    for (i, j), rows, columns in windows(size, pool, strides, padding):
        target = dx[:, rows, columns]
        target += np.asarray(dy, np.float64)[:, i, j][:, None, None, :] / (target.shape[1] * target.shape[2])
    return dx
