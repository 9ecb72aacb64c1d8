"""Batch, layer, root mean square and group normalization."""

from __future__ import annotations

from nnfast.io.onnx.builder import FIRST, LAST, GraphBuilder
from nnfast.io.onnx.converters.activation import activate
from nnfast.io.onnx.converters.registry import Call, converter

__all__: list[str] = []


def _gamma(call: Call) -> str:
    """The factors, or ones."""
    return call.parameter("gamma") if call.option("scale", 1) else call.graph.constant([1] * call.shape[-1], "ones")


def _beta(call: Call) -> str:
    """The offsets, or zeros."""
    return call.parameter("beta") if call.option("center", 1) else call.graph.constant([0] * call.shape[-1], "zeros")


@converter("batch_normalization")
def _batch_normalization(call: Call) -> None:
    graph, shape, name = call.graph, call.shape, call.inputs[0]
    form = FIRST if len(shape) > 2 or graph.has(name, FIRST) else LAST
    x = call.input(0, form)
    as_rows = len(shape) == 2 and form == LAST  # the channels of a sequence stand last
    whole = x
    if as_rows:
        x = graph.reshape(x, [-1, shape[-1]])
    arguments = [_gamma(call), _beta(call), call.parameter("moving_mean"), call.parameter("moving_variance")]
    y = graph.op("BatchNormalization", x, *arguments, epsilon=float(call.option("epsilon")))
    y = activate(graph, y, call.option("activation", "identity"), call.option("alpha"))
    call.put(graph.op("Reshape", y, graph.op("Shape", whole)) if as_rows else y, form)


@converter("layer_normalization")
def _layer_normalization(call: Call) -> None:
    epsilon = float(call.option("epsilon"))
    call.put(call.graph.op("LayerNormalization", call.input(), _gamma(call), _beta(call), axis=-1, epsilon=epsilon))


@converter("rms_norm")
def _rms_norm(call: Call) -> None:
    graph, x = call.graph, call.input()
    squares = graph.reduce("ReduceMean", graph.op("Mul", x, x), [-1], keepdims=True)
    root = graph.op("Sqrt", graph.op("Add", squares, graph.number(call.option("epsilon"))))
    call.put(graph.op("Mul", graph.op("Div", x, root), _gamma(call)))


def _normalized(graph: GraphBuilder, x: str, channels: int, epsilon: float) -> str:
    """Each channel of (N, C, D) by its mean and variance; ONNX Runtime has no such operator in double precision."""
    if graph.dtype == "float32":
        ones, zeros = graph.constant([1] * channels, "ones"), graph.constant([0] * channels, "zeros")
        return graph.op("InstanceNormalization", x, ones, zeros, epsilon=epsilon)
    centered = graph.op("Sub", x, graph.reduce("ReduceMean", x, [2], keepdims=True))
    variance = graph.reduce("ReduceMean", graph.op("Mul", centered, centered), [2], keepdims=True)
    return graph.op("Div", centered, graph.op("Sqrt", graph.op("Add", variance, graph.number(epsilon))))


@converter("group_normalization")
def _group_normalization(call: Call) -> None:
    """Instance normalization of an image whose channels are the groups; each then has its own factor and offset."""
    graph, groups, shape = call.graph, call.option("groups"), call.shape
    form = FIRST if len(shape) > 1 else LAST
    x = graph.reshape(call.input(0, form), [0, groups, -1])
    y = _normalized(graph, x, groups, float(call.option("epsilon")))
    y = graph.op("Reshape", y, graph.op("Shape", call.input(0, form)))
    step = ["reshape", [shape[-1], *[1] * (len(shape) - 1)]]
    y = graph.op("Mul", y, call.parameter("gamma", step)) if call.option("scale", 1) else y
    y = graph.op("Add", y, call.parameter("beta", step)) if call.option("center", 1) else y
    call.put(y, form)
