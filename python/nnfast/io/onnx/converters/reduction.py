"""Reductions over any axes."""

from __future__ import annotations

import math

from nnfast.io.onnx.converters.registry import Call, converter

__all__: list[str] = []

_REDUCTIONS = {"sum": "ReduceSum", "mean": "ReduceMean", "max": "ReduceMax", "min": "ReduceMin", "prod": "ReduceProd"}


@converter("reduce")
def _reduce(call: Call) -> None:
    graph, axes, ddof = call.graph, call.option("axes"), call.option("ddof", 0)
    y = graph.reduce(_REDUCTIONS[call.option("function")], call.input(), axes, bool(call.option("keepdims", 0)))
    if ddof and call.option("function") == "mean":
        y = graph.op("Mul", y, _correction(call, ddof))
    call.put(y)


def _correction(call: Call, ddof: int) -> str:
    """n / (n - ddof), where n elements are reduced."""
    graph = call.graph
    full = graph.full_shape(call.inputs[0])
    axes = call.option("axes")
    sizes = full if axes is None else [full[axis] for axis in axes]
    known = math.prod(size for size in sizes if size != -1)
    if -1 not in sizes:
        return graph.number(known / (known - ddof) if known != ddof else math.nan)
    count = graph.op("Mul", graph.cast(graph.batch(), graph.dtype), graph.number(known))
    made = graph.op("Div", count, graph.op("Sub", count, graph.number(ddof)))
    return graph.op("Squeeze", made, graph.integers([0]))


@converter("arg_reduce")
def _arg_reduce(call: Call) -> None:
    """Of several axes as one, which they become behind the others."""
    graph, x = call.graph, call.input()
    op = "ArgMax" if call.option("function") == "argmax" else "ArgMin"
    full = graph.full_shape(call.inputs[0])
    keeps, given = bool(call.option("keepdims", 0)), call.option("axes")
    axes = [*range(len(full))] if given is None else sorted(axis % len(full) for axis in given)
    if len(axes) == 1:
        y = graph.op(op, x, axis=axes[0], keepdims=int(keeps))
    else:
        rest = [axis for axis in range(len(full)) if axis not in axes]
        sizes = [full[axis] for axis in rest]
        last = -1 if -1 not in sizes else math.prod(full[axis] for axis in axes)
        y = graph.op(op, graph.reshape(graph.transpose(x, [*rest, *axes]), [*sizes, last]), axis=-1, keepdims=0)
        y = graph.op("Unsqueeze", y, graph.integers(axes)) if keeps else y
    call.put(graph.cast(y, graph.dtype))
