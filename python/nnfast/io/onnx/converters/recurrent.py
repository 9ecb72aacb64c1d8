"""Recurrent layers: as LSTM, GRU and RNN of ONNX, or as a Scan over a cell where those lack an option.

A mask may cover any steps, the operators of ONNX only know lengths; they have some activation functions only; and ONNX
Runtime has none of them in double precision.
"""

from __future__ import annotations

from nnfast.core.tensor import output_name
from nnfast.io.onnx.builder import BATCH, value_info
from nnfast.io.onnx.converters.activation import activate
from nnfast.io.onnx.converters.registry import Call, converter
from nnfast.io.onnx.messages import GraphProto
from nnfast.io.onnx.storage import Step

__all__: list[str] = []

_GATES = {"simple_rnn": 1, "gru": 3, "lstm": 4}
_OPERATORS = {"simple_rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}
_ORDER = [0, 3, 1, 2]
"""The gates i, o, f, c of ONNX among Keras's i, f, c, o."""
_FUNCTIONS: dict[str, tuple[str, float | None, float | None]] = {
    "elu": ("Elu", 1.0, None),
    "hard_sigmoid": ("HardSigmoid", 1 / 6, 0.5),
    "identity": ("Affine", 1.0, 0.0),
    "leaky_relu": ("LeakyRelu", 0.01, None),
    "relu": ("Relu", None, None),
    "sigmoid": ("Sigmoid", None, None),
    "softplus": ("Softplus", None, None),
    "softsign": ("Softsign", None, None),
    "tanh": ("Tanh", None, None),
}
"""Of which the operators know the names, with the default values of alpha and beta."""


@converter("simple_rnn", "gru", "lstm")
def _recurrent(call: Call) -> None:
    functions = [call.option("activation", "tanh"), call.option("recurrent_activation", "sigmoid")]
    known = all(function in _FUNCTIONS for function in functions)
    if call.option("has_mask", 0) or not known or call.graph.dtype != "float32":
        _as_scan(call)
    else:
        _as_operator(call)


def _states(call: Call) -> int:
    return 2 if call.option("op") == "lstm" else 1


# ---- operators -------------------------------------------------------------------


def _as_operator(call: Call) -> None:
    graph, kind, units = call.graph, call.option("op"), call.option("units")
    backwards = bool(call.option("go_backwards", 0))
    names, alphas, betas = _activations(call)
    outputs: list[str] = graph.ops(
        _OPERATORS[kind],
        [graph.transpose(call.input(), [1, 0, 2]), *_weights(call), "", *_first_states(call)],
        1 + _states(call),
        hidden_size=units,
        direction="reverse" if backwards else None,
        activations=names,
        activation_alpha=alphas or None,
        activation_beta=betas or None,
        linear_before_reset=1 if kind == "gru" and call.option("reset_after", 1) else None,
    )
    axis = graph.integers([1])
    if call.option("return_sequences", 0):
        steps = graph.transpose(graph.op("Squeeze", outputs[0], axis), [1, 0, 2])
        if backwards and not call.option("in_order", 0):  # ONNX gives the steps in the order of the input
            ends = [[-1], [-(1 << 31)], [1], [-1]]
            steps = graph.op("Slice", steps, *(graph.integers(numbers) for numbers in ends))
        call.put(steps)
    else:
        call.put(graph.op("Squeeze", outputs[1], graph.integers([0])))
    if call.option("return_state", 0):
        for i, state in enumerate(outputs[1:]):
            call.put(graph.op("Squeeze", state, graph.integers([0])), output=i + 1)


def _activations(call: Call) -> tuple[list[str], list[float], list[float]]:
    """The functions of the gates and then those of the states, and the numbers that some of them have."""
    own = call.option("activation", "tanh"), call.option("alpha")
    gates = call.option("recurrent_activation", "sigmoid"), call.option("recurrent_alpha")
    used = {"simple_rnn": [own], "gru": [gates, own], "lstm": [gates, own, own]}[call.option("op")]
    names, alphas, betas = [], [], []
    for function, given in used:
        name, alpha, beta = _FUNCTIONS[function]
        names.append(name)
        if alpha is not None:
            alphas.append(float(given) if function in ("elu", "leaky_relu") and given is not None else alpha)
        if beta is not None:
            betas.append(beta)
    return names, alphas, betas


def _weights(call: Call) -> list[str]:
    """Kernels (1, G U, D) and (1, G U, U), and the bias (1, 2 G U) of both."""
    kind, units = call.option("op"), call.option("units")
    width = _GATES[kind] * units

    def steps(rows: int) -> list[Step]:
        order: list[Step] = [["reshape", [rows, 4, units]], ["take", 1, _ORDER], ["reshape", [rows, width]]]
        return [*(order if kind == "lstm" else []), ["transpose", [1, 0]], ["reshape", [1, width, rows]]]

    made = [
        call.parameter("kernel", *steps(call.input_shape()[-1])),
        call.parameter("recurrent_kernel", *steps(units)),
    ]
    if not call.option("use_bias", 1):
        return [*made, ""]
    if kind == "gru" and call.option("reset_after", 1):
        return [*made, call.parameter("bias", ["reshape", [1, 2 * width]])]
    order: list[Step] = [["reshape", [4, units]], ["take", 0, _ORDER]] if kind == "lstm" else []
    return [*made, call.parameter("bias", *order, ["reshape", [1, width]], ["zeros", 1, width])]


def _first_states(call: Call) -> list[str]:
    """Initial states (1, N, U), if they are given."""
    if not call.option("has_state", 0):
        return []
    axes = call.graph.integers([0])
    return [call.graph.op("Unsqueeze", call.input(i + 1), axes) for i in range(_states(call))]


# ---- cells in a Scan -------------------------------------------------------------


def _as_scan(call: Call) -> None:
    graph, units, count = call.graph, call.option("units"), _states(call)
    backwards, has_mask = bool(call.option("go_backwards", 0)), bool(call.option("has_mask", 0))
    if call.option("has_state", 0):
        first = [call.input(i + 1) for i in range(count)]
    else:
        sizes = graph.op("Concat", graph.batch(), graph.integers([units]), axis=0)
        first = [graph.op("Expand", graph.number(0), sizes)] * count
    bias = _bias(call, 0)
    product = graph.op("MatMul", call.input(), call.parameter("kernel"))
    scanned = [graph.op("Add", product, bias) if bias else product]
    if has_mask:
        mask = call.input(1 + (count if call.option("has_state", 0) else 0))
        scanned.append(graph.op("Unsqueeze", mask, graph.integers([2])))
    in_order = backwards and bool(call.option("in_order", 0))
    body = _body(call, has_mask)
    *last, steps = graph.ops(
        "Scan",
        [*first, *scanned],
        count + 1,
        body=body,
        num_scan_inputs=len(scanned),
        scan_input_axes=[1] * len(scanned),
        scan_input_directions=[int(backwards)] * len(scanned),
        scan_output_axes=[1],
        scan_output_directions=[int(in_order)],
    )
    call.put(steps if call.option("return_sequences", 0) else last[0])
    if call.option("return_state", 0):
        for i, state in enumerate(last):
            graph.put(output_name(call.name, i + 1), state)


def _bias(call: Call, row: int) -> str:
    """That of x, or that of the states, which only a GRU with two biases has."""
    graph = call.graph
    if not call.option("use_bias", 1):
        return ""
    if call.option("op") == "gru" and call.option("reset_after", 1):
        return graph.op("Gather", call.parameter("bias"), graph.constant(row, "row", "int64"), axis=0)
    return call.parameter("bias") if row == 0 else ""


def _body(call: Call, has_mask: bool) -> GraphProto:
    """One step: states, x W + b and a mask in; states and the output out."""
    graph, units, count = call.graph, call.option("units"), _states(call)
    recurrent, bias = call.parameter("recurrent_kernel"), _bias(call, 1)
    outer, graph.nodes = graph.nodes, []
    states = [graph.fresh(f"{graph.scope}/state") for _ in range(count)]
    x, mask = graph.fresh(f"{graph.scope}/step"), graph.fresh(f"{graph.scope}/step_mask")
    cell = {"simple_rnn": _simple_rnn, "gru": _gru, "lstm": _lstm}[call.option("op")]
    after = cell(call, x, states, recurrent, bias)
    if has_mask:
        active = graph.truth(mask)
        after = [graph.op("Where", active, new, old) for new, old in zip(after, states, strict=True)]
    after = [graph.op("Identity", state) for state in [*after, after[0]]]
    width = _GATES[call.option("op")] * units
    inputs = [value_info(state, graph.dtype, [BATCH, units]) for state in states]
    inputs.append(value_info(x, graph.dtype, [BATCH, width]))
    inputs += [value_info(mask, graph.dtype, [BATCH, 1])] if has_mask else []
    outputs = [value_info(state, graph.dtype, [BATCH, units]) for state in after]
    nodes, graph.nodes = graph.nodes, outer
    return GraphProto(name=f"{call.name} step", node=nodes, input=inputs, output=outputs)


def _f(call: Call, x: str) -> str:
    """The activation of the candidate and the state."""
    return activate(call.graph, x, call.option("activation", "tanh"), call.option("alpha"))


def _g(call: Call, x: str) -> str:
    """The activation of the gates."""
    return activate(call.graph, x, call.option("recurrent_activation", "sigmoid"), call.option("recurrent_alpha"))


def _gates(call: Call, x: str) -> list[str]:
    """The columns of each gate."""
    count = _GATES[call.option("op")]
    sizes = call.graph.integers([call.option("units")] * count)
    return call.graph.ops("Split", [x, sizes], count, axis=-1)


def _simple_rnn(call: Call, x: str, states: list[str], recurrent: str, bias: str) -> list[str]:
    graph = call.graph
    return [_f(call, graph.op("Add", x, graph.op("MatMul", states[0], recurrent)))]


def _lstm(call: Call, x: str, states: list[str], recurrent: str, bias: str) -> list[str]:
    graph, (h, c) = call.graph, states
    i, forget, candidate, o = _gates(call, graph.op("Add", x, graph.op("MatMul", h, recurrent)))
    kept = graph.op("Mul", _g(call, forget), c)
    c = graph.op("Add", kept, graph.op("Mul", _g(call, i), _f(call, candidate)))
    return [graph.op("Mul", _g(call, o), _f(call, c)), c]


def _gru(call: Call, x: str, states: list[str], recurrent: str, bias: str) -> list[str]:
    graph, h, units = call.graph, states[0], call.option("units")
    x_z, x_r, x_h = _gates(call, x)
    if call.option("reset_after", 1):
        product = graph.op("MatMul", h, recurrent)
        h_z, h_r, h_h = _gates(call, graph.op("Add", product, bias) if bias else product)
        z, r = _g(call, graph.op("Add", x_z, h_z)), _g(call, graph.op("Add", x_r, h_r))
        candidate = graph.op("Add", x_h, graph.op("Mul", r, h_h))
    else:
        sizes = graph.integers([2 * units, units])
        of_gates, of_candidate = graph.ops("Split", [recurrent, sizes], 2, axis=-1)
        h_z, h_r = graph.ops("Split", [graph.op("MatMul", h, of_gates), graph.integers([units] * 2)], 2, axis=-1)
        z, r = _g(call, graph.op("Add", x_z, h_z)), _g(call, graph.op("Add", x_r, h_r))
        candidate = graph.op("Add", x_h, graph.op("MatMul", graph.op("Mul", r, h), of_candidate))
    new = graph.op("Mul", graph.op("Sub", graph.number(1), z), _f(call, candidate))
    return [graph.op("Add", graph.op("Mul", z, h), new)]
