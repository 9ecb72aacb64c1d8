"""Recurrent cells and layers in float64, with Keras's formulas, gate order and layout of parameters.

A cell takes the input x (N, D) and the states of a step and returns the states after it; the first is the output. A
layer runs a cell over the steps of x (N, T, D). With dropout, products read `read` instead of the state h.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.activations import activation_forward

Array = NDArray[Any]
States = tuple[Array, ...]
Parameters = dict[str, Array]

# ---- steps, given the products -----------------------------------------------------------


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def lstm_step(i: Array, f: Array, g: Array, o: Array, c: Array) -> States:
    """Return h and c after a step, from the columns of each gate and c before it."""
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_after_step(z: Array, r: Array, g: Array, h: Array, recurrent: Array) -> States:
    """Return h after a step, from the columns of each gate, of which g lacks the product of h, `recurrent`."""
    z, r = sigmoid(z), sigmoid(r)
    return (z * h + (1 - z) * np.tanh(g + r * recurrent),)


def gru_before_step(z: Array, g: Array, h: Array) -> States:
    """Likewise, from the gate z and the column of the candidate with all products."""
    z = sigmoid(z)
    return (z * h + (1 - z) * np.tanh(g),)


def gru_reset(r: Array, h: Array) -> States:
    return (sigmoid(r) * h,)


def slopes(step: Callable[..., States], inputs: Sequence[Array], d_outputs: Sequence[Array]) -> list[Array]:
    """Return the gradient of sum(d_outputs * step(inputs)) by each input of an element-wise function.

    f(x + i h) = f(x) + i h f'(x) up to h^2: no difference is taken, so nothing cancels (Squire & Trapp 1998, DOI
    10.1137/S003614459631241X).
    """
    h = 1e-30
    found = []
    for k in range(len(inputs)):
        moved = [x + (1j * h if j == k else 0) for j, x in enumerate(inputs)]
        found.append(sum((d * y.imag / h for d, y in zip(d_outputs, step(*moved), strict=True)), np.zeros(1)))
    return found


# ---- cells -------------------------------------------------------------------------------


def gates_of(z: Array, count: int) -> list[Array]:
    """Return the columns of each gate."""
    return np.split(z, count, axis=-1)


def simple_rnn(x: Array, states: States, read: Array, p: Parameters, f: str, _: str) -> States:
    return (activation_forward(f, x @ p["kernel"] + read @ p["recurrent_kernel"] + p.get("bias", 0.0)),)


def lstm(x: Array, states: States, read: Array, p: Parameters, f: str, g: str) -> States:
    c = states[1]
    i, forget, candidate, o = gates_of(x @ p["kernel"] + read @ p["recurrent_kernel"] + p.get("bias", 0.0), 4)
    c = activation_forward(g, forget) * c + activation_forward(g, i) * activation_forward(f, candidate)
    return activation_forward(g, o) * activation_forward(f, c), c


def gru(x: Array, states: States, read: Array, p: Parameters, f: str, g: str) -> States:
    """A GRU whose reset gate multiplies the product of the state (reset_after=True)."""
    h = states[0]
    bias = p.get("bias", np.zeros((2, 1)))
    x_z, x_r, x_h = gates_of(x @ p["kernel"] + bias[0], 3)
    h_z, h_r, h_h = gates_of(read @ p["recurrent_kernel"] + bias[1], 3)
    z, r = activation_forward(g, x_z + h_z), activation_forward(g, x_r + h_r)
    return (z * h + (1 - z) * activation_forward(f, x_h + r * h_h),)


def gru_before(x: Array, states: States, read: Array, p: Parameters, f: str, g: str) -> States:
    """A GRU whose reset gate multiplies the state before the product (reset_after=False)."""
    h = states[0]
    x_z, x_r, x_h = gates_of(x @ p["kernel"] + p.get("bias", 0.0), 3)
    u_z, u_r, u_h = gates_of(p["recurrent_kernel"], 3)
    z, r = activation_forward(g, x_z + read @ u_z), activation_forward(g, x_r + read @ u_r)
    return (z * h + (1 - z) * activation_forward(f, x_h + (r * read) @ u_h),)


CELLS: dict[str, Callable[..., States]] = {
    "simple_rnn": simple_rnn,
    "lstm": lstm,
    "gru": gru,
    "gru_before": gru_before,
}


def layer(
    cell: str,
    x: Array,
    parameters: Parameters,
    states: States = (),
    mask: Array | None = None,
    backwards: bool = False,
    activations: tuple[str, str] = ("tanh", "sigmoid"),
    dropout: Array | float = 1.0,
) -> tuple[Array, States]:
    """Return the outputs (N, T, U) in the order of processing, and the last states; without `states`, from zeros.

    A step with mask 0 repeats the states. `dropout` (N, U) are factors of what products read of h.
    """
    units = len(parameters["recurrent_kernel"])
    now = states or tuple(np.zeros((len(x), units)) for _ in range(2 if cell == "lstm" else 1))
    steps = range(x.shape[1])
    outputs = []
    for t in reversed(steps) if backwards else steps:
        active = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None] != 0
        after = CELLS[cell](np.where(active, x[:, t], 0), now, now[0] * dropout, parameters, *activations)
        now = tuple(np.where(active, new, old) for new, old in zip(after, now, strict=True))
        outputs.append(now[0])
    return np.stack(outputs, axis=1), now
