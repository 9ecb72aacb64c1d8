"""Images and sequences made larger or smaller."""

from __future__ import annotations

from nnfast.io.onnx.builder import FIRST
from nnfast.io.onnx.converters.registry import Call, converter

__all__: list[str] = []


@converter("upsampling")
def _upsampling(call: Call) -> None:
    graph, factors = call.graph, list(call.option("size"))
    linear = call.option("interpolation") == "bilinear"
    x = call.input(0, FIRST)
    alone = len(factors) == 1
    if alone:  # as an image of one line
        x, factors = graph.op("Unsqueeze", x, graph.integers([2])), [1, *factors]
    scales = graph.constant([1, 1, *factors], "scales", "float32")
    y = graph.op(
        "Resize",
        x,
        "",
        scales,
        mode="linear" if linear else "nearest",
        coordinate_transformation_mode="half_pixel" if linear else "asymmetric",
        nearest_mode=None if linear else "floor",
    )
    call.put(graph.op("Squeeze", y, graph.integers([2])) if alone else y, FIRST)


@converter("zero_padding")
def _zero_padding(call: Call) -> None:
    graph, amounts = call.graph, list(call.option("padding"))
    form = graph.common_form(call.inputs)
    rank, before, after = len(call.shape) + 1, amounts[::2], amounts[1::2]
    pads = [0] * (2 * rank)
    for i, (first, last) in enumerate(zip(before, after, strict=True)):
        axis = graph.axis(call.name, i + 1, form)
        pads[axis], pads[rank + axis] = first, last
    call.put(graph.op("Pad", call.input(0, form), graph.integers(pads), graph.number(0), mode="constant"), form)


@converter("cropping")
def _cropping(call: Call) -> None:
    graph, amounts = call.graph, list(call.option("cropping"))
    form = graph.common_form(call.inputs)
    starts = amounts[::2]
    ends = [first + size for first, size in zip(starts, call.shape, strict=False)]
    axes = [graph.axis(call.name, i + 1, form) for i in range(len(starts))]
    arguments = [graph.integers(numbers) for numbers in (starts, ends, axes)]
    call.put(graph.op("Slice", call.input(0, form), *arguments), form)
