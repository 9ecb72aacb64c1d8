"""Parts of tensors: slices, looked-up elements, and their kin."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnfast import layers, ops
from nnfast.core.typing import Array
from nnfast.io.onnx.importing.errors import Unsupported
from nnfast.io.onnx.importing.folding import slices_of, split_places
from nnfast.io.onnx.importing.layout import View, reshaped_to
from nnfast.io.onnx.importing.nodes import Const, Node, Value, imports

__all__ = ["sliced"]


def sliced(view: View, axis: int, key: slice) -> View:
    """What a slice takes of an axis."""
    size = view.shape[axis]
    start, stop, step = key.indices(size)
    if (start, stop, step) == (0, size, 1):
        return view
    if not range(start, stop, step):
        raise Unsupported(f"expected a slice of one element or more of axis {axis} of {view.shape}, got {key}")
    view = view.flat(axis)
    keys = [slice(None)] * len(view.held)
    keys[view.axes[axis][0]] = key
    return view.like(view.tensor[tuple(keys)])


@imports("Slice")
def _slice(node: Node) -> View:
    view = node.view(0)
    for axis, key in slices_of(node, view.shape):
        view = sliced(view, axis, key)
    return view


@imports("Split")
def _split(node: Node) -> list[Value | None]:
    view = node.view(0)
    axis = view.axis(node.integer("axis", 0))
    places = split_places(node, view.shape[axis])
    if not places:
        return [view]
    view = view.flat(axis)
    parts = ops.split(view.tensor, places, view.axes[axis][0])
    return [view.like(part) for part in parts]


@imports("Gather")
def _gather(node: Node) -> View:
    table, places = node.value(0), node.value(1)
    if isinstance(places, Const):
        view = node.view(0)
        return _taken(view, view.axis(node.integer("axis", 0)), places.array)
    if isinstance(table, View):
        raise Unsupported("expected a table or indices that are known, got both computed from the inputs")
    if node.integer("axis", 0) not in (0, -table.array.ndim) or table.array.ndim < 1:
        raise Unsupported(f"expected indices that are computed to look up axis 0, got axis {node.integer('axis', 0)}")
    return _looked_up(node, table, places)


def _taken(view: View, axis: int, places: Array) -> View:
    """The elements at known places along an axis."""
    size = view.shape[axis]
    if places.dtype.kind not in "iu" or places.size == 0 or places.min() < -size or places.max() >= size:
        raise Unsupported(f"expected indices from {-size} to {size - 1} for axis {axis} of {view.shape}")
    wanted = np.where(places < 0, places + size, places)
    if wanted.size == 1:
        place = int(wanted.reshape(()).item())
        made = sliced(view, axis, slice(place, place + 1))
        axes = [*made.axes[:axis], *[()] * wanted.ndim, *made.axes[axis + 1 :]]
        return made.with_axes(axes)
    view = view.flat(axis)
    at = view.axes[axis][0]
    tensor = ops.take(view.tensor, wanted.reshape(-1).astype(np.int64), at)
    flat = view.like(tensor)
    return reshaped_to(flat, [*flat.shape[:axis], *wanted.shape, *flat.shape[axis + 1 :]])


def _looked_up(node: Node, table: Const, places: View) -> View:
    """The rows of a table at places that are computed: an embedding if the numbers are real."""
    array = table.array
    width = math.prod(array.shape[1:])
    tensor = places.tensor
    if array.dtype.kind == "f":
        values: dict[str, Any] = {"embeddings": Const(array.reshape(array.shape[0], width), table.source)}

        def make() -> Any:
            return layers.Embedding(array.shape[0], width, "zeros")

        layer = node.builder.layer(("embedding", width), make, node, values)
        result = layer(tensor if tensor.shape else ops.reshape(tensor, (None, 1)))
    else:
        result = ops.take(array.reshape(array.shape[0], width), ops.cast(tensor, "int64"), 0)
    last = len(result.shape)
    made = View(result, [*places.axes, (last,)], places.batch)
    return reshaped_to(made, [*places.shape, *array.shape[1:]])


@imports("GatherElements")
def _gather_elements(node: Node) -> View:
    view, places = node.view(0), node.value(1)
    axis = view.axis(node.integer("axis", 0))
    view.require_no_batch(axis)
    size = view.shape[axis]
    if isinstance(places, Const):
        wanted: Any = np.where(places.array < 0, places.array + size, places.array)
        places = Const(wanted)
    else:
        tensor = places.tensor
        places = places.like(ops.cast(ops.where(tensor < 0, tensor + size, tensor), "int64"))
    rank = view.rank
    if len(places.shape) != rank:
        raise Unsupported(f"expected indices with {rank} axes, got {places.shape}")
    for i in range(rank):
        if i != axis and places.shape[i] != view.shape[i]:
            if 0 in view.axes[i]:
                raise Unsupported("expected indices for all rows of the batch")
            view = sliced(view, i, slice(0, places.shape[i]))
    order = [i for i in range(rank) if view.axes[i] != (0,)]
    x = view.in_order(order)
    if isinstance(places, View):
        indices: Any = places.in_order(order)
    else:
        array = np.transpose(places.array, [i for i in range(rank) if i not in order] + order)
        indices = array.reshape([1, *(places.shape[i] for i in order)])
        indices = ops.broadcast_to(indices[0], (None, *indices.shape[1:]))
        indices.domain = "integer"
    at = order.index(axis) + 1
    made = ops.take_along_axis(x, indices, at)
    place = {i: k + 1 for k, i in enumerate(order)}
    return View(made, [(place[i],) if i in place else (0,) for i in range(rank)], view.batch)


@imports("OneHot")
def _one_hot(node: Node) -> View:
    view, depth = node.view(0), node.constant(1, "the depth")
    values = node.constant(2, "the values")
    classes = int(depth.reshape(()).item())
    if not 1 <= classes <= 1 << 24:
        raise Unsupported(f"expected a depth from 1 on, got {classes}")
    axis = node.integer("axis", -1)
    axis += view.rank + 1 if axis < 0 else 0
    if not 0 <= axis <= view.rank:
        raise Unsupported(f"expected an axis from {-view.rank - 1} to {view.rank}, got {node.integer('axis', -1)}")
    x = ops.reshape(view.tensor, (None, *view.tensor.shape, 1))
    x = ops.where(x < 0, x + classes, x)
    off, on = values.reshape(-1).tolist()
    row = np.arange(classes).reshape([1] * (len(x.shape) - 1) + [classes])
    made = ops.where(ops.equal(x, row), on, off)
    axes = list(view.axes)
    axes.insert(axis, (len(x.shape),))
    return View(made, axes, view.batch)


@imports("TopK")
def _top_k(node: Node) -> list[Value | None]:
    view = node.view(0)
    axis = view.axis(node.integer("axis", -1))
    k = node.constant(1, "k").reshape(-1) if node.has_input(1) else np.array([node.integer("k", 1)])
    count, flat = int(k[0]), view.flat(axis)
    if not 1 <= count <= view.shape[axis]:
        raise Unsupported(f"expected k from 1 to {view.shape[axis]}, got {count}")
    at = flat.axes[axis][0]
    blocks = [(i,) for i in range(1, len(flat.held)) if i != at and flat.held[i] > 1]
    last = flat.arranged([*blocks, (at,)])
    x = last.tensor
    largest = bool(node.integer("largest", 1))
    values, places = ops.top_k(x if largest else -x, count)
    return [last.like(values if largest else -values), last.like(places)]
