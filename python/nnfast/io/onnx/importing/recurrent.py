"""LSTM, GRU and RNN. Their parts stand in another order here, and the two biases are one where they are only added."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnfast import layers, ops
from nnfast.core.typing import Array
from nnfast.io.onnx.importing.errors import Unsupported
from nnfast.io.onnx.importing.layout import View
from nnfast.io.onnx.importing.nodes import Const, Node, Value, imports, slim
from nnfast.io.onnx.importing.windows import batch_group

__all__: list[str] = []

_ORDERS = {"LSTM": (0, 2, 3, 1), "GRU": (0, 1, 2), "RNN": (0,)}
"""Where ONNX has the parts i, f, c, o of an LSTM and z, r, k of a GRU."""
_MAX_STEPS = 256
_STATES = {"LSTM": 2, "GRU": 1, "RNN": 1}
_FUNCTIONS = {
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "relu": "relu",
    "softsign": "softsign",
    "softplus": "softplus",
    "affine": None,
}


@imports("LSTM", "GRU", "RNN")
def _recurrent(node: Node) -> list[Value | None]:
    view = node.view(0)
    batch_first = bool(node.integer("layout", 0))
    x = view.permuted([1, 0, 2]) if batch_first else view  # (T, N, D)
    if x.rank != 3:
        raise Unsupported(f"expected a sequence of 3 axes, got {view.shape}")
    x.permuted([1, 0, 2]).require_batch_first("the sequence in the order (N, T, D)")
    steps, size = x.shape[0], x.shape[2]
    _require_plain(node, steps)
    weights, recurrent = node.const(1, "W"), node.const(2, "R")
    bias = node.const(3, "B") if node.has_input(3) else None
    units = node.integer("hidden_size", recurrent.array.shape[-1])
    parts = len(_ORDERS[node.op])
    direction = node.text("direction", "forward")
    ways = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}.get(direction)
    if ways is None:
        raise Unsupported(f"expected direction forward, reverse or bidirectional, got {direction!r}")
    wanted = [
        (weights, (len(ways), parts * units, size)),
        (recurrent, (len(ways), parts * units, units)),
        (bias, (len(ways), 2 * parts * units)),
    ]
    for value, shape in wanted:
        if value is not None and value.array.shape != shape:
            raise Unsupported(f"expected weights of shape {shape}, got {value.array.shape}")
    tensor: Any = x.in_order([0, 2])
    made = []
    for way, backwards in enumerate(ways):
        values = _values(node, weights, recurrent, bias, way)
        states = _states(node, way, batch_first)
        if _needs_steps(node, way, len(ways)):
            made.append(_step_by_step(node, tensor, way, len(ways), backwards, values, states))
            continue
        layer = _layer(node, units, way, len(ways), backwards, values)
        made.append(layer(tensor, initial_state=states) if states else layer(tensor))
    return _results(node, made, ways, x, batch_first)


def _require_plain(node: Node, steps: int) -> None:
    lengths = node.optional_constant(4, "sequence_lens")
    if lengths is not None and lengths.size and (lengths != steps).any():
        raise Unsupported("expected sequences of full length, got sequence_lens")
    clip = node.number("clip", 0.0)
    if not (clip >= 0 if node.op == "LSTM" else clip == 0):
        raise Unsupported(f"expected no clip, or one of 0 or more for an LSTM, got {clip}")


def _values(node: Node, weights: Const, recurrent: Const, bias: Const | None, way: int) -> dict[str, Any]:
    """The parameters of one direction."""

    def moved(array: Array) -> Array:
        parts = np.split(array, len(_ORDERS[node.op]))
        return np.concatenate([parts[i] for i in _ORDERS[node.op]])

    def named(value: Const) -> str | None:
        return None if value.source is None else f"{value.source}:{way}"

    values: dict[str, Any] = {
        "kernel": Const(moved(weights.array[way]).T, named(weights)),
        "recurrent_kernel": Const(moved(recurrent.array[way]).T, named(recurrent)),
    }
    if bias is not None:
        own, other = (moved(part) for part in np.split(bias.array[way], 2))
        both = node.op == "GRU" and node.integer("linear_before_reset", 0)
        values["bias"] = Const(np.stack([own, other]) if both else own + other, named(bias))
    return values


def _functions(node: Node, way: int, ways: int) -> list[str | None]:
    """The names of the activation functions of one direction."""
    default = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}[node.op]
    given = node.texts("activations") or default * ways
    if len(given) != len(default) * ways or node.has("activation_alpha") or node.has("activation_beta"):
        raise Unsupported(f"expected {len(default)} activations for each direction without alpha or beta, got {given}")
    own = [name.lower() for name in given[way * len(default) : (way + 1) * len(default)]]
    for name in own:
        if name not in _FUNCTIONS or name == "affine":
            raise Unsupported(f"expected activations among {sorted(_FUNCTIONS)}, got {name!r}")
    return [_FUNCTIONS[name] for name in own]


def _layer(node: Node, units: int, way: int, ways: int, backwards: bool, values: dict[str, Any]) -> Any:
    functions = _functions(node, way, ways)
    options: dict[str, Any] = {
        "use_bias": "bias" in values,
        "kernel_initializer": "zeros",
        "recurrent_initializer": "zeros",
        "return_sequences": node.wants(0),
        "return_state": True,
        "go_backwards": backwards,
    }

    def make() -> Any:
        if node.op == "RNN":
            return layers.SimpleRNN(units, functions[0], **options)
        if node.op == "GRU":
            after = bool(node.integer("linear_before_reset", 0))
            return layers.GRU(units, functions[1], functions[0], reset_after=after, **options)
        return layers.LSTM(units, functions[1], functions[0], **options)

    key = (node.op, units, *functions, node.integer("linear_before_reset", 0), *options.values())
    return node.builder.layer(key, make, node, values)


def _needs_steps(node: Node, way: int, ways: int) -> bool:
    """Whether an LSTM has what the layer lacks: peepholes, coupled gates, clipping, a function for the output alone."""
    if node.op != "LSTM":
        return False
    _, cell, output = _functions(node, way, ways)
    options = node.integer("input_forget", 0) or node.number("clip", 0.0)
    return node.has_input(7) or bool(options) or cell != output


def _step_by_step(
    node: Node, tensor: Any, way: int, ways: int, backwards: bool, values: dict[str, Any], states: list[Any]
) -> tuple[Any, Any, Any]:
    """What the layer would give: the outputs in the order in which the steps are read, the last h and the last c."""
    steps, units = tensor.shape[0], values["recurrent_kernel"].shape[0]
    if steps > _MAX_STEPS:
        raise Unsupported(f"expected at most {_MAX_STEPS} steps with peepholes or other such options, got {steps}")
    gate, cell, output = (getattr(ops, str(name)) for name in _functions(node, way, ways))
    limit = node.number("clip", 0.0) or math.inf

    def clipped(z: Any) -> Any:
        return ops.clip(z, -limit, limit) if math.isfinite(limit) else z

    peepholes = _peepholes(node, way, ways, units)
    coupled = bool(node.integer("input_forget", 0))
    entering = _dense(node, "kernel", values, way)(tensor)
    recurrent = _dense(node, "recurrent_kernel", values, way)
    h, c = states or (None, None)
    read: list[Any] = []
    for step in range(steps)[:: -1 if backwards else 1]:
        z = entering[:, step] if h is None else entering[:, step] + recurrent(h)
        i, f, new, o = ops.split(z, 4, axis=-1)
        if peepholes and c is not None:
            i, f = i + peepholes[0] * c, f + peepholes[2] * c
        i = gate(clipped(i))
        kept = 0.0 if c is None else (1 - i if coupled else gate(clipped(f))) * c
        c = i * cell(clipped(new)) + kept
        o = gate(clipped(o + peepholes[1] * c if peepholes else o))
        h = o * output(c)
        read.append(h)
    return ops.stack(read, 1) if node.wants(0) else None, h, c


def _dense(node: Node, name: str, values: dict[str, Any], way: int) -> Any:
    """The layer that applies one of the two kernels, the first one with the bias."""
    units = values[name].shape[1]
    own = {"kernel": values[name]}
    if name == "kernel" and "bias" in values:
        own["bias"] = values["bias"]

    def make() -> Any:
        return layers.Dense(units, use_bias="bias" in own, kernel_initializer="zeros")

    return node.builder.layer(("LSTM", name, way), make, node, own)


def _peepholes(node: Node, way: int, ways: int, units: int) -> list[Any]:
    """What the gates i, o and f see of the cell; empty if they see nothing."""
    if not node.has_input(7):
        return []
    given = node.const(7, "P")
    if given.shape != (ways, 3 * units):
        raise Unsupported(f"expected peepholes of shape {(ways, 3 * units)}, got {given.shape}")
    source = None if given.source is None else f"{given.source}:{way}"
    table: Any = node.builder.tensor(given.array[way].reshape(3, units), source, node)
    return [table[gate] for gate in range(3)]


def _states(node: Node, way: int, batch_first: bool) -> list[Any]:
    """The tensors of the initial state of one direction; none if it is zero."""
    given = [node.inputs[place] if node.has_input(place) else None for place in (5, 6)][: _STATES[node.op]]
    if all(value is None or (isinstance(value, Const) and not slim(value.array).any()) for value in given):
        return []
    made = []
    for value in given:
        if not isinstance(value, View):
            raise Unsupported("expected an initial state of zeros, or one that is computed from the inputs")
        state = value.permuted([1, 0, 2]) if batch_first else value
        flat = state.flat(0)
        keys = [slice(None)] * len(flat.held)
        keys[flat.axes[0][0]] = slice(way, way + 1)
        part = flat.like(flat.tensor[tuple(keys)]).with_axes([(), *flat.axes[1:]])
        made.append(part.in_order([2]))
    return made


def _results(node: Node, made: list[Any], ways: list[bool], x: View, batch_first: bool) -> list[Value | None]:
    """Y, the last h and the last c, in the order of axes of ONNX."""
    count = len(ways)
    batch = batch_group(x, 1)
    sequences: View | None = None
    if node.wants(0):
        # Backwards, the steps come in the order in which they were read.
        outputs = [ops.flip(y, 1) if backwards else y for (y, *_), backwards in zip(made, ways, strict=True)]
        joined = outputs[0] if count == 1 else layers.Concatenate(axis=2)(outputs)
        steps, width = joined.shape
        divided = ops.reshape(joined, (None, steps, count, width // count))
        order: list[Any] = [(1,), (2,), batch, (3,)]
        sequences = View(divided, [batch, (1,), (2,), (3,)] if batch_first else order, x.batch)
    last: list[Value | None] = []
    for place in range(_STATES[node.op]):
        states = [results[1 + place] for results in made]
        joined = states[0] if count == 1 else layers.Concatenate(axis=1)(states)
        divided = ops.reshape(joined, (None, count, joined.shape[0] // count))
        last.append(View(divided, [batch, (1,), (2,)] if batch_first else [(1,), batch, (2,)], x.batch))
    return [sequences, *last]
