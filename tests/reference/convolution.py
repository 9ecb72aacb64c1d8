"""Convolution and its gradients, tap by tap, in float64.

For each tap (r, s) of the kernel, the pixels that it sees form a strided cut of the padded image: the forward pass adds
cut @ kernel[r, s], and the gradients follow from the same cuts.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Pairs = tuple[tuple[int, int], ...]


def padding_pairs(sizes: tuple[int, ...], kernel: tuple[int, ...], strides: Any, dilation: Any, padding: Any) -> Pairs:
    """Zeros before and after each axis, for "valid", "same" or pairs."""
    if padding == "valid":
        return tuple((0, 0) for _ in sizes)
    if padding != "same":
        return tuple(padding)
    pairs = []
    for size, k, s, d in zip(sizes, kernel, strides, dilation, strict=True):
        total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
        pairs.append((total // 2, total - total // 2))
    return tuple(pairs)


def _taps(
    padded: tuple[int, ...], kernel: tuple[int, ...], strides: Any, dilation: Any
) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Each tap, with the cut of the padded axes that it sees."""
    out = [(p - (k - 1) * d - 1) // s + 1 for p, k, s, d in zip(padded, kernel, strides, dilation, strict=True)]
    for tap in np.ndindex(*kernel):
        starts = [t * d for t, d in zip(tap, dilation, strict=True)]
        yield tap, tuple(slice(a, a + (o - 1) * s + 1, s) for a, o, s in zip(starts, out, strides, strict=True))


def _padded(x: Array, pairs: Pairs) -> Array:
    return np.pad(np.asarray(x, np.float64), ((0, 0), *pairs, (0, 0)))


def conv_forward(x: Array, kernel: Array, bias: Any, strides: Any, padding: Any, dilation: Any, groups: int) -> Array:
    """Return x (N, ..., C) * kernel (..., C / groups, O) + bias."""
    size, w = kernel.shape[:-2], np.asarray(kernel, np.float64)
    wide = _padded(x, padding_pairs(x.shape[1:-1], size, strides, dilation, padding))
    y: Any = 0.0
    for tap, cut in _taps(wide.shape[1:-1], size, strides, dilation):
        seen = np.split(wide[(slice(None), *cut)], groups, axis=-1)
        filters = np.split(w[tap], groups, axis=-1)
        y = y + np.concatenate([a @ b for a, b in zip(seen, filters, strict=True)], axis=-1)
    return np.asarray(y + (0.0 if bias is None else np.asarray(bias, np.float64)))


def conv_backward(
    dy: Array, x: Array, kernel: Array, strides: Any, padding: Any, dilation: Any, groups: int
) -> tuple[Array, Array, Array]:
    """Return the gradients at x, kernel and bias."""
    size, w, g = kernel.shape[:-2], np.asarray(kernel, np.float64), np.asarray(dy, np.float64)
    pairs = padding_pairs(x.shape[1:-1], size, strides, dilation, padding)
    wide = _padded(x, pairs)
    d_wide, d_kernel = np.zeros_like(wide), np.zeros(kernel.shape)
    parts = np.split(g, groups, axis=-1)
    for tap, cut in _taps(wide.shape[1:-1], size, strides, dilation):
        at = (slice(None), *cut)
        filters, seen = np.split(w[tap], groups, axis=-1), np.split(wide[at], groups, axis=-1)
        d_wide[at] += np.concatenate([d @ b.T for d, b in zip(parts, filters, strict=True)], axis=-1)
        rows = [a.reshape(-1, a.shape[-1]).T @ d.reshape(-1, d.shape[-1]) for a, d in zip(seen, parts, strict=True)]
        d_kernel[tap] = np.concatenate(rows, axis=-1)
    inside = tuple(slice(before, before + n) for (before, _), n in zip(pairs, x.shape[1:-1], strict=True))
    return d_wide[(slice(None), *inside)], d_kernel, g.reshape(-1, g.shape[-1]).sum(axis=0)


def conv_transpose_forward(x: Array, kernel: Array, bias: Any, sizes: Any, strides: Any, padding: Any) -> Array:
    """Return the transposed convolution of x (N, ..., C) with kernel (..., O, C), of the spatial shape `sizes`."""
    image = np.zeros((len(x), *sizes, kernel.shape[-2]))
    ones = (1,) * len(sizes)
    d_image, _, _ = conv_backward(x, image, kernel, strides, padding, ones, 1)
    return np.asarray(d_image + (0.0 if bias is None else np.asarray(bias, np.float64)))
