"""One step of an optimizer over a vector of parameters."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def sgd(p: Array, g: Array, v: Array, lr: float, momentum: float = 0.0, nesterov: bool = False) -> tuple[Array, Array]:
    """Return the new parameters and velocity: v = momentum v - lr g; p += v, or p += momentum v - lr g (Nesterov)."""
    p, g, v = (np.asarray(array, np.float64) for array in (p, g, v))
    v = momentum * v - lr * g
    return (p + momentum * v - lr * g if nesterov else p + v), v


def adam(
    p: Array, g: Array, m: Array, v: Array, lr: float, beta_1: float, beta_2: float, epsilon: float, step: int
) -> tuple[Array, Array, Array]:
    """Return the new parameters and moments: Kingma & Ba (2015), algorithm 1, arXiv:1412.6980; step counts from 1."""
    p, g, m, v = (np.asarray(array, np.float64) for array in (p, g, m, v))
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g * g
    m_hat = m / (1 - beta_1**step)
    v_hat = v / (1 - beta_2**step)
    return p - lr * m_hat / (np.sqrt(v_hat) + epsilon), m, v


def rmsprop(
    p: Array,
    g: Array,
    v: Array,
    m: Array | None,
    velocity: Array | None,
    lr: float,
    rho: float,
    momentum: float,
    epsilon: float,
) -> tuple[Array, Array, Array | None, Array | None]:
    """Return the new parameters and state: Tieleman & Hinton (2012), Coursera, lecture 6.5, in the form of Keras 3.

    m is None unless centered (Graves 2013, arXiv:1308.0850, equations 38 to 45), velocity None without momentum.
    """
    p, g, v = (np.asarray(array, np.float64) for array in (p, g, v))
    v = rho * v + (1 - rho) * g * g
    variance = v
    if m is not None:
        m = rho * np.asarray(m, np.float64) + (1 - rho) * g
        variance = v - m * m
    move = -lr * g / np.sqrt(variance + epsilon)
    if velocity is not None:
        velocity = move = momentum * np.asarray(velocity, np.float64) + move
    return p + move, v, m, velocity
