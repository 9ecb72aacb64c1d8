"""Windows over the axes behind the channels, which convolutions and pooling move over images and sequences."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from nnfast import ops
from nnfast.io.onnx.importing.errors import Unsupported
from nnfast.io.onnx.importing.layout import View
from nnfast.io.onnx.importing.nodes import Node

__all__ = [
    "MAX_PARTS",
    "batch_group",
    "batch_in_front",
    "channels_last",
    "image_view",
    "same_padding",
    "stretched",
    "window_options",
    "window_parts",
    "window_slices",
]

MAX_PARTS = 256
"""Places of a window, where an operation is composed of one part for each."""


def channels_last(view: View, what: str = "its input") -> Any:
    """The tensor (N, ..., C) of an input (N, C, ...)."""
    view.require_batch_first(what)
    return view.in_order([*range(2, view.rank), 1])


def batch_group(view: View, axis: int) -> tuple[int, ...]:
    """What is the batch of another tensor in place of an axis that is one, or has one element."""
    return (0,) if 0 in view.axes[axis] else ()


def image_view(tensor: Any, like: View) -> View:
    """A tensor (N, ..., C) as an output (N, C, ...)."""
    rank = len(tensor.shape) + 1
    return View(tensor, [batch_group(like, 0), (rank - 1,), *((i,) for i in range(1, rank - 1))], like.batch)


def batch_in_front(importer: Callable[[Node], Any]) -> Callable[[Node], Any]:
    """An importer for windows that also takes (1, C, ..., N, ...), as the exporter of JAX writes pooling.

    The window has one element along the axis of the batch, which then can change places with the first one.
    """

    def function(node: Node) -> Any:
        view = node.value(0)
        axis = view.batch_axis if isinstance(view, View) else None
        if not isinstance(view, View) or axis is None or axis < 2 or view.size(view.axes[0]) != 1:
            return importer(node)
        place, axes = axis - 2, view.rank - 2
        size = node.integers("kernel_shape") or list(node.value(1).shape[2:])
        strides, pads = node.integers("strides") or [1] * axes, node.integers("pads") or [0] * 2 * axes
        if (len(size), len(strides), len(pads)) != (axes, axes, 2 * axes) or (
            (size[place], strides[place], pads[place], pads[axes + place]) != (1, 1, 0, 0)
        ):
            return importer(node)
        order = [axis, *range(1, axis), 0, *range(axis + 1, view.rank)]
        node.inputs = [view.permuted(order), *node.inputs[1:]]
        made = importer(node)
        results = made if isinstance(made, list) else [made]
        return [result.permuted(order) if isinstance(result, View) else result for result in results]

    return function


def window_options(node: Node, axes: int, size: Sequence[int]) -> tuple[list[int], list[int]]:
    """Strides and dilations of a window over some axes."""
    strides = node.integers("strides") or [1] * axes
    dilations = node.integers("dilations") or [1] * axes
    if len(size) != axes or len(strides) != axes or len(dilations) != axes or min(*strides, *dilations, *size) < 1:
        raise Unsupported(f"expected sizes, strides and dilations of 1 or more for {axes} axes")
    return strides, dilations


def same_padding(
    node: Node, shape: Sequence[int], size: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> list[tuple[int, int]]:
    """What is added before and behind each axis."""
    axes = len(size)
    mode = node.text("auto_pad", "NOTSET")
    if mode == "VALID":
        return [(0, 0)] * axes
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        pairs = []
        for extent, width, stride, dilation in zip(shape, size, strides, dilations, strict=True):
            total = max((-(-extent // stride) - 1) * stride + (width - 1) * dilation + 1 - extent, 0)
            small, large = total // 2, total - total // 2
            pairs.append((small, large) if mode == "SAME_UPPER" else (large, small))
        return pairs
    if mode not in ("NOTSET", ""):
        raise Unsupported(f"expected auto_pad as NOTSET, VALID, SAME_UPPER or SAME_LOWER, got {mode!r}")
    pads = node.integers("pads") or [0] * 2 * axes
    if len(pads) != 2 * axes:
        raise Unsupported(f"expected {2 * axes} pads, got {pads}")
    return list(zip(pads[:axes], pads[axes:], strict=True))


def window_slices(
    shape: Sequence[int], size: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> list[tuple[slice, ...]]:
    """What each place of a window takes of a padded input with such axes."""
    if math.prod(size) > MAX_PARTS:
        raise Unsupported(f"expected windows of at most {MAX_PARTS} elements with these options, got {tuple(size)}")
    counts = [
        (extent - (width - 1) * dilation - 1) // stride + 1
        for extent, width, stride, dilation in zip(shape, size, strides, dilations, strict=True)
    ]
    if min(counts) < 1:
        raise Unsupported(f"expected windows that fit into the padded input {tuple(shape)}, got {tuple(size)}")
    return [
        tuple(
            slice(place * dilation, place * dilation + (count - 1) * stride + 1, stride)
            for place, dilation, count, stride in zip(places, dilations, counts, strides, strict=True)
        )
        for places in itertools.product(*map(range, size))
    ]


def window_parts(x: Any, size: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> list[Any]:
    """The parts of a padded tensor (N, ..., C) that are at each place of the windows."""
    return [x[(slice(None), *key)] for key in window_slices(x.shape[:-1], size, strides, dilations)]


def stretched(x: Any, strides: Sequence[int], padding: Sequence[tuple[int, int]]) -> Any:
    """A tensor (N, ..., C) with zeros between its elements, and with zeros around it or, where negative, cut off."""
    shape = list(x.shape)
    for axis, stride in enumerate(strides):
        if stride > 1:
            x = ops.reshape(x, (None, *shape[: axis + 1], 1, *shape[axis + 1 :]))
            x = ops.pad(x, [(0, 0)] * (axis + 2) + [(0, stride - 1)] + [(0, 0)] * (len(shape) - axis - 1))
            shape[axis] *= stride
            x = ops.reshape(x, (None, *shape))
    pairs = [(before, after - stride + 1) for stride, (before, after) in zip(strides, padding, strict=True)]
    keys = [slice(max(-before, 0), size + min(after, 0)) for size, (before, after) in zip(shape, pairs, strict=False)]
    x = x[(slice(None), *keys)]
    return ops.pad(x, [(0, 0), *((max(before, 0), max(after, 0)) for before, after in pairs), (0, 0)])
