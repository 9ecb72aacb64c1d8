"""Softmax and log-softmax over the last axis, forward and backward."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def log_softmax_forward(x: Array) -> Array:
    """Return x - log(sum(exp(x))) over the last axis: (..., K) to (..., K)."""
    x = np.asarray(x, np.float64)
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax_forward(x: Array) -> Array:
    """Return exp(x) / sum(exp(x)) over the last axis."""
    x = np.asarray(x, np.float64)
    exponential = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponential / exponential.sum(axis=-1, keepdims=True)


def softmax_backward(dy: Array, y: Array) -> Array:
    """Return dx_j = y_j (dy_j - sum_k dy_k y_k), from the softmax's output y."""
    dy, y = np.asarray(dy, np.float64), np.asarray(y, np.float64)
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


def log_softmax_backward(dy: Array, y: Array) -> Array:
    """Return dx_j = dy_j - exp(y_j) sum_k dy_k, from the log-softmax's output y."""
    dy, y = np.asarray(dy, np.float64), np.asarray(y, np.float64)
    return dy - np.exp(y) * dy.sum(axis=-1, keepdims=True)
