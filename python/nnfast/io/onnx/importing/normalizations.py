"""Normalizations, with their scales, shifts and statistics as parameters of layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnfast import layers, ops
from nnfast.io.onnx.importing.elementwise import broadcast
from nnfast.io.onnx.importing.errors import Unsupported
from nnfast.io.onnx.importing.layout import View, reshaped_to
from nnfast.io.onnx.importing.nodes import Const, Node, Value, imports
from nnfast.io.onnx.importing.windows import channels_last, image_view

__all__: list[str] = []

_TINY = 1e-12


def _epsilon(node: Node) -> float:
    return max(node.number("epsilon", 1e-5), _TINY)


def _vectors(node: Node, view: View, names: dict[str, int], size: int) -> dict[str, Any]:
    """Parameters by name, of one number for each channel."""
    found: dict[str, Any] = {}
    for name, place in names.items():
        value = node.const(place, name)
        if value.array.shape != (size,):
            raise Unsupported(f"expected {name} of shape {(size,)}, got {value.array.shape}")
        found[name] = value
    return found


@imports("BatchNormalization")
def _batch_normalization(node: Node) -> View:
    view = node.view(0)
    if node.integer("training_mode", 0) or any(node.wants(i) for i in range(1, 5)):
        raise Unsupported("expected a graph for inference, got training_mode; export it with the model in eval mode")
    if view.rank < 2:
        raise Unsupported(f"expected an input (N, C, ...), got {view.shape}")
    names = {"gamma": 1, "beta": 2, "moving_mean": 3, "moving_variance": 4}
    values = _vectors(node, view, names, view.shape[1])
    epsilon, momentum = _epsilon(node), min(max(node.number("momentum", 0.9), 0.0), 0.999999)

    def make() -> Any:
        return layers.BatchNormalization(momentum, epsilon)

    layer = node.builder.layer(("batch_normalization", epsilon, momentum), make, node, values)
    return _on_last(view, 1, layer)


def _on_last(view: View, axis: int, layer: Any) -> View:
    """A layer that treats the last axis of its input, on one axis of the graph; the others stay as they are held."""
    flat = view.flat(axis)
    held = flat.held
    at = flat.axes[axis][0]
    blocks = [(i,) for i in range(1, len(held)) if i != at and held[i] > 1]
    made = flat.arranged([*blocks, (at,)])
    return made.like(layer(made.tensor))


@imports("InstanceNormalization")
def _instance_normalization(node: Node) -> View:
    view = node.view(0)
    return _groups(node, view, view.shape[1] if view.rank > 1 else 0, 1)


@imports("GroupNormalization")
def _group_normalization(node: Node) -> View:
    view, groups = node.view(0), node.integer("num_groups", 1)
    if node.version < 21:  # scale and bias of each group
        each = view.shape[1] // max(groups, 1)
        scale, bias = (Const(np.repeat(node.constant(i, "a vector"), each)) for i in (1, 2))
        return _groups(node, view, groups, 1, {"gamma": scale, "beta": bias})
    return _groups(node, view, groups, 1)


def _groups(node: Node, view: View, groups: int, first: int, given: dict[str, Any] | None = None) -> View:
    values = given or _vectors(node, view, {"gamma": first, "beta": first + 1}, view.shape[1])
    epsilon = _epsilon(node)
    if groups < 1 or view.shape[1] % groups:
        raise Unsupported(f"expected groups that divide {view.shape[1]} channels, got {groups}")

    def make() -> Any:
        return layers.GroupNormalization(groups, epsilon)

    layer = node.builder.layer(("group_normalization", groups, epsilon), make, node, values)
    return image_view(layer(channels_last(view)), view)


@imports("LayerNormalization", "RMSNormalization")
def _layer_normalization(node: Node) -> list[Value | None]:
    view, axis = node.view(0), node.view(0).axis(node.integer("axis", -1))
    for i in range(axis, view.rank):
        view.require_no_batch(i)
    centered = node.op == "LayerNormalization"
    known = all(isinstance(node.inputs[i], Const) for i in range(1, len(node.inputs)) if node.has_input(i))
    shapes = {node.const(i, "scale").array.shape for i in (1, 2) if node.has_input(i)} if known else set()
    epsilon = _epsilon(node)
    statistics = _statistics(view, axis, epsilon) if node.wants(1) or node.wants(2) else [None, None]
    if not shapes <= {view.shape[axis:]} or not node.has_input(1):
        return [_normalized(node, view, axis, epsilon, centered), *statistics]
    values: dict[str, Any] = {"gamma": _flat(node.const(1, "scale"))}
    if centered and node.has_input(2):
        values["beta"] = _flat(node.const(2, "bias"))

    def make() -> Any:
        if not centered:
            return layers.RMSNormalization(epsilon)
        return layers.LayerNormalization(epsilon, center="beta" in values)

    layer = node.builder.layer((node.op, epsilon, "beta" in values), make, node, values)
    order = [tuple(a for a in view.axes[i] if a) for i in range(view.rank)]
    front = [(a,) for a in range(1, len(view.held)) if view.held[a] > 1 and not any(a in g for g in order[axis:])]
    last = tuple(a for group in order[axis:] for a in group)
    tensor = view.tensor_of([*front, last])
    result = layer(tensor)
    place = {block[0]: i + 1 for i, block in enumerate(front)} | {0: 0}
    axes = [tuple(place[a] for a in group if view.held[a] > 1) for group in view.axes[:axis]]
    made = View(result, [*axes, (len(front) + 1,)], view.batch)
    return [reshaped_to(made, view.shape), *statistics]


def _statistics(view: View, axis: int, epsilon: float) -> list[Value | None]:
    """The mean, and one over the deviation."""
    over = tuple(a for group in view.axes[axis:] for a in group)
    if not over:
        raise Unsupported("expected more than one number for mean and deviation")
    mean = ops.mean(view.tensor, over, keepdims=True)
    inverse = ops.rsqrt(ops.mean(ops.square(view.tensor - mean), over, keepdims=True) + epsilon)
    axes = [*view.axes[:axis], *[()] * (view.rank - axis)]
    return [View(mean, axes, view.batch), View(inverse, axes, view.batch)]


def _flat(value: Const) -> Const:
    return Const(value.array.reshape(-1), value.source)


def _normalized(node: Node, view: View, axis: int, epsilon: float, centered: bool) -> View:
    """Composed, for scales of other shapes."""
    over = tuple(a for group in view.axes[axis:] for a in group)
    x = view.tensor
    if over:
        if centered:
            x = x - ops.mean(x, over, keepdims=True)
        x = x * ops.rsqrt(ops.mean(ops.square(x), over, keepdims=True) + epsilon)
    result = view.like(x)
    for i, function in ((1, ops.multiply), (2, ops.add)):
        if node.has_input(i):
            result = broadcast(node, [result, node.value(i)], function)
    return result


@imports("MeanVarianceNormalization")
def _mean_variance(node: Node) -> View:
    view = node.view(0)
    axes = node.integers("axes") or [0, 2, 3]
    for axis in axes:
        view.require_no_batch(view.axis(axis))
    over = tuple(a for axis in axes for a in view.axes[view.axis(axis)])
    x = view.tensor
    centered = x - ops.mean(x, over, keepdims=True)
    return view.like(centered / (ops.sqrt(ops.mean(ops.square(centered), over, keepdims=True)) + 1e-9))


@imports("LpNormalization")
def _lp_normalization(node: Node) -> View:
    view, p = node.view(0), node.integer("p", 2)
    axis = view.axis(node.integer("axis", -1))
    view.require_no_batch(axis)
    x, over = view.tensor, view.axes[axis]
    norm = ops.norm(x, p, over, keepdims=True) if over else ops.absolute(x)
    return view.like(ops.where(ops.equal(norm, 0.0), 0.0, x / ops.where(ops.equal(norm, 0.0), 1.0, norm)))
