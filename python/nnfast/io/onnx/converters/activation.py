"""Activation functions, and layers that are the identity in prediction."""

from __future__ import annotations

import math
from collections.abc import Callable

from nnfast.io.onnx.builder import FLAT, LAST, GraphBuilder
from nnfast.io.onnx.converters.registry import Call, converter

__all__ = ["activate", "put_like_input"]

_SIMPLE = {"relu": "Relu", "selu": "Selu", "sigmoid": "Sigmoid", "softplus": "Softplus", "softsign": "Softsign"}
_SIMPLE["tanh"] = "Tanh"
_ON_ROWS = {"softmax": "Softmax", "log_softmax": "LogSoftmax"}


def activate(graph: GraphBuilder, x: str, function: str, alpha: float | None = None, axis: int = -1) -> str:
    """The value of an activation function; `axis` is that of softmax."""
    if function == "identity":
        return x
    if function in _SIMPLE:
        return graph.op(_SIMPLE[function], x)
    if function in _ON_ROWS:
        return graph.op(_ON_ROWS[function], x, axis=axis)
    if function in ("leaky_relu", "elu"):
        default = 0.01 if function == "leaky_relu" else 1.0
        slope = default if alpha is None or math.isnan(alpha) else float(alpha)
        return graph.op("LeakyRelu" if function == "leaky_relu" else "Elu", x, alpha=slope)
    if function == "heaviside":
        return graph.to_number(graph.op("GreaterOrEqual", x, graph.number(alpha or 0.0)))
    if function == "hard_sigmoid":
        return graph.op("HardSigmoid", x, alpha=1 / 6, beta=0.5)
    if function == "silu":
        return graph.op("Mul", x, graph.op("Sigmoid", x))
    made = _GELU.get(function)
    if made is None:
        raise ValueError(f"{graph.scope}: expected an activation that nnfast can export to ONNX, got {function!r}")
    return made(graph, x)


def _gelu(graph: GraphBuilder, x: str) -> str:
    """x (1 + erf(x / sqrt(2))) / 2."""
    if graph.opset >= 20:
        return graph.op("Gelu", x)
    erf = graph.op("Erf", graph.op("Mul", x, graph.number(math.sqrt(0.5))))
    return graph.op("Mul", graph.op("Mul", x, graph.number(0.5)), graph.op("Add", erf, graph.number(1)))


def _gelu_tanh(graph: GraphBuilder, x: str) -> str:
    """x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2."""
    if graph.opset >= 20:
        return graph.op("Gelu", x, approximate="tanh")
    cube = graph.op("Mul", graph.op("Mul", graph.op("Mul", x, x), x), graph.number(0.044715))
    inner = graph.op("Mul", graph.op("Add", x, cube), graph.number(math.sqrt(2 / math.pi)))
    outer = graph.op("Add", graph.op("Tanh", inner), graph.number(1))
    return graph.op("Mul", graph.op("Mul", x, graph.number(0.5)), outer)


_GELU: dict[str, Callable[[GraphBuilder, str], str]] = {"gelu": _gelu, "gelu_tanh": _gelu_tanh}


def put_like_input(call: Call, function: Callable[[str, str], str]) -> None:
    """Convert a function of each element: function(value, layout), in a layout in which the input exists."""
    form = call.graph.common_form(call.inputs[:1])
    made = function(call.input(0, form), form)
    if form == FLAT:
        call.graph.put_flat(call.name, made, call.graph.flattened(call.inputs[0]))
    else:
        call.put(made, form)


@converter("activation")
def _activation(call: Call) -> None:
    function, alpha = call.option("activation", "identity"), call.option("alpha")
    graph = call.graph
    if function == "identity":
        graph.alias(call.name, call.inputs[0])
    elif function in _ON_ROWS:
        call.put(activate(graph, call.input(), function))
    else:
        put_like_input(call, lambda x, form: activate(graph, x, function, alpha))


@converter("softmax")
def _softmax(call: Call) -> None:
    call.put(activate(call.graph, call.input(), call.option("function")))


@converter("prelu")
def _prelu(call: Call) -> None:
    form = LAST if len(call.shape) < 2 else call.graph.common_form(call.inputs)
    rank = len(call.shape)
    steps = [] if form == LAST else [["transpose", [rank - 1, *range(rank - 1)]]]
    call.put(call.graph.op("PRelu", call.input(0, form), call.parameter("alpha", *steps)), form)


@converter("rescaling")
def _rescaling(call: Call) -> None:
    graph, offset = call.graph, call.option("offset", 0.0)

    def scaled(x: str, form: str) -> str:
        y = graph.op("Mul", x, graph.number(call.option("scale")))
        return graph.op("Add", y, graph.number(offset)) if offset else y

    put_like_input(call, scaled)


@converter("dropout", "spatial_dropout", "gaussian_noise", "stop_gradient")
def _identity(call: Call) -> None:
    call.graph.alias(call.name, call.inputs[0])
