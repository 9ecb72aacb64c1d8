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


def amsgrad(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    largest: Array,
    lr: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    step: int,
) -> tuple[Array, Array, Array, Array]:
    """Return the new parameters and state: Reddi, Kale & Kumar (2018), arXiv:1904.09237, with bias corrections."""
    _, m, v = adam(p, g, m, v, lr, beta_1, beta_2, epsilon, step)
    largest = np.maximum(largest, v)
    m_hat, v_hat = m / (1 - beta_1**step), largest / (1 - beta_2**step)
    return np.asarray(p, np.float64) - lr * m_hat / (np.sqrt(v_hat) + epsilon), m, v, largest


def nadam(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    lr: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    decay: float,
    step: int,
) -> tuple[Array, Array, Array]:
    """Return the new parameters and moments: Dozat (2016), ICLR workshop, in the form of Keras (decay = 1)."""
    _, m, v = adam(p, g, m, v, lr, beta_1, beta_2, epsilon, step)
    mu = beta_1 * (1 - 0.5 * 0.96 ** (decay * np.arange(1, step + 2)))
    m_bar = mu[-1] * m / (1 - mu.prod()) + (1 - mu[-2]) * np.asarray(g, np.float64) / (1 - mu[:-1].prod())
    return np.asarray(p, np.float64) - lr * m_bar / (np.sqrt(v / (1 - beta_2**step)) + epsilon), m, v


def adamax(
    p: Array, g: Array, m: Array, u: Array, lr: float, beta_1: float, beta_2: float, epsilon: float, step: int
) -> tuple[Array, Array, Array]:
    """Return the new parameters and state: Kingma & Ba (2015), algorithm 2, arXiv:1412.6980, in the form of Keras."""
    p, g, m, u = (np.asarray(array, np.float64) for array in (p, g, m, u))
    m = beta_1 * m + (1 - beta_1) * g
    u = np.maximum(beta_2 * u, np.abs(g))
    return p - lr / (1 - beta_1**step) * m / (u + epsilon), m, u


def lion(p: Array, g: Array, m: Array, lr: float, beta_1: float, beta_2: float) -> tuple[Array, Array]:
    """Return the new parameters and m: Chen et al. (2023), arXiv:2302.06675, program 1."""
    p, g, m = (np.asarray(array, np.float64) for array in (p, g, m))
    return p - lr * np.sign(beta_1 * m + (1 - beta_1) * g), beta_2 * m + (1 - beta_2) * g


def adagrad(p: Array, g: Array, v: Array, lr: float, epsilon: float) -> tuple[Array, Array]:
    """Return the new parameters and v: Duchi, Hazan & Singer (2011), JMLR 12, in the form of Keras."""
    p, g, v = (np.asarray(array, np.float64) for array in (p, g, v))
    v = v + g * g
    return p - lr * g / np.sqrt(v + epsilon), v


def adadelta(
    p: Array, g: Array, v: Array, u: Array, lr: float, rho: float, epsilon: float
) -> tuple[Array, Array, Array]:
    """Return the new parameters and state: Zeiler (2012), algorithm 1, arXiv:1212.5701."""
    p, g, v, u = (np.asarray(array, np.float64) for array in (p, g, v, u))
    v = rho * v + (1 - rho) * g * g
    d = np.sqrt(u + epsilon) / np.sqrt(v + epsilon) * g
    return p - lr * d, v, rho * u + (1 - rho) * d * d


def lamb(
    p: Array, g: Array, m: Array, v: Array, lr: float, beta_1: float, beta_2: float, epsilon: float, step: int
) -> tuple[Array, Array, Array]:
    """Return the new parameter and moments: You et al. (2020), algorithm 2, arXiv:1904.00962, without its decay."""
    moved, m, v = adam(np.zeros_like(p), g, m, v, 1.0, beta_1, beta_2, epsilon, step)
    lengths = np.linalg.norm(p), np.linalg.norm(moved)
    return np.asarray(p, np.float64) + lr * (lengths[0] / lengths[1] if all(lengths) else 1.0) * moved, m, v


def muon(
    p: Array, g: Array, m: Array, lr: float, momentum: float, nesterov: bool, steps: int, rms_rate: float
) -> tuple[Array, Array]:
    """Return the new matrix and m: Jordan et al. (2024), scaled as in Liu et al. (2025), arXiv:2502.16982.

    By singular values: an iteration maps each of them by the same polynomial and leaves the vectors as they are.
    """
    p, g, m = (np.asarray(array, np.float64) for array in (p, g, m))
    m = momentum * m + (1 - momentum) * g
    left, values, right = np.linalg.svd(momentum * m + (1 - momentum) * g if nesterov else m, full_matrices=False)
    values = values / (np.sqrt((values**2).sum()) + 1e-7)
    for _ in range(steps):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return p - lr * rms_rate * np.sqrt(max(p.shape)) * (left * values) @ right, m


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
