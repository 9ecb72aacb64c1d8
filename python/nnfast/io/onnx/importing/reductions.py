"""Sums, maxima and their kin along axes; softmax; running sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnfast import layers, ops
from nnfast.core.tensor import Tensor
from nnfast.io.onnx.importing.errors import Unsupported
from nnfast.io.onnx.importing.layout import View
from nnfast.io.onnx.importing.nodes import Node, imports

__all__: list[str] = []


def _reduced(
    view: View, axes: Sequence[int], keepdims: bool, function: Callable[[Tensor, tuple[int, ...]], Any]
) -> View:
    """A function of the numbers along axes of the graph, which get one element or vanish."""
    over: list[int] = []
    for axis in axes:
        view.require_no_batch(axis)
        over += view.axes[axis]
    if not over:  # axes of one element
        tensor = ops.reshape(view.tensor, (None, *view.tensor.shape, 1))
        over = [len(view.tensor.shape) + 1]
    else:
        tensor = view.tensor
    result = function(tensor, tuple(over))
    groups = [() if i in axes else group for i, group in enumerate(view.axes)]
    if not keepdims:
        groups = [group for i, group in enumerate(groups) if i not in axes]
    return View(result, groups, view.batch)


def _axes(node: Node, view: View) -> list[int]:
    given = node.given_integers("axes", 1)
    if not given:
        return [] if node.integer("noop_with_empty_axes", 0) else list(range(view.rank))
    return sorted({view.axis(axis) for axis in given})


def _reduction(name: str, function: Callable[[Tensor, tuple[int, ...]], Any]) -> None:
    def importer(node: Node) -> View:
        view = node.view(0)
        axes = _axes(node, view)
        if not axes:  # an axis of one element for each number
            if view.rank and node.op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"):
                return view
            flat = _reduced(view.with_axes([*view.axes, ()]), [view.rank], False, function)
            return flat
        return _reduced(view, axes, bool(node.integer("keepdims", 1)), function)

    imports(name)(importer)


for _name, _function in {
    "ReduceSum": lambda x, axes: ops.sum(x, axes, keepdims=True),
    "ReduceMean": lambda x, axes: ops.mean(x, axes, keepdims=True),
    "ReduceMax": lambda x, axes: ops.max(x, axes, keepdims=True),
    "ReduceMin": lambda x, axes: ops.min(x, axes, keepdims=True),
    "ReduceProd": lambda x, axes: ops.prod(x, axes, keepdims=True),
    "ReduceL1": lambda x, axes: ops.sum(ops.absolute(x), axes, keepdims=True),
    "ReduceL2": lambda x, axes: ops.norm(x, 2, axes, keepdims=True),
    "ReduceSumSquare": lambda x, axes: ops.sum(ops.square(x), axes, keepdims=True),
    "ReduceLogSum": lambda x, axes: ops.log(ops.sum(x, axes, keepdims=True)),
    "ReduceLogSumExp": lambda x, axes: ops.logsumexp(x, axes, keepdims=True),
}.items():
    _reduction(_name, _function)


@imports("Softmax", "LogSoftmax")
def _softmax(node: Node) -> View:
    view = node.view(0)
    function = ops.softmax if node.op == "Softmax" else ops.log_softmax
    axis = view.axis(node.integer("axis", -1 if node.version >= 13 else 1))
    axes = [axis] if node.version >= 13 else list(range(axis, view.rank))
    for i in axes:
        view.require_no_batch(i)
    over = tuple(a for i in axes for a in view.axes[i] if view.held[a] > 1)
    if not over:
        return view.like(view.tensor * 0.0 + (1.0 if node.op == "Softmax" else 0.0))
    if over == (len(view.held) - 1,):  # as losses want it at the end of a network
        layer = layers.Softmax if node.op == "Softmax" else layers.LogSoftmax
        return view.like(layer()(view.tensor))
    last = [a for a in range(1, len(view.held)) if view.held[a] > 1 and a not in over]
    if sorted(over) == [*range(len(view.held) - len(over), len(view.held))] and len(over) > 1:
        made = View(view.tensor_of([*((a,) for a in last), tuple(sorted(over))]), [], view.batch)
        y = function(made.tensor, axis=-1)
        return view.like(ops.reshape(y, (None, *view.tensor.shape)))
    return view.like(function(view.tensor, axis=over))


@imports("Hardmax")
def _hardmax(node: Node) -> View:
    view = node.view(0)
    axis = view.axis(node.integer("axis", -1 if node.version >= 13 else 1))
    if node.version < 13 and axis != view.rank - 1:
        raise Unsupported("expected the last axis")
    flat = view.flat(axis)
    at = flat.axes[axis][0]
    places = ops.argmax(flat.tensor, at, keepdims=False)
    return flat.like(ops.one_hot(places, flat.held[at], at))


@imports("ArgMax", "ArgMin")
def _arg(node: Node) -> View:
    view = node.view(0)
    axis = view.axis(node.integer("axis", 0))
    flat = view.flat(axis)
    at = flat.axes[axis][0]
    tensor = flat.tensor
    last = bool(node.integer("select_last_index", 0))
    function = ops.argmax if node.op == "ArgMax" else ops.argmin
    result = function(ops.flip(tensor, at) if last else tensor, at, keepdims=True)
    if last:
        result = ops.cast((flat.held[at] - 1) - result, "int64")
    groups = [() if i == axis else group for i, group in enumerate(flat.axes)]
    if not node.integer("keepdims", 1):
        groups.pop(axis)
    return View(result, groups, view.batch)


@imports("CumSum")
def _cumulative(node: Node) -> View:
    view = node.view(0)
    axis = view.axis(int(node.constant(1, "the axis").reshape(()).item()))
    flat = view.flat(axis)
    made = ops.cumsum(
        flat.tensor,
        flat.axes[axis][0],
        reverse=bool(node.integer("reverse", 0)),
        exclusive=bool(node.integer("exclusive", 0)),
    )
    return flat.like(made)
