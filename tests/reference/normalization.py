"""Normalization in float64: y = gamma u + beta with u = (x - mean) / sqrt(variance + epsilon).

They differ in what mean and variance are taken over: all axes but the last (batch; Ioffe & Szegedy 2015,
arXiv:1502.03167), the last axis (layer; Ba et al. 2016, arXiv:1607.06450), or an image's group of channels (group;
Wu & He 2018, arXiv:1803.08494).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def unit(x: Array, axes: tuple[int, ...], epsilon: float) -> tuple[Array, Array, Array]:
    """Return u, the mean, and sqrt(variance + epsilon); the last two keep the axes."""
    x = x.astype(np.float64)
    mean = x.mean(axis=axes, keepdims=True)
    deviation = np.sqrt(((x - mean) ** 2).mean(axis=axes, keepdims=True) + epsilon)
    return (x - mean) / deviation, mean, deviation


def unit_gradient(du: Array, u: Array, deviation: Array, axes: tuple[int, ...]) -> Array:
    """Return the gradient by x from that by u: what changes the mean or the variance has no effect and is taken out."""
    return (du - du.mean(axis=axes, keepdims=True) - u * (du * u).mean(axis=axes, keepdims=True)) / deviation


def batch_axes(x: NDArray[Any]) -> tuple[int, ...]:
    """Return the axes over which a channel's mean is taken."""
    return tuple(range(x.ndim - 1))


def grouped(x: NDArray[Any], groups: int) -> NDArray[Any]:
    """Return x (N, ..., C) as (N, positions, groups, C / groups), whose axes 1 and 3 are normalized together."""
    return x.reshape(len(x), -1, groups, x.shape[-1] // groups)


def batch_norm(x: Array, gamma: Array, beta: Array, epsilon: float) -> Array:
    return gamma * unit(x, batch_axes(x), epsilon)[0] + beta


def layer_norm(x: Array, gamma: Array, beta: Array, epsilon: float) -> Array:
    return gamma * unit(x, (-1,), epsilon)[0] + beta


def rms_norm(x: Array, gamma: Array, epsilon: float) -> Array:
    x = x.astype(np.float64)
    return gamma * x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + epsilon)


def group_norm(x: Array, gamma: Array, beta: Array, groups: int, epsilon: float) -> Array:
    return gamma * unit(grouped(x, groups), (1, 3), epsilon)[0].reshape(x.shape) + beta
