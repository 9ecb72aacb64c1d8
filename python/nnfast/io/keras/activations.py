"""Activation functions in configurations of Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nnfast import activations, ops
from nnfast.core.text import short_repr

__all__ = ["Activation", "activation_of"]


class Activation(NamedTuple):
    """An option `activation` of a layer, or else a function of tensors that is applied after the layer."""

    option: Any
    after: Callable[[Any], Any] | None = None


def _relu6(x: Any) -> Any:
    return ops.clip(x, 0.0, 6.0)


_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exponential": ops.exp,
    "hard_silu": lambda x: x * _relu6(x + 3.0) / 6.0,
    "hard_tanh": lambda x: ops.clip(x, -1.0, 1.0),
    "mish": lambda x: x * ops.tanh(ops.softplus(x)),
    "relu6": _relu6,
}
_FUNCTIONS["hard_swish"] = _FUNCTIONS["hard_silu"]


def activation_of(where: str, value: Any) -> Activation:
    """What a configuration says: a name, or the description of a function or of a layer."""
    if isinstance(value, dict):
        config = value.get("config")
        if isinstance(config, dict):
            return _of_layer(where, value.get("class_name"), config)
        value = config
    if value is None or value == "linear":
        return Activation(None)
    if value == "leaky_relu":
        return Activation({"name": "leaky_relu", "alpha": 0.2})  # Keras's default
    if isinstance(value, str) and value in _FUNCTIONS:
        return Activation(None, _FUNCTIONS[value])
    if isinstance(value, str) and value in ("swish", *activations.names()):
        return Activation(value)
    raise ValueError(f"{where}: expected an activation function that nnfast has, got {short_repr(value)}")


def _of_layer(where: str, name: Any, config: dict[str, Any]) -> Activation:
    if name == "LeakyReLU":
        return Activation({"name": "leaky_relu", "alpha": config.get("negative_slope", config.get("alpha"))})
    if name == "ELU":
        return Activation({"name": "elu", "alpha": config.get("alpha")})
    if name == "ReLU":
        return relu_of(where, config)
    if name == "Activation":
        return activation_of(where, config.get("activation"))
    if name == "Softmax" and config.get("axis", -1) == -1:
        return Activation("softmax")
    raise ValueError(f"{where}: expected an activation function that nnfast has, got the layer {short_repr(name)}")


def relu_of(where: str, config: dict[str, Any]) -> Activation:
    """A layer ReLU of Keras, which has a largest value, a slope and a threshold."""
    largest, slope, threshold = (config.get(key) for key in ("max_value", "negative_slope", "threshold"))
    for value in (largest, slope, threshold):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"{where}: expected numbers as options of ReLU, got {short_repr(value)}")
    if threshold:
        raise ValueError(f"{where}: expected ReLU with a threshold of 0, got {threshold}")
    option = {"name": "leaky_relu", "alpha": slope} if slope else "relu"
    return Activation(option, None if largest is None else lambda x: ops.minimum(x, float(largest)))
