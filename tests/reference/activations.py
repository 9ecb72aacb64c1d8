"""Activation functions of one variable and their derivatives, over float64."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Klambauer et al. (2017), arXiv:1706.02515: the fixed point of mean 0 and variance 1.
SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717

GELU_TANH_CUBIC = 0.044715  # Hendrycks & Gimpel (2016), arXiv:1606.08415, section 2

erf = np.vectorize(math.erf, otypes=[np.float64])


def _sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))  # never overflows
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def _normal_density(x: Array) -> Array:
    return np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _normal_distribution(x: Array) -> Array:
    # erfc(-x / sqrt 2) / 2 keeps its relative accuracy in the left tail, where (1 + erf) / 2 cancels.
    return np.vectorize(math.erfc, otypes=[np.float64])(-x / math.sqrt(2)) / 2


def _gelu_tanh_argument(x: Array) -> Array:
    return math.sqrt(2 / math.pi) * (x + GELU_TANH_CUBIC * x**3)


def _gelu_tanh_derivative(x: Array) -> Array:
    t = np.tanh(_gelu_tanh_argument(x))
    inner = math.sqrt(2 / math.pi) * (1 + 3 * GELU_TANH_CUBIC * x**2)
    return (1 + t) / 2 + x / 2 * (1 - t * t) * inner


def _exponential_below_zero(x: Array, alpha: float) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


FORWARD: dict[str, Callable[[Array, float], Array]] = {
    "identity": lambda x, alpha: x,
    "heaviside": lambda x, alpha: np.where(x >= alpha, 1.0, 0.0),
    "sigmoid": lambda x, alpha: _sigmoid(x),
    "tanh": lambda x, alpha: np.tanh(x),
    "relu": lambda x, alpha: np.maximum(x, 0),
    "leaky_relu": lambda x, alpha: np.where(x > 0, x, alpha * x),
    "elu": _exponential_below_zero,
    "selu": lambda x, alpha: SELU_SCALE * _exponential_below_zero(x, SELU_ALPHA),
    "gelu": lambda x, alpha: x * _normal_distribution(x),
    "gelu_tanh": lambda x, alpha: x / 2 * (1 + np.tanh(_gelu_tanh_argument(x))),
    "silu": lambda x, alpha: x * _sigmoid(x),
    "softplus": lambda x, alpha: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "softsign": lambda x, alpha: x / (1 + np.abs(x)),
    "hard_sigmoid": lambda x, alpha: np.clip(x / 6 + 0.5, 0, 1),
}

# d y / d x. At a kink: the derivative from the left, as Keras takes it (relu'(0) = 0); hard_sigmoid is flat at +-3.
DERIVATIVE: dict[str, Callable[[Array, float], Array]] = {
    "identity": lambda x, alpha: np.ones_like(x),
    "heaviside": lambda x, alpha: np.zeros_like(x),
    "sigmoid": lambda x, alpha: _sigmoid(x) * _sigmoid(-x),
    "tanh": lambda x, alpha: 1 - np.tanh(x) ** 2,
    "relu": lambda x, alpha: np.where(x > 0, 1.0, 0.0),
    "leaky_relu": lambda x, alpha: np.where(x > 0, 1.0, alpha),
    "elu": lambda x, alpha: np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0))),
    "selu": lambda x, alpha: SELU_SCALE * np.where(x > 0, 1.0, SELU_ALPHA * np.exp(np.minimum(x, 0))),
    "gelu": lambda x, alpha: _normal_distribution(x) + x * _normal_density(x),
    "gelu_tanh": lambda x, alpha: _gelu_tanh_derivative(x),
    "silu": lambda x, alpha: _sigmoid(x) * (1 + x * _sigmoid(-x)),
    "softplus": lambda x, alpha: _sigmoid(x),
    "softsign": lambda x, alpha: 1 / (1 + np.abs(x)) ** 2,
    "hard_sigmoid": lambda x, alpha: np.where(np.abs(x) < 3, 1 / 6, 0.0),
}


def activation_forward(name: str, x: Array, alpha: float = 0.0) -> Array:
    """Return the activation of every element of x."""
    return FORWARD[name](np.asarray(x, np.float64), alpha)


def activation_backward(name: str, dy: Array, x: Array, alpha: float = 0.0) -> Array:
    """Return dy times the derivative at x."""
    return np.asarray(dy, np.float64) * DERIVATIVE[name](np.asarray(x, np.float64), alpha)
