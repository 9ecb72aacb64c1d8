"""Element-wise functions of tensors that broadcast, and layers that merge tensors."""

from __future__ import annotations

from nnfast.io.onnx.builder import GraphBuilder
from nnfast.io.onnx.converters.activation import activate, put_like_input
from nnfast.io.onnx.converters.registry import Call, converter

__all__: list[str] = []

_UNARY = {
    "negative": "Neg",
    "abs": "Abs",
    "sign": "Sign",
    "sqrt": "Sqrt",
    "reciprocal": "Reciprocal",
    "exp": "Exp",
    "log": "Log",
    "sin": "Sin",
    "cos": "Cos",
    "tanh": "Tanh",
    "erf": "Erf",
    "floor": "Floor",
    "ceil": "Ceil",
    "round": "Round",
}
_BINARY = {
    "add": "Add",
    "subtract": "Sub",
    "multiply": "Mul",
    "divide": "Div",
    "power": "Pow",
    "maximum": "Max",
    "minimum": "Min",
}
_COMPARISONS = {
    "equal": "Equal",
    "less": "Less",
    "less_equal": "LessOrEqual",
    "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
}
_LOGIC = {"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor"}


@converter("elementwise")
def _elementwise(call: Call) -> None:
    graph, function = call.graph, call.option("function")
    if len(call.inputs) == 1 and "constant" not in call.spec:
        put_like_input(call, lambda x, form: _of_one(graph, function, x, call.option("alpha")))
        return
    if len(call.inputs) == 1:
        put_like_input(call, lambda x, form: _of_several(graph, function, _with_constant(call, [x])))
        return
    form = graph.common_form(call.inputs)
    values = [graph.get(name, form) for name in call.inputs]
    call.put(_of_several(graph, function, _with_constant(call, values)), form)


def _with_constant(call: Call, values: list[str]) -> list[str]:
    """The operands, with the number that takes the place of one of them."""
    if "constant" in call.spec:
        values.insert(call.option("constant_at"), call.graph.number(call.option("constant")))
    return values


def _of_one(graph: GraphBuilder, function: str, x: str, alpha: float | None) -> str:
    op = graph.op
    if function in _UNARY:
        return op(_UNARY[function], x)
    if function == "square":
        return op("Mul", x, x)
    if function == "rsqrt":
        return op("Reciprocal", op("Sqrt", x))
    if function == "expm1":
        return op("Sub", op("Exp", x), graph.number(1))
    if function == "log1p":
        return op("Log", op("Add", x, graph.number(1)))
    if function == "logical_not":
        return graph.to_number(op("Equal", x, graph.number(0)))
    if function == "is_nan":
        return graph.to_number(op("IsNaN", x))
    if function == "is_finite":  # x - x is 0, or NaN
        return graph.to_number(op("Equal", op("Sub", x, x), graph.number(0)))
    return activate(graph, x, function, alpha)


def _of_several(graph: GraphBuilder, function: str, values: list[str]) -> str:
    op = graph.op
    if function in _BINARY:
        return op(_BINARY[function], *values)
    if function in _COMPARISONS:
        return graph.to_number(op(_COMPARISONS[function], *values))
    if function == "not_equal":
        return graph.to_number(op("Not", op("Equal", *values)))
    if function in _LOGIC:
        return graph.to_number(op(_LOGIC[function], *(graph.truth(x) for x in values)))
    if function == "where":
        return op("Where", graph.truth(values[0]), *values[1:])
    x, y = values
    rest = op("Mod", x, y, fmod=1)  # with the sign of x; Python's has that of y
    other_sign = op("Less", op("Mul", rest, y), graph.number(0))
    modulo = op("Where", other_sign, op("Add", rest, y), rest)
    if function == "mod":
        return modulo
    if function == "floor_divide":
        whole = op("Round", op("Div", op("Sub", x, modulo), y))  # whole but for rounding
        return op("Where", op("Equal", y, graph.number(0)), op("Div", x, y), whole)
    raise ValueError(f"{graph.scope}: expected a function that nnfast can export to ONNX, got {function!r}")


# ---- layers that merge -----------------------------------------------------------


@converter("add", "average", "maximum", "minimum", "multiply", "subtract")
def _merge(call: Call) -> None:
    graph, kind = call.graph, call.option("op")
    form = graph.common_form(call.inputs)
    values = [graph.get(name, form) for name in call.inputs]
    if kind in ("maximum", "minimum"):
        made = graph.op(_BINARY[kind], *values)
    elif kind == "multiply":
        made = values[0]
        for value in values[1:]:
            made = graph.op("Mul", made, value)
    elif kind == "subtract":
        made = graph.op("Sub", *values)
    else:
        made = graph.op("Add" if len(values) == 2 else "Sum", *values)
        if kind == "average":
            made = graph.op("Mul", made, graph.number(1 / len(values)))
    call.put(made, form)
