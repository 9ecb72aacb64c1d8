"""Operations that change shapes. Most of them change only how a view reads its tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnfast import ops
from nnfast.io.onnx.importing.elementwise import broadcast
from nnfast.io.onnx.importing.errors import Unsupported
from nnfast.io.onnx.importing.folding import resolved
from nnfast.io.onnx.importing.layout import View, aligned, reshaped_to
from nnfast.io.onnx.importing.nodes import Const, Node, Value, imports, slim, whole_numbers

__all__ = ["joined"]


@imports("Shape")
def _shape(node: Node) -> Const:
    shape = node.view(0).shape
    return Const(np.array(shape[node.integer("start", 0) : node.integer("end", len(shape))], np.int64))


@imports("Size")
def _size(node: Node) -> Const:
    return Const(np.array(math.prod(node.view(0).shape), np.int64))


@imports("Reshape")
def _reshape(node: Node) -> View:
    view, new = node.view(0), node.given_integers("shape", 1)
    if new is None:
        raise Unsupported("expected a shape")
    return reshaped_to(view, resolved(node, view.shape, new))


@imports("Flatten")
def _flatten(node: Node) -> View:
    view, axis = node.view(0), node.integer("axis", 1)
    if not -view.rank <= axis <= view.rank:
        raise Unsupported(f"expected an axis from {-view.rank} to {view.rank}, got {axis}")
    axis += view.rank if axis < 0 else 0
    groups = [tuple(i for group in part for i in group) for part in (view.axes[:axis], view.axes[axis:])]
    return view.with_axes(groups)


@imports("Squeeze")
def _squeeze(node: Node) -> View:
    view, axes = node.view(0), node.given_integers("axes", 1)
    if axes is None:
        axes = [i for i, size in enumerate(view.shape) if size == 1]
    gone = {view.axis(axis) for axis in axes}
    for axis in gone:
        if view.shape[axis] != 1:
            got = "the batch" if 0 in view.axes[axis] else f"{view.shape[axis]} elements"
            raise Unsupported(f"expected an axis of size 1, got axis {axis} with {got}")
    return view.with_axes(group for i, group in enumerate(view.axes) if i not in gone)


@imports("Unsqueeze")
def _unsqueeze(node: Node) -> View:
    view, given = node.view(0), node.given_integers("axes", 1) or []
    rank = view.rank + len(given)
    if not all(-rank <= axis < rank for axis in given) or len({axis % rank for axis in given}) < len(given):
        raise Unsupported(f"expected different axes from {-rank} to {rank - 1}, got {given}")
    axes = list(view.axes)
    for axis in sorted(axis % rank for axis in given):
        axes.insert(axis, ())
    return view.with_axes(axes)


@imports("Transpose")
def _transpose(node: Node) -> View:
    view = node.view(0)
    order = node.integers("perm") or list(range(view.rank))[::-1]
    if sorted(order) != list(range(view.rank)):
        raise Unsupported(f"expected an order of {view.rank} axes, got {order}")
    return view.permuted(order)


@imports("Concat")
def _concat(node: Node) -> View:
    values = [node.value(i) for i in range(len(node.inputs)) if not _is_empty(node.value(i))]
    if len(values) == 1:
        return node.view(node.inputs.index(values[0]))
    rank = len(values[0].shape)
    axis = next(value for value in values if isinstance(value, View)).axis(node.integer("axis", 0))
    if any(len(value.shape) != rank for value in values):
        raise Unsupported(f"expected operands with {rank} axes, got {[value.shape for value in values]}")
    return joined(node, values, axis)


def _is_empty(value: Value) -> bool:
    return isinstance(value, Const) and value.array.size == 0


def joined(node: Node, operands: Sequence[Value], axis: int) -> View:
    """Operands side by side along an axis; one of them or more depend on the inputs."""
    values = [value.flat(axis) if isinstance(value, View) else value.array for value in operands]
    views = [value for value in values if isinstance(value, View)]
    rank = views[0].rank
    # Brought into one order without the axis itself, of which all have another size.
    largest = max(views, key=lambda view: math.prod(view.tensor.shape))
    others = [i for i in range(rank) if i != axis]
    for view in views:
        for i in others:
            if view.axes[i] != (0,):
                view.require_no_batch(i)
    order = sorted([*others, axis], key=lambda i: max(largest.axes[i], default=0))
    order = [i for i in order if largest.axes[i] != (0,)]
    batch = largest.batch_axis
    sizes = {i: largest.size(largest.axes[i]) for i in others}
    order = [i for i in order if i == axis or sizes[i] > 1]
    tensors = []
    for value in values:
        if [value.shape[i] for i in others if i != batch] != [sizes[i] for i in others if i != batch]:
            raise Unsupported(f"expected the same sizes besides axis {axis}, got {[v.shape for v in values]}")
        tensors.append(value.in_order(order) if isinstance(value, View) else _for_all_rows(value, order, batch))
    at = order.index(axis) + 1
    made = ops.concatenate(tensors, at)
    place = {i: at + 1 for at, i in enumerate(order)}
    return View(made, [(place[i],) if i in place else (0,) if i == batch else () for i in range(rank)], largest.batch)


def _for_all_rows(array: Any, order: list[int], batch: int | None) -> Any:
    """A constant with axes in an order, for each row of the batch."""
    rows = array if batch is None else slim(array)
    rest = [i for i in range(array.ndim) if i not in order]
    if any(rows.shape[i] != 1 for i in rest):
        raise Unsupported("a constant has other values for each row of the batch")
    rows = np.broadcast_to(rows, [array.shape[i] if i in order else 1 for i in range(array.ndim)])
    moved = np.transpose(rows, [*rest, *order]).reshape([array.shape[i] for i in order])
    if moved.size > 1 << 24:
        raise Unsupported(f"expected constants of at most 2^24 numbers, got the shape {array.shape}")
    return ops.broadcast_to(np.ascontiguousarray(moved), (None, *moved.shape))


@imports("Expand")
def _expand(node: Node) -> View:
    view = node.view(0)
    shape = whole_numbers(node.constant(1, "the shape"), "the shape")
    full = np.broadcast_shapes(view.shape, tuple(shape))
    if any(size < 1 for size in full):
        raise Unsupported(f"expected sizes of 1 or more, got {tuple(shape)}")
    if full == view.shape:
        return view
    if view.batch > 1 and view.batch_axis is None:
        raise Unsupported("expected a tensor that depends on the batch")
    missing = len(full) - view.rank
    target = [1 if i >= missing and 0 in view.axes[i - missing] else size for i, size in enumerate(full)]
    if math.prod(target) > 1 << 30:
        raise Unsupported(f"expected a shape with fewer numbers in a row, got {tuple(shape)}")
    operands, made = aligned([view, np.broadcast_to(np.zeros((), bool), target)])
    tensor = operands[0]
    row = list(np.broadcast_shapes(operands[0].shape, operands[1].shape))
    return made.like(ops.broadcast_to(tensor, (None, *row)))


@imports("Tile")
def _tile(node: Node) -> View:
    view = node.view(0)
    repeats = whole_numbers(node.constant(1, "repeats"), "repeats")
    if len(repeats) != view.rank or min(repeats, default=1) < 1:
        raise Unsupported(f"expected {view.rank} repeats of 1 or more, got {repeats}")
    for axis, count in enumerate(repeats):
        if count > 1:
            view = view.flat(axis)
            counts = [1] * len(view.held)
            counts[view.axes[axis][0]] = count
            view = view.like(ops.tile(view.tensor, counts))
    return view


@imports("Pad")
def _pad(node: Node) -> View:
    view, mode = node.view(0), node.text("mode", "constant")
    pads = node.given_integers("pads", 1) if not node.has("paddings") else node.integers("paddings")
    axes = whole_numbers(node.constant(3, "axes"), "axes") if node.has_input(3) else list(range(view.rank))
    if pads is None or len(pads) != 2 * len(axes):
        raise Unsupported(f"expected {2 * len(axes)} pads, got {pads}")
    value = node.number("value", 0.0)
    if node.has_input(2):
        value = float(node.constant(2, "the value").reshape(()).item())
    names = {"constant": "constant", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}
    if mode not in names:
        raise Unsupported(f"expected mode constant, edge, reflect or wrap, got {mode!r}")
    for axis, before, after in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        if before or after:
            view = _padded(view, view.axis(axis), before, after, mode, value)
    return view


def _padded(view: View, axis: int, before: int, after: int, mode: str, value: float) -> View:
    view = view.flat(axis)
    at = view.axes[axis][0]
    size = view.held[at]
    if before < 0 or after < 0:
        keys = [slice(None)] * len(view.held)
        keys[at] = slice(max(-before, 0), size - max(-after, 0))
        view = view.like(view.tensor[tuple(keys)])
    widths = [(0, 0)] * len(view.held)
    widths[at] = (max(before, 0), max(after, 0))
    if widths[at] == (0, 0):
        return view
    return view.like(ops.pad(view.tensor, widths, mode, value if mode == "constant" else None))


@imports("DepthToSpace")
def _depth_to_space(node: Node) -> View:
    view, block = node.view(0), node.integer("blocksize", 1)
    if view.rank != 4 or block < 1 or view.shape[1] % block**2:
        raise Unsupported(f"expected (N, C, H, W) with {block**2} dividing C, got {view.shape}")
    n, c, h, w = view.shape
    if node.text("mode", "DCR") == "DCR":
        made = reshaped_to(view, [n, block, block, c // block**2, h, w]).permuted([0, 3, 4, 1, 5, 2])
    else:
        made = reshaped_to(view, [n, c // block**2, block, block, h, w]).permuted([0, 1, 4, 2, 5, 3])
    return reshaped_to(made, [n, c // block**2, h * block, w * block])


@imports("SpaceToDepth")
def _space_to_depth(node: Node) -> View:
    view, block = node.view(0), node.integer("blocksize", 1)
    if view.rank != 4 or block < 1 or view.shape[2] % block or view.shape[3] % block:
        raise Unsupported(f"expected (N, C, H, W) with {block} dividing H and W, got {view.shape}")
    n, c, h, w = view.shape
    order = [0, 3, 5, 1, 2, 4] if node.text("mode", "DCR") == "DCR" else [0, 1, 3, 5, 2, 4]
    made = reshaped_to(view, [n, c, h // block, block, w // block, block]).permuted(order)
    return reshaped_to(made, [n, c * block**2, h // block, w // block])


@imports("Trilu")
def _trilu(node: Node) -> View:
    view, k = node.view(0), node.optional_constant(1, "k")
    rows, columns = view.shape[-2:]
    if rows * columns > 1 << 24:
        raise Unsupported(f"expected matrices of fewer numbers, got {rows} x {columns}")
    mask = (np.triu if node.integer("upper", 1) else np.tril)(
        np.ones((rows, columns), bool), 0 if k is None else int(k.item())
    )
    return broadcast(node, [Const(mask), view], lambda where, x: ops.where(where, x, 0.0))
