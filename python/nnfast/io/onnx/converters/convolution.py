"""Convolution and pooling, with channels first."""

from __future__ import annotations

from typing import Any, NamedTuple

from nnfast.io.onnx.builder import FIRST, LAST
from nnfast.io.onnx.converters.activation import activate
from nnfast.io.onnx.converters.registry import Call, converter

__all__: list[str] = []


class _Window(NamedTuple):
    """The geometry, one number for each axis."""

    size: list[int]
    strides: list[int]
    dilations: list[int]

    @property
    def spans(self) -> list[int]:
        """How many elements a window reaches over."""
        return [(size - 1) * step + 1 for size, step in zip(self.size, self.dilations, strict=True)]


def _window(call: Call, key: str) -> _Window:
    size = list(call.option(key))
    ones = [1] * len(size)
    return _Window(size, list(call.option("strides", ones)), list(call.option("dilation_rate", ones)))


def _padding(call: Call, window: _Window, extents: list[int]) -> list[int]:
    """The numbers before all axes, and then those after them; with "same" the odd element is at the end."""
    padding = call.option("padding", "valid")
    if padding == "valid":
        return [0] * (2 * len(extents))
    if padding != "same":
        return [*padding[::2], *padding[1::2]]
    totals = [
        max(0, (-(-extent // stride) - 1) * stride + span - extent)
        for extent, stride, span in zip(extents, window.strides, window.spans, strict=True)
    ]
    return [*(total // 2 for total in totals), *(total - total // 2 for total in totals)]


def _pads(call: Call, window: _Window, extents: list[int]) -> dict[str, Any]:
    """The attributes for padding; where a length may vary, "same" is left to the operator."""
    if call.graph.free_time and call.option("padding", "valid") == "same" and max(window.strides) > 1:
        return {"auto_pad": "SAME_UPPER"}
    return {"pads": _padding(call, window, extents)}


@converter("conv")
def _conv(call: Call) -> None:
    window, extents = _window(call, "kernel_size"), list(call.input_shape()[:-1])
    axes, filters = len(extents), call.option("filters")
    steps = [["transpose", [axes + 1, axes, *range(axes)]]]
    if call.option("depthwise", 0):
        steps.insert(0, ["reshape", [*window.size, 1, filters]])
    inputs = [call.input(0, FIRST), call.parameter("kernel", *steps)]
    y = call.graph.op(
        "Conv",
        *inputs,
        *([call.parameter("bias")] if call.option("use_bias", 1) else []),
        kernel_shape=window.size,
        strides=window.strides,
        dilations=window.dilations,
        **_pads(call, window, extents),
        group=call.option("groups", 1),
    )
    _put_activated(call, y)


@converter("conv_transpose")
def _conv_transpose(call: Call) -> None:
    window, extents = _window(call, "kernel_size"), list(call.input_shape()[:-1])
    sizes, axes = list(call.shape[:-1]), len(extents)
    before = _padding(call, window, sizes)[:axes]
    # What full windows give, and how much of that is cut off at the end, or lacks there.
    full = [
        (extent - 1) * stride + span for extent, stride, span in zip(extents, window.strides, window.spans, strict=True)
    ]
    after = [whole - first - size for whole, first, size in zip(full, before, sizes, strict=True)]
    y = call.graph.op(
        "ConvTranspose",
        call.input(0, FIRST),
        call.parameter("kernel", ["transpose", [axes + 1, axes, *range(axes)]]),
        *([call.parameter("bias")] if call.option("use_bias", 1) else []),
        kernel_shape=window.size,
        strides=window.strides,
        dilations=window.dilations,
        pads=[*before, *(max(0, rest) for rest in after)],
        output_padding=[max(0, -rest) for rest in after] if min(after) < 0 else None,
    )
    _put_activated(call, y)


def _put_activated(call: Call, y: str) -> None:
    call.put(activate(call.graph, y, call.option("activation", "identity"), call.option("alpha"), axis=1), FIRST)


# ---- pooling ---------------------------------------------------------------------


@converter("max_pool", "avg_pool")
def _pool(call: Call) -> None:
    window = _window(call, "pool_size")
    y = call.graph.op(
        "MaxPool" if call.option("op") == "max_pool" else "AveragePool",
        call.input(0, FIRST),
        kernel_shape=window.size,
        strides=window.strides,
        **_pads(call, window, list(call.input_shape()[:-1])),
    )
    call.put(y, FIRST)


@converter("global_max_pool", "global_avg_pool")
def _global_pool(call: Call) -> None:
    graph, name = call.graph, call.inputs[0]
    is_max, keeps, axes = call.option("op") == "global_max_pool", bool(call.option("keepdims", 0)), call.option("axes")
    if graph.has(name, FIRST) and not graph.has(name, LAST):
        y = graph.op("GlobalMaxPool" if is_max else "GlobalAveragePool", call.input(0, FIRST))
        call.put(y if keeps else graph.op("Flatten", y), FIRST if keeps else LAST)
    else:
        y = graph.reduce("ReduceMax" if is_max else "ReduceMean", call.input(), [*range(1, axes + 1)], keeps)
        call.put(y)
