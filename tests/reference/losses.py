"""Losses: one value per row, and the gradient of sum_i(weight_i * value_i) / N with respect to the prediction.

p is the prediction (N, ...), t the target of the same shape, or for cross-entropy also class numbers of shape
p.shape[:-1].
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.softmax import log_softmax_forward, softmax_forward

Array = NDArray[np.float64]
Elementwise = Callable[[Array, Array, dict[str, Any]], Array]


def _sigmoid(x: Array) -> Array:
    return np.exp(-np.logaddexp(0, -x))


def _huber_value(p: Array, t: Array, options: dict[str, Any]) -> Array:
    delta = options.get("delta", 1.0)
    error = np.abs(p - t)
    return np.where(error <= delta, error**2 / 2, delta * (error - delta / 2))


def _huber_slope(p: Array, t: Array, options: dict[str, Any]) -> Array:
    delta = options.get("delta", 1.0)
    return np.clip(p - t, -delta, delta)


def _binary_cross_entropy_value(p: Array, t: Array, options: dict[str, Any]) -> Array:
    if options.get("from_logits", False):
        return np.logaddexp(0, p) - t * p  # -t log s(p) - (1 - t) log(1 - s(p)), with s the logistic sigmoid
    return -t * np.log(p) - (1 - t) * np.log1p(-p)


def _binary_cross_entropy_slope(p: Array, t: Array, options: dict[str, Any]) -> Array:
    if options.get("from_logits", False):
        return _sigmoid(p) - t
    return (p - t) / (p * (1 - p))


def _half_square(p: Array, t: Array, options: dict[str, Any]) -> Array:
    return (p - t) ** 2 / 2


def _square(p: Array, t: Array, options: dict[str, Any]) -> Array:
    return (p - t) ** 2


def _absolute(p: Array, t: Array, options: dict[str, Any]) -> Array:
    return np.abs(p - t)


def _difference(p: Array, t: Array, options: dict[str, Any]) -> Array:
    return p - t


def _double_difference(p: Array, t: Array, options: dict[str, Any]) -> Array:
    return 2 * (p - t)


def _sign(p: Array, t: Array, options: dict[str, Any]) -> Array:
    return np.sign(p - t)


# name: value and slope of one output, and whether a row's value is the mean over its outputs (else the sum)
ELEMENTWISE: dict[str, tuple[Elementwise, Elementwise, bool]] = {
    "mse": (_square, _double_difference, True),
    "half_squared_error": (_half_square, _difference, False),
    "mae": (_absolute, _sign, True),
    "sum_absolute_error": (_absolute, _sign, False),
    "huber": (_huber_value, _huber_slope, True),
    "binary_cross_entropy": (_binary_cross_entropy_value, _binary_cross_entropy_slope, True),
}


def _class_probabilities(p: Array, t: Array, options: dict[str, Any]) -> Array:
    """Turn class numbers into one-hot rows, then smooth: (1 - e) t + e / K."""
    classes = p.shape[-1]
    t = np.asarray(t)
    soft = t.astype(np.float64) if t.shape == p.shape else (t[..., None] == np.arange(classes)).astype(np.float64)
    smoothing = options.get("label_smoothing", 0.0)
    return (1 - smoothing) * soft + smoothing / classes


def loss_forward(name: str, prediction: Array, target: Array, options: dict[str, Any] | None = None) -> Array:
    """Return the value of every row, unweighted: (N,)."""
    options = options or {}
    p = np.asarray(prediction, np.float64)
    if name == "cross_entropy":
        log_p = log_softmax_forward(p) if options.get("from_logits", False) else np.log(p)
        per_position = -(_class_probabilities(p, target, options) * log_p).sum(axis=-1)
        return per_position.reshape(len(p), -1).mean(axis=1)
    value, _, mean = ELEMENTWISE[name]
    per_output = value(p, np.asarray(target, np.float64), options).reshape(len(p), -1)
    return per_output.mean(axis=1) if mean else per_output.sum(axis=1)


def loss_backward(
    name: str,
    prediction: Array,
    target: Array,
    sample_weight: Array | None = None,
    options: dict[str, Any] | None = None,
) -> Array:
    """Return d(sum_i weight_i value_i / N) / d prediction, of the prediction's shape."""
    options = options or {}
    p = np.asarray(prediction, np.float64)
    rows = len(p)
    outputs = p[0].size
    if name == "cross_entropy":
        t = _class_probabilities(p, target, options)
        from_logits = options.get("from_logits", False)
        slope = softmax_forward(p) * t.sum(axis=-1, keepdims=True) - t if from_logits else -t / p
        slope = slope * p.shape[-1] / outputs
    else:
        _, derivative, mean = ELEMENTWISE[name]
        slope = derivative(p, np.asarray(target, np.float64), options) / (outputs if mean else 1)
    weight = np.ones(rows) if sample_weight is None else np.asarray(sample_weight, np.float64)
    return slope * (weight / rows).reshape(rows, *[1] * (p.ndim - 1))
