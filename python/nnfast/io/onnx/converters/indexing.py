"""Elements at places that another tensor holds, sorting, positions and masks."""

from __future__ import annotations

from nnfast.io.onnx.converters.registry import Call, converter

__all__: list[str] = []


@converter("embedding")
def _embedding(call: Call) -> None:
    call.put(call.graph.op("Gather", call.parameter("embeddings"), call.graph.whole(call.input())))


@converter("take", "take_along_axis")
def _take(call: Call) -> None:
    graph = call.graph
    op = "Gather" if call.option("op") == "take" else "GatherElements"
    call.put(graph.op(op, call.input(), graph.whole(call.input(1)), axis=call.option("axis")))


@converter("one_hot")
def _one_hot(call: Call) -> None:
    graph = call.graph
    depth, values = graph.integers([call.option("classes")]), graph.constant([0, 1], "off_on")
    call.put(graph.op("OneHot", graph.whole(call.input()), depth, values))


@converter("sort")
def _sort(call: Call) -> None:
    graph = call.graph
    inputs = [call.input(), graph.integers([call.shape[-1] if call.shape else 1])]
    values, places = graph.ops("TopK", inputs, 2, axis=-1, largest=int(bool(call.option("descending", 0))))
    call.put(values)
    call.put(graph.cast(places, graph.dtype), output=1)


@converter("cumulative_sum")
def _cumulative_sum(call: Call) -> None:
    graph = call.graph
    axis = graph.constant(call.option("axis"), "axis", "int64")
    exclusive, reverse = (call.option(key, 0) or None for key in ("exclusive", "reverse"))
    call.put(graph.op("CumSum", call.input(), axis, exclusive=exclusive, reverse=reverse))


@converter("positions")
def _positions(call: Call) -> None:
    graph, steps = call.graph, call.shape[0]
    if graph.free_time:
        numbers = graph.cast(graph.steps_of(call.input()), graph.dtype)
    else:
        numbers = graph.constant(range(steps), "positions")
    if call.option("has_offset", 0):
        call.put(graph.op("Add", call.input(1), numbers))
    else:
        target = graph.op("Concat", graph.batch(), graph.integers([steps]), axis=0)
        call.put(graph.op("Expand", numbers, target))


@converter("mask", "masking")
def _masking(call: Call) -> None:
    """1, or the step itself, unless all of its numbers are the mask value."""
    graph, x = call.graph, call.input()
    is_mask = call.option("op") == "mask"
    same = graph.to_number(graph.op("Equal", x, graph.number(call.option("mask_value"))))
    padding = graph.truth(graph.reduce("ReduceMin", same, [-1], keepdims=not is_mask))
    if is_mask:
        call.put(graph.to_number(graph.op("Not", padding)))
    else:
        call.put(graph.op("Where", padding, graph.number(0), x))
