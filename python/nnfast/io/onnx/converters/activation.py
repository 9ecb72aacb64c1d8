"""Activation functions, and layers that are the identity in prediction."""

from __future__ import annotations

import math
from collections.abc import Callable

from nnfast.io.onnx.builder import FLAT, LAST, GraphBuilder
from nnfast.io.onnx.converters.registry import Call, converter

__all__ = ["activate", "put_like_input"]

_SIMPLE = {"relu": "Relu", "selu": "Selu", "sigmoid": "Sigmoid", "softplus": "Softplus", "softsign": "Softsign"}
_SIMPLE["tanh"] = "Tanh"
_WRITTEN_OUT = {"elu", "hard_sigmoid", "selu", "softplus", "softsign"}
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_ON_ROWS = {"softmax": "Softmax", "log_softmax": "LogSoftmax"}


def activate(graph: GraphBuilder, x: str, function: str, alpha: float | None = None, axis: int = -1) -> str:
    """The value of an activation function; `axis` is that of softmax."""
    if function == "identity":
        return x
    if graph.dtype != "float32" and function in _WRITTEN_OUT:
        return _written_out(graph, x, function, alpha)
    if function in _SIMPLE:
        return graph.op(_SIMPLE[function], x)
    if function in _ON_ROWS:
        return graph.op(_ON_ROWS[function], x, axis=axis)
    if function in ("leaky_relu", "elu"):
        return graph.op("LeakyRelu" if function == "leaky_relu" else "Elu", x, alpha=_slope(function, alpha))
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


def _slope(function: str, alpha: float | None) -> float:
    if alpha is None or math.isnan(alpha):
        return 0.01 if function == "leaky_relu" else 1.0
    return float(alpha)


def _written_out(graph: GraphBuilder, x: str, function: str, alpha: float | None) -> str:
    """Functions whose operators ONNX Runtime lacks in double precision."""
    op, number = graph.op, graph.number
    if function == "softplus":  # max(x, 0) + log(1 + exp(-|x|))
        powers = op("Exp", op("Neg", op("Abs", x)))
        return op("Add", op("Relu", x), op("Log", op("Add", powers, number(1))))
    if function == "softsign":
        return op("Div", x, op("Add", op("Abs", x), number(1)))
    if function == "hard_sigmoid":
        line = op("Add", op("Mul", x, number(1 / 6)), number(0.5))
        return op("Min", op("Max", line, number(0)), number(1))
    scale, slope = (_SELU_SCALE, _SELU_ALPHA) if function == "selu" else (1.0, _slope(function, alpha))
    below = op("Mul", op("Sub", op("Exp", op("Min", x, number(0))), number(1)), number(slope))
    y = op("Where", op("Greater", x, number(0)), x, below)
    return op("Mul", y, number(scale)) if scale != 1 else y


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
