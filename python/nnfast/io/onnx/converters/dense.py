"""Products: dense layers, products of tensors, and parameters as tensors."""

from __future__ import annotations

from nnfast.io.onnx.builder import FLAT, LAST
from nnfast.io.onnx.converters.activation import activate
from nnfast.io.onnx.converters.registry import Call, converter
from nnfast.io.onnx.storage import Step

__all__: list[str] = []


@converter("dense")
def _dense(call: Call) -> None:
    graph, transposed = call.graph, bool(call.option("transposed", 0))
    form = graph.common_form(call.inputs)
    form = FLAT if form == FLAT else LAST
    x = call.input(0, form)
    kernel = call.parameter("kernel", *_steps(call, transposed) if form == FLAT else [])
    bias = call.parameter("bias") if call.option("use_bias", 1) else ""
    if len(call.shape) == 1:
        inputs = [x, kernel, bias] if bias else [x, kernel]
        y = graph.op("Gemm", *inputs, transB=1 if transposed else None)
    else:
        y = graph.op("MatMul", x, graph.transpose(kernel, [1, 0]) if transposed else kernel)
        y = graph.op("Add", y, bias) if bias else y
    call.put(activate(graph, y, call.option("activation", "identity"), call.option("alpha")))


def _steps(call: Call, transposed: bool) -> list[Step]:
    """The rows of the kernel (D, O), or the columns of (O, D), in the order of the vector's elements."""
    *space, channels = call.graph.flattened(call.inputs[0])
    axes, units, size = len(space), call.option("units"), call.input_shape()[0]
    if transposed:
        apart, order, whole = [units, *space, channels], [0, axes + 1, *range(1, axes + 1)], [units, size]
    else:
        apart, order, whole = [*space, channels, units], [axes, *range(axes), axes + 1], [size, units]
    return [["reshape", apart], ["transpose", order], ["reshape", whole]]


@converter("matmul")
def _matmul(call: Call) -> None:
    graph = call.graph
    values = []
    for i, key in enumerate(("transpose_a", "transpose_b")):
        value = call.input(i)
        if call.option(key, 0):
            rank = len(graph.full_shape(call.inputs[i]))
            value = graph.transpose(value, [*range(rank - 2), rank - 1, rank - 2])
        values.append(value)
    call.put(graph.op("MatMul", *values))


@converter("parameter")
def _parameter(call: Call) -> None:
    call.put(call.parameter(call.option("parameter", "value")))
