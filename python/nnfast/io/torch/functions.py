"""Activation functions, windows and merges of nnfast in PyTorch, on tensors with the channels last."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import reduce
from typing import Any

from nnfast.core.window import each
from nnfast.layers import Layer, Operation

__all__ = ["activation", "channels_first", "channels_last", "margins", "merge", "operation", "padded"]


def activation(torch: Any, layer: Layer, function: Any) -> Callable[[Any], Any]:
    """An activation function, given as nnfast has it."""
    name, alpha, f = function.name, function.alpha, torch.nn.functional
    simple: dict[str, Callable[[Any], Any]] = {
        "elu": lambda x: f.elu(x, alpha),
        "gelu": f.gelu,
        "gelu_tanh": lambda x: f.gelu(x, approximate="tanh"),
        "hard_sigmoid": f.hardsigmoid,
        "heaviside": lambda x: (x >= alpha).to(x.dtype),
        "identity": lambda x: x,
        "leaky_relu": lambda x: f.leaky_relu(x, alpha),
        "log_softmax": lambda x: f.log_softmax(x, -1),
        "relu": f.relu,
        "selu": f.selu,
        "sigmoid": torch.sigmoid,
        "silu": f.silu,
        "softmax": lambda x: f.softmax(x, -1),
        "softplus": f.softplus,
        "softsign": f.softsign,
        "tanh": torch.tanh,
    }
    if name not in simple:
        raise ValueError(f"to_torch: expected activation functions that PyTorch has, got {name} of {layer.place}")
    return simple[name]


def channels_first(x: Any) -> Any:
    """(N, H, W, C) to (N, C, H, W), and (N, T, C) to (N, C, T)."""
    return x.movedim(-1, 1)


def channels_last(x: Any) -> Any:
    """The reverse of `channels_first`."""
    return x.movedim(1, -1)


def _same_padding(sizes: Any, window: list[int], strides: list[int]) -> list[tuple[int, int]]:
    """Amounts before and after each axis for an output of ceil(size / stride), an odd one coming last."""
    found = []
    for size, length, stride in zip(sizes, window, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + length - size, 0)
        found.append((total // 2, total - total // 2))
    return found


def margins(layer: Any, sizes: Any, window: list[int]) -> list[tuple[int, int]]:
    """The padding of a layer with a window, for an input of the given sizes."""
    if layer.padding == "valid":
        return [(0, 0)] * layer.axes
    if layer.padding == "same":
        strides = getattr(layer, "pool_size", 1) if layer.strides is None else layer.strides
        return _same_padding(sizes, window, each(strides, layer.axes))
    return list(layer.padding)


def padded(torch: Any, x: Any, pairs: list[tuple[int, int]], value: float = 0.0) -> Any:
    """Numbers around the axes after the first two."""
    return torch.nn.functional.pad(x, [amount for pair in reversed(pairs) for amount in pair], value=value)


def merge(torch: Any, layer: Any) -> Callable[..., Any] | None:
    """A merging layer; None for others."""
    axis = getattr(layer, "axis", None)
    merges: dict[str, Callable[..., Any]] = {
        "Add": lambda *xs: reduce(operator.add, xs),
        "Average": lambda *xs: reduce(operator.add, xs) / len(xs),
        "Concatenate": lambda *xs: torch.cat(xs, axis),
        "Maximum": lambda *xs: reduce(torch.maximum, xs),
        "Minimum": lambda *xs: reduce(torch.minimum, xs),
        "Multiply": lambda *xs: reduce(operator.mul, xs),
        "Subtract": lambda one, other: one - other,
    }
    return merges.get(type(layer).__name__)


def operation(torch: Any, layer: Operation) -> Callable[..., Any]:
    """An operation on elements, of the same name in PyTorch."""
    attributes = layer.attributes
    name = str(attributes.get("function", layer.kind))
    function = getattr(torch, name, None)
    if layer.kind != "elementwise" or function is None:
        raise ValueError(f"to_torch: expected operations that to_torch knows, got {name} ({layer.place})")

    def call(*tensors: Any) -> Any:
        operands = list(tensors)
        if "constant" in attributes:
            number = torch.tensor(attributes["constant"], dtype=operands[0].dtype)
            operands.insert(int(str(attributes.get("constant_at", 1))), number)
        return function(*operands)

    return call
