"""Pooling. What the pooling layers do not have is composed of slices: one for each place in the window."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from nnfast import layers, ops
from nnfast.io.onnx.importing.errors import Unsupported
from nnfast.io.onnx.importing.layout import View
from nnfast.io.onnx.importing.nodes import Node, Value, imports
from nnfast.io.onnx.importing.windows import (
    MAX_PARTS,
    batch_group,
    batch_in_front,
    channels_last,
    image_view,
    same_padding,
    window_options,
    window_parts,
    window_slices,
)

__all__: list[str] = []

_LOWEST = -3.4028234663852886e38

Pairs = list[tuple[int, int]]


def _windows(node: Node, view: View) -> tuple[list[int], list[int], list[int], Pairs, Pairs]:
    """Size, strides, dilations and padding of the windows, and the padding that the last windows need beyond that."""
    axes = view.rank - 2
    size = node.integers("kernel_shape") or []
    strides, dilations = window_options(node, axes, size)
    padding = same_padding(node, view.shape[2:], size, strides, dilations)
    if min(min(pair) for pair in padding) < 0:
        raise Unsupported(f"expected pads of 0 or more, got {padding}")
    ceil = node.integer("ceil_mode", 0)
    whole = []
    for extent, width, stride, dilation, (before, after) in zip(
        view.shape[2:], size, strides, dilations, padding, strict=True
    ):
        reach = (width - 1) * dilation + 1
        room = extent + before + after - reach
        if room < 0:
            raise Unsupported(f"expected windows that fit into the padded input {view.shape}")
        count = (-(-room // stride) if ceil else room // stride) + 1
        if ceil and (count - 1) * stride >= extent + before:
            count -= 1  # the last window has to begin within the input
        whole.append((before, max((count - 1) * stride + reach - extent - before, 0)))
    return size, strides, dilations, padding, whole


@imports("MaxPool")
@batch_in_front
def _max_pool(node: Node) -> View | list[Value | None]:
    view = node.view(0)
    size, strides, dilations, _, padding = _windows(node, view)
    x, axes = channels_last(view), len(size)
    if node.wants(1):
        return _with_places(node, view, x, (size, strides, dilations), padding)
    fits = all(max(pair) < width for pair, width in zip(padding, size, strict=True))
    if axes <= 2 and set(dilations) == {1} and fits:
        kind = layers.MaxPool1D if axes == 1 else layers.MaxPool2D
        return image_view(kind(tuple(size), tuple(strides), tuple(padding))(x), view)
    x = ops.pad(x, [(0, 0), *padding, (0, 0)], constant_values=_LOWEST)
    return image_view(_together(ops.maximum, window_parts(x, size, strides, dilations)), view)


def _with_places(
    node: Node, view: View, x: Any, windows: tuple[list[int], list[int], list[int]], padding: Pairs
) -> list[Value | None]:
    """The maxima, and the number of each among the elements of the input."""
    if 0 in view.axes[0]:
        raise Unsupported(
            "expected a batch of 1 or its second output to be unused: indices count through all rows of the batch, "
            "which are independent of each other in a Network"
        )
    spatial, channels = x.shape[:-1], x.shape[-1]
    if math.prod(x.shape) > 1 << 24:
        raise Unsupported(f"expected at most 2^24 elements, which float32 can count, got {view.shape}")
    size, strides, dilations = windows
    x = ops.pad(x, [(0, 0), *padding, (0, 0)], constant_values=_LOWEST)
    stacked = ops.stack(window_parts(x, size, strides, dilations), -1)
    place, maxima = ops.argmax(stacked, -1), ops.max(stacked, -1)
    # An element's number is the sum of what its place in the window, the window and the channel contribute.
    steps = [math.prod(spatial[:i] if node.integer("storage_order", 0) else spatial[i + 1 :]) for i in range(len(size))]
    inside, base = np.zeros((), np.int64), np.zeros((), np.int64)
    for i, step in enumerate(steps):
        inside = np.add.outer(inside, np.arange(size[i]) * dilations[i] * step)
        base = np.add.outer(base, (np.arange(maxima.shape[i]) * strides[i] - padding[i][0]) * step)
    base = np.add.outer(base, np.arange(channels) * math.prod(spatial))
    offsets = ops.reshape(ops.take(inside.reshape(-1, 1), place, 0), (None, *place.shape))
    return [image_view(maxima, view), image_view(ops.add(offsets, base), view)]


@imports("AveragePool")
@batch_in_front
def _average_pool(node: Node) -> View:
    view = node.view(0)
    size, strides, dilations, padding, whole = _windows(node, view)
    x, axes = channels_last(view), len(size)
    counted = bool(node.integer("count_include_pad", 0)) and any(pair != (0, 0) for pair in padding)
    if counted:  # zeros count, but not those that only the last windows need
        x = ops.pad(x, [(0, 0), *padding, (0, 0)])
        whole = [(0, max(b - after, 0)) for (_, b), (_, after) in zip(whole, padding, strict=True)]
    fits = all(max(pair) < width for pair, width in zip(whole, size, strict=True))
    if axes <= 2 and set(dilations) == {1} and fits:
        kind = layers.AvgPool1D if axes == 1 else layers.AvgPool2D
        return image_view(kind(tuple(size), tuple(strides), tuple(whole))(x), view)
    inside = np.pad(np.ones(x.shape[:-1], np.float32), whole)
    counts = sum(inside[key] for key in window_slices(inside.shape, size, strides, dilations))
    total = _together(ops.add, window_parts(ops.pad(x, [(0, 0), *whole, (0, 0)]), size, strides, dilations))
    return image_view(total / np.maximum(counts, 1)[..., None], view)


@imports("LpPool")
@batch_in_front
def _lp_pool(node: Node) -> View:
    view, p = node.view(0), node.integer("p", 2)
    size, strides, dilations, _, padding = _windows(node, view)
    x = ops.pad(channels_last(view), [(0, 0), *padding, (0, 0)])
    total = _together(ops.add, [_power(part, p) for part in window_parts(x, size, strides, dilations)])
    return image_view(_root(total, p), view)


def _together(function: Callable[[Any, Any], Any], parts: Sequence[Any]) -> Any:
    """All parts in one, by a few at a time: a plan joins no more elementwise operations than that."""
    while len(parts) > 1:
        groups = [parts[i : i + 8] for i in range(0, len(parts), 8)]
        parts = [ops.reshape(reduce(function, group), (None, *group[0].shape)) for group in groups]
    return parts[0]


def _power(x: Any, p: int) -> Any:
    if p < 1:
        raise Unsupported(f"expected p of 1 or more, got {p}")
    return ops.absolute(x) if p == 1 else ops.square(x) if p == 2 else ops.power(ops.absolute(x), float(p))


def _root(x: Any, p: int) -> Any:
    return x if p == 1 else ops.sqrt(x) if p == 2 else ops.power(x, 1 / p)


@imports("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def _global_pool(node: Node) -> View:
    view = node.view(0)
    x, axes = channels_last(view), view.rank - 2
    if axes == 2 and node.op != "GlobalLpPool":
        kind = layers.GlobalAvgPool2D if node.op == "GlobalAveragePool" else layers.GlobalMaxPool2D
        return View(kind()(x), [batch_group(view, 0), (1,), (), ()], view.batch)
    over = tuple(range(1, axes + 1))
    if node.op == "GlobalLpPool":
        p = node.integer("p", 2)
        y = _root(ops.sum(_power(x, p), over), p)
    else:
        y = (ops.mean if node.op == "GlobalAveragePool" else ops.max)(x, over)
    return View(y, [batch_group(view, 0), (1,), *[()] * axes], view.batch)


@imports("LRN")
def _local_response(node: Node) -> View:
    view, size = node.view(0), node.integer("size", 1)
    alpha, beta, bias = node.number("alpha", 1e-4), node.number("beta", 0.75), node.number("bias", 1.0)
    x = channels_last(view)
    channels = x.shape[-1]
    if not 1 <= size <= MAX_PARTS:
        raise Unsupported(f"expected a size from 1 to {MAX_PARTS}, got {size}")
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    squares = ops.pad(ops.square(x), [(0, 0)] * (len(x.shape)) + [(before, after)])
    total = _together(ops.add, [squares[..., place : place + channels] for place in range(size)])
    base = total * (alpha / size) + bias
    if beta == 0.75:
        root = ops.rsqrt(base)
        return image_view(x * (root * ops.sqrt(root)), view)
    return image_view(x * (ops.rsqrt(base) if beta == 0.5 else ops.power(base, -beta)), view)
