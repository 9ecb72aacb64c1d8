"""Pooling. What the pooling layers do not have is composed of slices: one for each place in the window."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from nnfast import layers, ops
from nnfast.io.onnx.importing.convolutions import batch_group, channels_last, image_view, same_padding, window_options
from nnfast.io.onnx.importing.errors import Unsupported
from nnfast.io.onnx.importing.layout import View
from nnfast.io.onnx.importing.nodes import Node, imports

__all__: list[str] = []

_LOWEST = -3.4028234663852886e38
_MAX_PARTS = 256

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
def _max_pool(node: Node) -> View:
    view = node.view(0)
    if node.wants(1):
        raise Unsupported("expected its output but not the indices of the maxima")
    size, strides, dilations, _, padding = _windows(node, view)
    x, axes = channels_last(view), len(size)
    fits = all(max(pair) < width for pair, width in zip(padding, size, strict=True))
    if axes <= 2 and set(dilations) == {1} and fits:
        kind = layers.MaxPool1D if axes == 1 else layers.MaxPool2D
        return image_view(kind(tuple(size), tuple(strides), tuple(padding))(x), view)
    x = ops.pad(x, [(0, 0), *padding, (0, 0)], constant_values=_LOWEST)
    return image_view(_together(ops.maximum, _parts(x, size, strides, dilations)), view)


@imports("AveragePool")
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
    counts = sum(_slices(inside, size, strides, dilations))
    total = _together(ops.add, _parts(ops.pad(x, [(0, 0), *whole, (0, 0)]), size, strides, dilations))
    return image_view(total / np.maximum(counts, 1)[..., None], view)


@imports("LpPool")
def _lp_pool(node: Node) -> View:
    view, p = node.view(0), node.integer("p", 2)
    size, strides, dilations, _, padding = _windows(node, view)
    x = ops.pad(channels_last(view), [(0, 0), *padding, (0, 0)])
    total = _together(ops.add, [_power(part, p) for part in _parts(x, size, strides, dilations)])
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


def _keys(shape: Sequence[int], size: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> list[Any]:
    """What each place of the window takes of the padded input."""
    if math.prod(size) > _MAX_PARTS:
        raise Unsupported(f"expected windows of at most {_MAX_PARTS} elements with these options, got {tuple(size)}")
    counts = [
        (extent - (width - 1) * dilation - 1) // stride + 1
        for extent, width, stride, dilation in zip(shape, size, strides, dilations, strict=True)
    ]
    return [
        tuple(
            slice(place * dilation, place * dilation + (count - 1) * stride + 1, stride)
            for place, dilation, count, stride in zip(places, dilations, counts, strides, strict=True)
        )
        for places in itertools.product(*map(range, size))
    ]


def _slices(array: Any, size: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> list[Any]:
    return [array[key] for key in _keys(array.shape, size, strides, dilations)]


def _parts(x: Any, size: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> list[Any]:
    return [x[(slice(None), *key)] for key in _keys(x.shape[:-1], size, strides, dilations)]


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
    if not 1 <= size <= _MAX_PARTS:
        raise Unsupported(f"expected a size from 1 to {_MAX_PARTS}, got {size}")
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    squares = ops.pad(ops.square(x), [(0, 0)] * (len(x.shape)) + [(before, after)])
    total = _together(ops.add, [squares[..., place : place + channels] for place in range(size)])
    base = total * (alpha / size) + bias
    if beta == 0.75:
        root = ops.rsqrt(base)
        return image_view(x * (root * ops.sqrt(root)), view)
    return image_view(x * (ops.rsqrt(base) if beta == 0.5 else ops.power(base, -beta)), view)
