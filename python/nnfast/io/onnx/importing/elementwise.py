"""Element by element: functions of one operand, and of several that broadcast."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnfast import layers, ops
from nnfast.core.tensor import Tensor
from nnfast.core.typing import Array
from nnfast.io.onnx.importing.errors import Unsupported
from nnfast.io.onnx.importing.folding import dtype_of
from nnfast.io.onnx.importing.layout import View, aligned
from nnfast.io.onnx.importing.nodes import Const, Node, Value, imports, slim

__all__ = ["broadcast"]


def broadcast(node: Node, values: Sequence[Value], function: Callable[..., Tensor]) -> View:
    """The result of a function of operands that broadcast."""
    operands, view = aligned([node.builder.operand(value, node) for value in values])
    tensors = [
        node.builder.tensor(operand, value.source if isinstance(value, Const) else None, node)
        for operand, value in zip(operands, values, strict=True)
    ]
    return view.like(function(*tensors))


# ---- one operand -----------------------------------------------------------------


def _activation(name: str, default: Callable[[Node], dict[str, Any]] = lambda node: {}) -> Callable[[Node], View]:
    def function(node: Node) -> View:
        view = node.view(0)
        layer = getattr(layers, name)(**default(node))
        return view.like(layer(view.tensor))

    return function


for _op, _layer, _options in (
    ("Relu", "ReLU", lambda node: {}),
    ("Sigmoid", "Sigmoid", lambda node: {}),
    ("Tanh", "Tanh", lambda node: {}),
    ("Softplus", "Softplus", lambda node: {}),
    ("Softsign", "Softsign", lambda node: {}),
    ("LeakyRelu", "LeakyReLU", lambda node: {"negative_slope": node.number("alpha", 0.01)}),
    ("Gelu", "GELU", lambda node: {"approximate": node.text("approximate", "none") == "tanh"}),
):
    imports(_op)(_activation(_layer, _options))


def _unary(name: str, function: Callable[..., Any]) -> None:
    def importer(node: Node) -> View:
        view = node.view(0)
        return view.like(function(view.tensor))

    imports(name)(importer)


def _sinh(x: Any) -> Any:
    return (ops.exp(x) - ops.exp(-x)) * 0.5


for _name, _function in {
    "Abs": ops.absolute,
    "Neg": ops.negative,
    "Exp": ops.exp,
    "Log": ops.log,
    "Sqrt": ops.sqrt,
    "Reciprocal": ops.reciprocal,
    "Floor": ops.floor,
    "Ceil": ops.ceil,
    "Round": ops.round,
    "Sign": ops.sign,
    "Sin": ops.sin,
    "Cos": ops.cos,
    "Tan": ops.tan,
    "Asin": ops.arcsin,
    "Acos": ops.arccos,
    "Atan": ops.arctan,
    "Erf": ops.erf,
    "Not": ops.logical_not,
    "IsNaN": ops.isnan,
    "Cosh": lambda x: (ops.exp(x) + ops.exp(-x)) * 0.5,
    "Sinh": _sinh,
    "Asinh": lambda x: ops.sign(x) * ops.log(ops.absolute(x) + ops.sqrt(x * x + 1)),
    "Acosh": lambda x: ops.log(x + ops.sqrt(x * x - 1)),
    "Atanh": lambda x: 0.5 * (ops.log1p(x) - ops.log1p(-x)),
    "HardSwish": lambda x: x * ops.clip(x * (1 / 6) + 0.5, 0.0, 1.0),
    "Mish": lambda x: x * ops.tanh(ops.softplus(x)),
}.items():
    _unary(_name, _function)


@imports("Elu")
def _elu(node: Node) -> View:
    alpha, view = node.number("alpha", 1.0), node.view(0)
    if alpha > 0:
        return view.like(layers.ELU(alpha)(view.tensor))
    return view.like(ops.where(view.tensor > 0, view.tensor, alpha * (ops.exp(ops.minimum(view.tensor, 0.0)) - 1)))


@imports("Selu")
def _selu(node: Node) -> View:
    view = node.view(0)
    alpha, gamma = node.number("alpha", 1.67326319217681884765625), node.number("gamma", 1.05070102214813232421875)
    if abs(alpha - 1.6732632) < 1e-6 and abs(gamma - 1.050701) < 1e-6:
        return view.like(layers.SELU()(view.tensor))
    x = view.tensor
    return view.like(gamma * ops.where(x > 0, x, alpha * ops.expm1(ops.minimum(x, 0.0))))


@imports("Celu")
def _celu(node: Node) -> View:
    view, alpha = node.view(0), node.number("alpha", 1.0)
    x = view.tensor
    return view.like(ops.maximum(x, 0.0) + ops.minimum(alpha * ops.expm1(ops.minimum(x, 0.0) / alpha), 0.0))


@imports("HardSigmoid")
def _hard_sigmoid(node: Node) -> View:
    view = node.view(0)
    alpha, beta = node.number("alpha", 0.2), node.number("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return view.like(layers.HardSigmoid()(view.tensor))
    return view.like(ops.clip(alpha * view.tensor + beta, 0.0, 1.0))


@imports("ThresholdedRelu")
def _thresholded(node: Node) -> View:
    view, alpha = node.view(0), node.number("alpha", 1.0)
    return view.like(ops.where(view.tensor > alpha, view.tensor, 0.0))


@imports("Shrink")
def _shrink(node: Node) -> View:
    view, bias, limit = node.view(0), node.number("bias", 0.0), node.number("lambd", 0.5)
    x = view.tensor
    return view.like(ops.where(x < -limit, x + bias, ops.where(x > limit, x - bias, 0.0)))


@imports("Swish")
def _swish(node: Node) -> View:
    view, alpha = node.view(0), node.number("alpha", 1.0)
    x = view.tensor
    return view.like(layers.SiLU()(x) if alpha == 1 else x * ops.sigmoid(alpha * x))


@imports("IsInf")
def _is_infinite(node: Node) -> View:
    view = node.view(0)
    up, down = node.integer("detect_positive", 1), node.integer("detect_negative", 1)
    found = [view.tensor == sign for wanted, sign in ((up, math.inf), (down, -math.inf)) if wanted]
    if not found:
        return view.like(ops.not_equal(view.tensor * 0.0, view.tensor * 0.0))
    return view.like(found[0] if len(found) == 1 else ops.logical_or(*found))


@imports("PRelu")
def _prelu(node: Node) -> View:
    view, slope = node.view(0), node.value(1)
    if isinstance(slope, View):
        return broadcast(node, [view, slope], lambda x, a: ops.maximum(x, 0.0) + a * ops.minimum(x, 0.0))
    operands, _ = aligned([view, np.asarray(slope.array)])
    x, alpha = operands
    assert isinstance(x, Tensor)
    array = np.asarray(alpha)
    array = array.reshape((1,) * (len(x.shape) - array.ndim) + array.shape)
    shared = tuple(i + 1 for i, size in enumerate(array.shape) if size == 1)
    layer = node.builder.layer(
        ("prelu", array.shape, x.shape),
        lambda: layers.PReLU("zeros", shared or None),
        node,
        {"alpha": Const(array, slope.source)},
    )
    return aligned([view, np.asarray(slope.array)])[1].like(layer(x))


@imports("Clip")
def _clip(node: Node) -> View:
    view = node.view(0)
    values: list[Value | None] = [node.inputs[i] if node.has_input(i) else None for i in (1, 2)]
    for i, name in enumerate(("min", "max")):
        if node.has(name):
            values[i] = Const(np.array(node.number(name, 0.0)))
    for function, value in zip((ops.maximum, ops.minimum), values, strict=True):
        if isinstance(value, View):
            view = broadcast(node, [view, value], function)
        elif value is not None and np.isfinite(slim(value.array)).all():
            view = view.like(_bounded(function, view.tensor, value.array))
    return view


def _bounded(function: Callable[..., Any], x: Tensor, bound: Array) -> Any:
    if bound.size != 1:
        raise Unsupported(f"expected one number as a bound, got the shape {bound.shape}")
    number = bound.reshape(()).item()
    return layers.ReLU()(x) if function is ops.maximum and number == 0 else function(x, number)


@imports("Identity")
def _identity(node: Node) -> Value:
    return node.value(0)


@imports("Dropout")
def _dropout(node: Node) -> list[Value | None]:
    training = node.optional_constant(2, "training_mode")
    if training is not None and training.item():
        raise Unsupported("expected a graph for inference, got training_mode; export it with the model in eval mode")
    view = node.view(0)
    mask = view.like(ops.equal(ops.multiply(view.tensor, 0.0), 0.0)) if node.wants(1) else None
    return [view, mask]


@imports("Cast", "CastLike")
def _cast(node: Node) -> View:
    view = node.view(0)
    if node.op == "CastLike":
        other = node.value(1)
        kinds = {"real": np.float32, "integer": np.int64, "boolean": np.bool_}
        dtype = kinds[other.tensor.domain] if isinstance(other, View) else other.array.dtype
    else:
        dtype = dtype_of(node.integer("to", 0))
    if np.dtype(dtype).kind not in "fiub":
        raise Unsupported("expected a type of numbers, got complex ones")
    return view.like(ops.cast(view.tensor, dtype))


# ---- several operands ------------------------------------------------------------


def _binary(name: str, function: Callable[..., Any]) -> None:
    imports(name)(lambda node: broadcast(node, [_old_axis(node, 0), _old_axis(node, 1)], function))


def _old_axis(node: Node, place: int) -> Value:
    """An operand; up to version 6, its axes may be counted from `axis` on."""
    value = node.value(place)
    if place == 0 or node.version >= 7 or not node.integer("broadcast", 0):
        return value
    rank = len(node.value(0).shape)
    missing = rank - node.integer("axis", rank - len(value.shape)) - len(value.shape)
    if isinstance(value, View):
        return value.with_axes([*value.axes, *[()] * missing])
    return Const(value.array.reshape(*value.array.shape, *[1] * missing), value.source)


def _divide(a: Any, b: Any) -> Any:
    if all(_is_whole(x) for x in (a, b)):
        a, b = (ops.cast(x, "float64") for x in (a, b))
        quotient = ops.floor(ops.absolute(a) / ops.absolute(b))
        return ops.cast(quotient * ops.sign(a) * ops.sign(b), "int64")
    return ops.divide(a, b)


def _is_whole(x: Any) -> bool:
    return (x.domain if isinstance(x, Tensor) else np.asarray(x).dtype.kind) in ("integer", "boolean", "i", "u", "b")


def _add(a: Any, b: Any) -> Any:
    if (
        isinstance(a, Tensor)
        and isinstance(b, Tensor)
        and a.batched
        and b.batched
        and a.shape == b.shape
        and a is not b
    ):
        return layers.Add()([a, b])
    return ops.add(a, b)


def _power(a: Any, b: Any) -> Any:
    result = ops.power(a, b)
    return ops.cast(result, "int64") if _is_whole(a) and not _is_whole(b) else result


_BINARY: dict[str, Callable[..., Any]] = {
    "Add": _add,
    "Sub": ops.subtract,
    "Mul": ops.multiply,
    "Div": _divide,
    "Pow": _power,
    "Equal": ops.equal,
    "Less": ops.less,
    "LessOrEqual": ops.less_equal,
    "Greater": ops.greater,
    "GreaterOrEqual": ops.greater_equal,
    "And": ops.logical_and,
    "Or": ops.logical_or,
    "Xor": ops.logical_xor,
}
for _name, _function in _BINARY.items():
    _binary(_name, _function)


@imports("Mod")
def _mod(node: Node) -> View:
    def truncated(a: Any, b: Any) -> Any:
        return ops.sign(a) * ops.mod(ops.absolute(a), ops.absolute(b))

    return broadcast(node, [node.value(0), node.value(1)], truncated if node.integer("fmod", 0) else ops.mod)


@imports("Where")
def _where(node: Node) -> Value:
    condition = node.value(0)
    if isinstance(condition, Const) and slim(condition.array).size == 1:  # one of them is not used, and may be NaN
        chosen = node.value(1 if slim(condition.array).item() else 2)
        if np.broadcast_shapes(*(node.value(i).shape for i in range(3))) == chosen.shape:
            return chosen
    return broadcast(node, [node.value(i) for i in range(3)], ops.where)


@imports("Max", "Min", "Sum", "Mean")
def _several(node: Node) -> View | Value:
    function = {"Max": ops.maximum, "Min": ops.minimum}.get(node.op, _add)
    values = [node.value(i) for i in range(len(node.inputs))]
    known = [value for value in values if isinstance(value, Const)]
    total: Value = values[0]
    # Constants come last, so that what is added first depends on the inputs.
    ordered = [value for value in values if isinstance(value, View)] + known
    total = ordered[0]
    for value in ordered[1:]:
        total = broadcast(node, [total, value], function)
    if node.op == "Mean" and isinstance(total, View):
        return total.like(total.tensor * (1 / len(values)))
    return total
