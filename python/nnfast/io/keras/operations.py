"""Operations of `keras.ops` in a graph of Keras, as functions of `nnfast.ops`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nnfast import ops
from nnfast.core.text import short_repr

__all__ = ["is_operation", "operation_of"]

_SIMPLE: dict[str, Callable[..., Any]] = {
    "Absolute": ops.absolute,
    "Add": ops.add,
    "Cos": ops.cos,
    "Divide": ops.divide,
    "Equal": ops.equal,
    "Exp": ops.exp,
    "Floor": ops.floor,
    "GetItem": ops.get_item,
    "Greater": ops.greater,
    "GreaterEqual": ops.greater_equal,
    "HardSigmoid": ops.hard_sigmoid,
    "Less": ops.less,
    "LessEqual": ops.less_equal,
    "Log": ops.log,
    "Matmul": ops.matmul,
    "Maximum": ops.maximum,
    "Minimum": ops.minimum,
    "Multiply": ops.multiply,
    "Negative": ops.negative,
    "NotEqual": ops.not_equal,
    "Power": ops.power,
    "Reciprocal": ops.reciprocal,
    "Relu": ops.relu,
    "Relu6": lambda x: ops.clip(x, 0.0, 6.0),
    "Rsqrt": ops.rsqrt,
    "Selu": ops.selu,
    "Sigmoid": ops.sigmoid,
    "Silu": ops.silu,
    "Sin": ops.sin,
    "Softplus": ops.softplus,
    "Softsign": ops.softsign,
    "Sqrt": ops.sqrt,
    "Square": ops.square,
    "Subtract": ops.subtract,
    "Tanh": ops.tanh,
    "TrueDivide": ops.divide,
    "Where": ops.where,
}
_WITH_OPTIONS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "Any": (ops.any, ("axis", "keepdims")),
    "Clip": (ops.clip, ("x_min", "x_max")),
    "Concatenate": (ops.concatenate, ("axis",)),
    "Elu": (ops.elu, ("alpha",)),
    "ExpandDims": (ops.expand_dims, ("axis",)),
    "Gelu": (ops.gelu, ("approximate",)),
    "LeakyRelu": (ops.leaky_relu, ("negative_slope",)),
    "LogSoftmax": (ops.log_softmax, ("axis",)),
    "Max": (ops.max, ("axis", "keepdims")),
    "Mean": (ops.mean, ("axis", "keepdims")),
    "Min": (ops.min, ("axis", "keepdims")),
    "Reshape": (ops.reshape, ("newshape",)),
    "Softmax": (ops.softmax, ("axis",)),
    "Squeeze": (ops.squeeze, ("axis",)),
    "Stack": (ops.stack, ("axis",)),
    "Sum": (ops.sum, ("axis", "keepdims")),
    "SwapAxes": (ops.swapaxes, ("axis1", "axis2")),
    "Transpose": (ops.transpose, ("axes",)),
}


def is_operation(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of a graph is an operation, not a layer."""
    if "module" in entry:
        return str(entry["module"]).startswith("keras.src.ops.")
    # Legacy files do not say; layers have a dtype.
    kind = entry.get("class_name")
    return "dtype" not in entry.get("config", {}) and (kind in _SIMPLE or kind in _WITH_OPTIONS)


def operation_of(where: str, entry: Mapping[str, Any]) -> Callable[..., Any]:
    """The function of an entry of a graph."""
    name, config = entry.get("class_name"), entry.get("config")
    if not isinstance(config, Mapping):
        raise ValueError(f"{where}: expected a configuration, got {short_repr(config)}")
    if name in _SIMPLE:
        return _SIMPLE[name]
    if name not in _WITH_OPTIONS:
        raise ValueError(f"{where}: expected an operation that from_keras knows, got keras.ops {short_repr(name)}")
    function, keys = _WITH_OPTIONS[name]
    options = {key: _plain(config[key]) for key in keys if key in config}

    def call(*arguments: Any, **keywords: Any) -> Any:
        return function(*arguments, **{**options, **keywords})

    return call


def _plain(value: Any) -> Any:
    return tuple(_plain(item) for item in value) if isinstance(value, list) else value
