"""Resize and Upsample: by the upsampling layer where it gives the same, else by a matrix for each axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nnfast import layers, ops
from nnfast.core.typing import Array
from nnfast.io.onnx.importing.errors import Unsupported
from nnfast.io.onnx.importing.layout import View
from nnfast.io.onnx.importing.nodes import Node, imports
from nnfast.io.onnx.importing.windows import channels_last, image_view

__all__: list[str] = []

_CROP = "tf_crop_and_resize"
_CENTERS = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel")


class _Method(NamedTuple):
    mode: str
    coordinates: str
    rounding: str
    cubic: float
    excludes_outside: bool
    antialias: bool


class _Axis(NamedTuple):
    """How one axis is resized."""

    old: int
    new: int
    factor: float
    begin: float
    """Where the region begins that is resized, between 0 and 1, the last element."""
    end: float


@imports("Resize", "Upsample")
def _resize(node: Node) -> View:
    view = node.view(0)
    old = node.op == "Upsample" or node.version < 11
    method = _Method(
        node.text("mode", "nearest"),
        node.text("coordinate_transformation_mode", "asymmetric" if old else "half_pixel"),
        node.text("nearest_mode", "floor" if old else "round_prefer_floor"),
        node.number("cubic_coeff_a", -0.75),
        bool(node.integer("exclude_outside", 0)),
        bool(node.integer("antialias", 0)),
    )
    if method.mode not in ("nearest", "linear", "cubic") or method.coordinates not in (
        *_CENTERS,
        "asymmetric",
        "align_corners",
        _CROP,
    ):
        raise Unsupported(f"expected another mode than {method.mode} with {method.coordinates}")
    begins, ends = _region(node, view) if method.coordinates == _CROP else ([0.0] * view.rank, [1.0] * view.rank)
    factors, sizes = _factors(node, view, [end - begin for begin, end in zip(begins, ends, strict=True)])
    if _is_upsampling(view, factors, method):
        kind = "nearest" if method.mode == "nearest" else "bilinear"
        layer = layers.UpSampling2D((int(factors[2]), int(factors[3])), kind)
        return image_view(layer(channels_last(view)), view)
    beyond = node.number("extrapolation_value", 0.0)
    for number, resized in enumerate(map(_Axis, view.shape, sizes, factors, begins, ends)):
        if resized != _Axis(resized.old, resized.old, 1.0, 0.0, 1.0):
            view.require_no_batch(number)
            view = _along(view, number, *_matrix(resized, method), beyond)
    return view


def _region(node: Node, view: View) -> tuple[list[float], list[float]]:
    """Where the region that is resized begins and ends along each axis."""
    axes = [view.axis(axis) for axis in node.integers("axes") or range(view.rank)]
    roi = node.constant(1, "the region")
    if roi.shape != (2 * len(axes),) or roi.dtype.kind != "f" or not np.isfinite(roi).all():
        raise Unsupported(f"expected a region of {2 * len(axes)} finite numbers, got the shape {roi.shape}")
    begins, ends = [0.0] * view.rank, [1.0] * view.rank
    for axis, begin, end in zip(axes, roi[: len(axes)].tolist(), roi[len(axes) :].tolist(), strict=True):
        begins[axis], ends[axis] = begin, end
    return begins, ends


def _is_upsampling(view: View, factors: Sequence[float], method: _Method) -> bool:
    """Whether the layer gives the same: centers of pixels, or their corners rounded down."""
    whole = all(factor == int(factor) and factor >= 1 for factor in factors)
    if view.rank != 4 or factors[:2] != [1, 1] or not whole or factors[2:] == [1, 1]:
        return False
    if method.mode == "nearest":
        corners = method.coordinates == "asymmetric" and method.rounding == "floor"
        return corners or (method.coordinates in _CENTERS and method.rounding.startswith("round"))
    return method.mode == "linear" and method.coordinates == "half_pixel" and not method.excludes_outside


def _factors(node: Node, view: View, parts: Sequence[float]) -> tuple[list[float], list[int]]:
    """By which each axis, or the part of it that is resized, is resized, and its new size."""
    given = node.numbers("scales")
    if given is None:
        array = node.optional_constant(1 if node.op == "Upsample" or node.version < 11 else 2, "scales")
        given = None if array is None or not array.size else [float(x) for x in array.reshape(-1)]
    axes = [view.axis(axis) for axis in node.integers("axes") or range(view.rank)]
    wanted = node.optional_constant(3, "sizes")
    factors, sizes = [1.0] * view.rank, list(view.shape)
    if given is not None and len(given) == len(axes) and all(math.isfinite(x) and x > 0 for x in given):
        for axis, factor in zip(axes, given, strict=True):
            factors[axis], sizes[axis] = factor, math.floor(view.shape[axis] * parts[axis] * factor)
    elif wanted is not None and wanted.size == len(axes):
        policy = node.text("keep_aspect_ratio_policy", "stretch")
        ratios = [int(size) / view.shape[axis] for axis, size in zip(axes, wanted.reshape(-1), strict=True)]
        common = {"not_larger": min(ratios), "not_smaller": max(ratios)}.get(policy)
        for axis, size, ratio in zip(axes, wanted.reshape(-1), ratios, strict=True):
            factors[axis] = ratio if common is None else common
            sizes[axis] = int(size) if common is None else math.floor(view.shape[axis] * common + 0.5)
    else:
        raise Unsupported(f"expected positive scales or sizes for {len(axes)} axes")
    for axis, size in enumerate(sizes):
        if size != view.shape[axis]:
            view.require_no_batch(axis)
            if size < 1 or size * view.shape[axis] > 1 << 24:
                raise Unsupported(f"expected sizes that are not too large, got {size} for axis {axis} of {view.shape}")
    return factors, sizes


def _along(view: View, axis: int, matrix: Array, outside: Array, beyond: float) -> View:
    """The product of a matrix and the numbers along an axis, and a number in place of those that are outside."""
    flat = view.flat(axis)
    at, row = flat.axes[axis][0] - 1, flat.tensor.shape
    stack = ops.reshape(flat.tensor, (None, math.prod(row[:at]), row[at], math.prod(row[at + 1 :])))
    made = ops.matmul(matrix.astype(np.float32), stack)
    if outside.any():
        made = ops.where(outside[:, None], beyond, made)
    return flat.like(ops.reshape(made, (None, *row[:at], matrix.shape[0], *row[at + 1 :])))


def _matrix(axis: _Axis, method: _Method) -> tuple[Array, Array]:
    """What each of the new numbers takes of the old ones, and whether it lies outside of them."""
    places = _places(axis, method.coordinates)
    if method.coordinates != _CROP:
        return _weights(axis, places, method), np.zeros(axis.new, bool)
    outside = (places < 0) | (places > axis.old - 1)
    return _weights(axis, np.clip(places, 0, axis.old - 1), method), outside


def _weights(axis: _Axis, places: Array, method: _Method) -> Array:
    """What each of the new numbers, which lie at some places, takes of the old ones."""
    old, new = axis.old, axis.new
    matrix = np.zeros((new, old))
    if method.mode == "nearest":
        rounded: Any = {
            "round_prefer_floor": np.ceil(places - 0.5),
            "round_prefer_ceil": np.floor(places + 0.5),
            "floor": np.floor(places),
            "ceil": np.ceil(places),
        }.get(method.rounding)
        if rounded is None:
            raise Unsupported(f"expected a known nearest_mode, got {method.rounding!r}")
        matrix[np.arange(new), np.clip(rounded, 0, old - 1).astype(int)] = 1
        return matrix
    width = min(axis.factor, 1.0) if method.antialias else 1.0
    reach = 1 if method.mode == "linear" else 2
    steps = math.ceil(reach / width) + 1
    for row, place in enumerate(places):
        near = np.arange(math.floor(place) - steps, math.floor(place) + steps + 1)
        weights = _kernel((near - place) * width, method)
        if method.excludes_outside:
            weights[(near < 0) | (near >= old)] = 0
        np.add.at(matrix[row], np.clip(near, 0, old - 1), weights / weights.sum())
    return matrix


def _places(axis: _Axis, coordinates: str) -> Array:
    """Where the new numbers lie among the old ones."""
    old, new, factor = axis[:3]
    x = np.arange(new, dtype=np.float64)
    if coordinates == "asymmetric":
        return x / factor
    if coordinates == "align_corners":
        length = old * factor if factor * old != new else new
        return x * (old - 1) / (length - 1) if length != 1 else np.zeros(new)
    if coordinates == _CROP:
        if new == 1:
            return np.full(1, 0.5 * (axis.begin + axis.end) * (old - 1))
        return axis.begin * (old - 1) + x * ((axis.end - axis.begin) * (old - 1) / (new - 1))
    if coordinates == "pytorch_half_pixel" and new == 1:
        return np.zeros(new)
    offset = old / 2 * (1 - new / (factor * old)) if coordinates == "half_pixel_symmetric" else 0.0
    return offset + (x + 0.5) / factor - 0.5


def _kernel(x: Array, method: _Method) -> Array:
    """The weights at some distances (Keys 1981, DOI 10.1109/TASSP.1981.1163711)."""
    x = np.abs(x)
    if method.mode == "linear":
        hat: Array = np.maximum(1 - x, 0.0)
        return hat
    a = method.cubic
    near, far = (a + 2) * x**3 - (a + 3) * x**2 + 1, a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    made: Array = np.where(x <= 1, near, np.where(x < 2, far, 0.0))
    return made
