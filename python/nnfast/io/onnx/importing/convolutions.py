"""Conv and ConvTranspose. Kernels are stored as (O, C / groups, KH, KW) by ONNX, as (KH, KW, C / groups, O) here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnfast import layers, ops
from nnfast.core.typing import Array
from nnfast.io.onnx.importing.errors import Unsupported
from nnfast.io.onnx.importing.layout import View
from nnfast.io.onnx.importing.nodes import Const, Node, imports
from nnfast.io.onnx.importing.windows import (
    batch_in_front,
    channels_last,
    image_view,
    same_padding,
    stretched,
    window_options,
    window_parts,
)

__all__: list[str] = []


def _kernel_size(node: Node, weights: Array) -> list[int]:
    size = node.integers("kernel_shape") or list(weights.shape[2:])
    if size != list(weights.shape[2:]):
        raise Unsupported(f"expected a kernel of shape {tuple(size)}, got weights of shape {weights.shape}")
    return size


def _bias(node: Node, units: int) -> Const | None:
    if not node.has_input(2):
        return None
    bias = node.const(2, "the bias")
    if bias.array.shape != (units,):
        raise Unsupported(f"expected a bias of shape {(units,)}, got {bias.array.shape}")
    return bias


def _operands(node: Node) -> tuple[View, Const]:
    """The images, or sequences, and the kernel."""
    view, weights = node.view(0), node.const(1, "the kernel")
    if view.rank < 3 or weights.array.ndim != view.rank:
        raise Unsupported(
            f"expected an input of 3 axes or more and a kernel with as many, got {view.shape} and {weights.shape}"
        )
    return view, weights


@imports("Conv")
@batch_in_front
def _conv(node: Node) -> View:
    view, weights = _operands(node)
    axes, size = view.rank - 2, _kernel_size(node, weights.array)
    strides, dilations = window_options(node, axes, size)
    padding = same_padding(node, view.shape[2:], size, strides, dilations)
    groups, filters = node.integer("group", 1), weights.array.shape[0]
    channels = view.shape[1]
    if groups < 1 or channels != weights.array.shape[1] * groups or filters % groups:
        raise Unsupported(f"expected a kernel for {channels} channels in {groups} groups, got {weights.array.shape}")
    x = channels_last(view)
    if min(min(pair) for pair in padding) < 0:
        raise Unsupported(f"expected pads of 0 or more, got {padding}")
    bias = _bias(node, filters)
    if axes > 2:
        x = stretched(x, [1] * axes, padding)
        return image_view(_over_volume(node, x, weights, bias, groups, strides, dilations), view)
    depthwise = groups == channels and groups > 1 and axes == 2
    moved = np.moveaxis(weights.array, (0, 1), (-1, -2))  # (KH, KW, C / groups, O)
    options: dict[str, Any] = {
        "strides": tuple(strides),
        "padding": tuple(padding),
        "dilation_rate": tuple(dilations),
        "use_bias": bias is not None,
        "kernel_initializer": "zeros",
    }

    def make() -> Any:
        if depthwise:
            return layers.DepthwiseConv2D(tuple(size), depth_multiplier=filters // groups, **options)
        kind = layers.Conv1D if axes == 1 else layers.Conv2D
        return kind(filters, tuple(size), groups=groups, **options)

    if depthwise:
        moved = moved.reshape(*size, channels, filters // groups)
    values: dict[str, Any] = {"kernel": Const(moved, weights.source)}
    if bias is not None:
        values["bias"] = bias
    key = ("conv", filters, groups, *map(str, options.values()), channels)
    return image_view(node.builder.layer(key, make, node, values)(x), view)


def _over_volume(
    node: Node,
    x: Any,
    weights: Const,
    bias: Const | None,
    groups: int,
    strides: Sequence[int],
    dilations: Sequence[int],
) -> Any:
    """A convolution of a padded tensor over three axes or more: a dense layer on the elements of each window.

    Its kernel is (places in the window x C / groups, O / groups).
    """
    filters, size = weights.array.shape[0] // groups, weights.array.shape[2:]
    made = []
    for group, part in enumerate([x] if groups == 1 else ops.split(x, groups, axis=-1)):
        own = slice(group * filters, (group + 1) * filters)
        kernel = np.moveaxis(weights.array[own], (0, 1), (-1, -2)).reshape(-1, filters)
        values: dict[str, Any] = {"kernel": Const(kernel, weights.source)}
        if bias is not None:
            values["bias"] = Const(bias.array[own], bias.source)

        def make() -> Any:
            return layers.Dense(filters, use_bias=bias is not None, kernel_initializer="zeros")

        parts = window_parts(part, size, strides, dilations)
        windows = parts[0] if len(parts) == 1 else ops.concatenate(parts, -1)
        key = ("volume", node.op, filters, group, size, bias is not None)
        made.append(node.builder.layer(key, make, node, values)(windows))
    return made[0] if groups == 1 else layers.Concatenate()(made)


@imports("ConvTranspose")
def _conv_transpose(node: Node) -> View:
    view, weights = _operands(node)
    axes, size = view.rank - 2, _kernel_size(node, weights.array)
    strides, dilations = window_options(node, axes, size)
    groups = node.integer("group", 1)
    channels, per_group = weights.array.shape[:2]
    if groups < 1 or channels != view.shape[1] or channels % groups:
        raise Unsupported(
            f"expected a kernel for {view.shape[1]} channels in {groups} groups, got {weights.array.shape}"
        )
    crop, extra = _transposed_padding(node, view.shape[2:], size, strides, dilations)
    bias = _bias(node, per_group * groups)
    x = channels_last(view)
    if axes > 2:
        turned = np.flip(weights.array, tuple(range(2, view.rank))).reshape(
            groups, channels // groups, per_group, *size
        )
        kernel = np.swapaxes(turned, 1, 2).reshape(groups * per_group, channels // groups, *size)
        reach = [(width - 1) * dilation for width, dilation in zip(size, dilations, strict=True)]
        pads = [(r - before, r - after + more) for r, (before, after), more in zip(reach, crop, extra, strict=True)]
        x, turned_weights = stretched(x, strides, pads), Const(kernel, weights.source)
        return image_view(_over_volume(node, x, turned_weights, bias, groups, [1] * axes, dilations), view)
    parts = [x] if groups == 1 else ops.split(x, groups, axis=-1)
    made = []
    for group, part in enumerate(parts):
        rows = weights.array[group * channels // groups : (group + 1) * channels // groups]
        kernel = np.moveaxis(rows, (0, 1), (-1, -2))  # (KH, KW, O, C)
        values: dict[str, Any] = {"kernel": Const(kernel, weights.source)}
        if bias is not None:
            values["bias"] = Const(bias.array[group * per_group : (group + 1) * per_group], bias.source)
        made.append(_transposed(node, per_group, size, strides, dilations, values, group)(part))
    y: Any = made[0] if groups == 1 else layers.Concatenate()(made)
    keys: list[Any] = [slice(None)]
    grow: list[tuple[int, int]] = [(0, 0)]
    for full, (before, after), more in zip(y.shape[:-1], crop, extra, strict=True):
        grow.append((0, max(more - after, 0)))
        keys.append(slice(before, full + more - after))
    if any(pair != (0, 0) for pair in grow):
        if bias is not None:
            raise Unsupported("expected an output_padding that is not larger than the pads, or no bias")
        y = ops.pad(y, [*grow, (0, 0)])
    return image_view(y[tuple(keys)], view)


def _transposed(
    node: Node,
    filters: int,
    size: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    values: dict[str, Any],
    group: int,
) -> Any:
    kind = layers.Conv1DTranspose if len(size) == 1 else layers.Conv2DTranspose
    options: dict[str, Any] = {
        "strides": tuple(strides),
        "padding": ((0, 0),) * len(size),
        "dilation_rate": tuple(dilations),
        "use_bias": "bias" in values,
        "kernel_initializer": "zeros",
    }
    key = ("conv_transpose", filters, group, *map(str, options.values()))
    return node.builder.layer(key, lambda: kind(filters, tuple(size), **options), node, values)


def _transposed_padding(
    node: Node, shape: Sequence[int], size: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[list[tuple[int, int]], list[int]]:
    """What is cut off before and behind each axis of the full output, and what is added behind."""
    axes = len(size)
    extra = node.integers("output_padding") or [0] * axes
    wanted = node.integers("output_shape")
    full = [(n - 1) * s + (k - 1) * d + 1 for n, k, s, d in zip(shape, size, strides, dilations, strict=True)]
    mode = node.text("auto_pad", "NOTSET")
    if wanted is None and mode in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [n * s for n, s in zip(shape, strides, strict=True)]
    if wanted is None:
        return same_padding(node, shape, size, strides, dilations), extra
    wanted = wanted[-axes:]
    crop = []
    for whole, more, target in zip(full, extra, wanted, strict=True):
        total = whole + more - target
        small = total // 2 if total > 0 else 0
        pair = (total - small, small) if mode == "SAME_LOWER" else (small, total - small)
        crop.append(pair)
    return crop, extra
