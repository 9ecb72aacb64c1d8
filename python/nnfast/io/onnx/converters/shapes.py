"""Shapes: flatten, reshape, transpose, broadcast, concatenate, split, slice, roll and pad."""

from __future__ import annotations

import math
from itertools import pairwise

from nnfast.core.tensor import output_name
from nnfast.io.onnx.builder import FIRST, FLAT, LAST
from nnfast.io.onnx.converters.registry import Call, converter

__all__: list[str] = []

_FAR = 1 << 31
"""Beyond every axis: where a slice ends that runs to its beginning."""


@converter("flatten")
def _flatten(call: Call) -> None:
    graph, name, shape = call.graph, call.inputs[0], call.input_shape()
    if len(shape) == 1:
        graph.alias(call.name, name)
    elif graph.has(name, LAST) or not graph.has(name, FIRST):
        call.put(graph.op("Flatten", call.input()))
    else:
        flat = graph.op("Flatten", call.input(0, FIRST))
        if shape[-1] == 1 or math.prod(shape[:-1]) == 1:  # the order is the same
            call.put(flat)
        else:
            graph.put_flat(call.name, flat, shape)


@converter("reshape")
def _reshape(call: Call) -> None:
    graph = call.graph
    if graph.full_shape(call.name) == graph.full_shape(call.inputs[0]):
        graph.alias(call.name, call.inputs[0])
    else:
        target, given = graph.full_shape(call.name), list(call.option("shape"))
        if -1 in given and target[:1] == [-1]:  # the number of rows stays
            target = [0, *given]
        made = graph.reshape(call.input(), target)
        call.put(made)
        whole = graph.integers_of.get(call.input())
        if whole is not None:
            graph.integers_of[made] = graph.reshape(whole, target)


@converter("permute")
def _permute(call: Call) -> None:
    _move_axes(call, [0, *(axis + 1 for axis in call.option("axes"))])


@converter("transpose")
def _transpose(call: Call) -> None:
    _move_axes(call, list(call.option("axes")))


def _move_axes(call: Call, axes: list[int]) -> None:
    """From the layout that exists, in one step."""
    graph, name = call.graph, call.inputs[0]
    rank = len(axes)
    if graph.has(name, FIRST) and not graph.has(name, LAST):
        place = [0, *range(2, rank), 1]
        call.put(graph.transpose(call.input(0, FIRST), [place[axis] for axis in axes]))
    else:
        call.put(graph.transpose(call.input(), axes))


@converter("repeat")
def _repeat(call: Call) -> None:
    graph = call.graph
    x = graph.op("Unsqueeze", call.input(), graph.integers([1]))
    call.put(graph.op("Expand", x, graph.integers([1, call.option("times"), 1])))


@converter("broadcast_to")
def _broadcast_to(call: Call) -> None:
    graph, sizes = call.graph, _full_shape(call)
    batched = graph.full_shape(call.inputs[0])[:1] == [-1] and len(graph.full_shape(call.inputs[0])) == len(sizes)
    if sizes[:1] != [-1] or batched:  # 1 keeps the size that an axis has
        target = graph.integers([1 if size == -1 else size for size in sizes])
    elif len(sizes) == 1:
        target = graph.batch()
    else:
        target = graph.op("Concat", graph.batch(), graph.integers(sizes[1:]), axis=0)
    call.put(graph.op("Expand", call.input(), target))


def _full_shape(call: Call) -> list[int]:
    """The sizes of all axes of the output; -1 is the batch."""
    return call.graph.full_shape(call.name)


@converter("tuple")
def _tuple(call: Call) -> None:
    for i, source in enumerate(call.inputs):
        call.graph.alias(output_name(call.name, i), source)


# ---- along axes ------------------------------------------------------------------


def _full_axis(call: Call, i: int = 0) -> int:
    """The attribute "axis", in which the batch does not count, as an axis of the full shape."""
    axis: int = call.option("axis")
    before = len(call.graph.full_shape(call.inputs[i])) - len(call.input_shape(i))
    return axis + before if axis >= 0 else axis


@converter("concatenate")
def _concatenate(call: Call) -> None:
    graph = call.graph
    form = graph.common_form(call.inputs)
    axis = graph.axis(call.name, _full_axis(call), form)
    call.put(graph.op("Concat", *(graph.get(name, form) for name in call.inputs), axis=axis), form)


@converter("split")
def _split(call: Call) -> None:
    graph = call.graph
    form = graph.common_form(call.inputs)
    form = LAST if form == FLAT else form
    full = _full_axis(call)
    extent = graph.full_shape(call.inputs[0])[full]
    if "sections" in call.spec:
        sections = call.option("sections")
        sizes = [extent // sections] * sections
    else:
        places = [0, *call.option("indices"), extent]
        sizes = [end - begin for begin, end in pairwise(places)]
    inputs = [call.input(0, form), graph.integers(sizes)]
    for i, part in enumerate(graph.ops("Split", inputs, len(sizes), axis=graph.axis(call.inputs[0], full, form))):
        call.put(part, form, i)


@converter("slice")
def _slice(call: Call) -> None:
    graph = call.graph
    form = graph.common_form(call.inputs)
    form = LAST if form == FLAT else form
    starts, steps, sizes = (list(call.option(key)) for key in ("starts", "steps", "sizes"))
    ends = [start + step * size for start, step, size in zip(starts, steps, sizes, strict=True)]
    # A negative end would count from the other one.
    ends = [-_FAR if end < 0 else end for end in ends]
    axes = [graph.axis(call.inputs[0], axis, form) for axis in call.option("axes")]
    arguments = [graph.integers(numbers) for numbers in (starts, ends, axes, steps)]
    call.put(graph.op("Slice", call.input(0, form), *arguments), form)


@converter("roll")
def _roll(call: Call) -> None:
    sizes = call.graph.full_shape(call.inputs[0])
    _rearrange(
        call,
        [
            [(place - shift) % sizes[axis] for place in range(sizes[axis])]
            for axis, shift in zip(call.option("axes"), call.option("shifts"), strict=True)
        ],
    )


@converter("pad")
def _pad(call: Call) -> None:
    graph, mode = call.graph, call.option("mode")
    sizes, axes = (
        graph.full_shape(call.inputs[0]),
        [axis % len(graph.full_shape(call.name)) for axis in call.option("axes")],
    )
    amounts = list(zip(axes, call.option("before"), call.option("after"), strict=True))
    if mode == "constant":
        pads = [0] * (2 * len(sizes))
        for axis, before, after in amounts:
            pads[axis], pads[axis + len(sizes)] = before, after
        value = graph.number(call.option("value"))
        call.put(graph.op("Pad", call.input(), graph.integers(pads), value, mode="constant"))
    else:
        _rearrange(call, [_padded(mode, sizes[axis], before, after) for axis, before, after in amounts])


def _padded(mode: str, extent: int, before: int, after: int) -> list[int]:
    """The places of which a padded axis consists."""
    places = range(-before, extent + after)
    if mode == "edge":
        return [min(max(place, 0), extent - 1) for place in places]
    if mode == "wrap":
        return [place % extent for place in places]
    last = extent - 1 if mode == "reflect" else extent - 0.5  # about the last element, or its edge
    first = 0.0 if mode == "reflect" else -0.5
    return [int(2 * first - place if place < 0 else 2 * last - place if place >= extent else place) for place in places]


def _rearrange(call: Call, places: list[list[int]]) -> None:
    """Gather elements along axes."""
    graph, made = call.graph, call.input()
    for axis, order in zip(call.option("axes"), places, strict=True):
        made = graph.op("Gather", made, graph.integers(order), axis=axis)
    call.put(made)
