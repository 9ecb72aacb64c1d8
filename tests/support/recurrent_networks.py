"""Networks of recurrent layers, sequences with padding, and what they become in NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
from reference.recurrent import layer as reference
from small_networks import randomize

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

STEPS, FEATURES, UNITS, ROWS = 7, 3, 5, 6

KINDS: dict[str, tuple[Callable[..., layers.Layer], str]] = {
    "SimpleRNN": (layers.SimpleRNN, "simple_rnn"),
    "LSTM": (layers.LSTM, "lstm"),
    "GRU": (layers.GRU, "gru"),
    "GRU of the paper": (lambda units, **options: layers.GRU(units, reset_after=False, **options), "gru_before"),
}
# Which steps count: all, those before the padding, those after it, and with holes; a row of padding alone too.
MASKS = {
    "none": np.ones((ROWS, STEPS), bool),
    "right": np.arange(STEPS) < np.array([7, 3, 1, 0, 6, 2])[:, None],
    "left": np.arange(STEPS) >= np.array([0, 4, 6, 7, 1, 5])[:, None],
    "middle": np.array(
        [[1, 1, 0, 0, 1, 0, 1], [0, 1, 0, 1, 1, 1, 0], [1] * 7, [0] * 7, [0, 0, 0, 1, 0, 0, 0], [1] + [0] * 6]
    )
    > 0,
}


def sequences(masked: str = "none", dtype: str = "float64", seed: int = 1) -> Array:
    x = np.random.default_rng(seed).normal(size=(ROWS, STEPS, FEATURES))
    x[~MASKS[masked]] = 0
    return x.astype(dtype)


def network(*chain: layers.Layer, dtype: str = "float64", steps: int = STEPS, features: int = FEATURES) -> nf.Network:
    return randomize(
        nf.Network([layers.Input((steps, features)), *chain], seed=3, dtype=dtype), np.random.default_rng(5)
    )


def truth(cell: str, net: nf.Network, x: Array, name: str = "r", **options: Any) -> Any:
    """Outputs and last states of the layer of that name, in NumPy."""
    start = f"{name}."
    own = {key.removeprefix(start): p.astype("float64") for key, p in net.parameters.items() if key.startswith(start)}
    return reference(cell, x.astype("float64"), own, **options)


def states_of(kind: str) -> tuple[Array, ...]:
    """Initial states."""
    return tuple(np.random.default_rng(2 + i).normal(size=(ROWS, UNITS)) for i in range(2 if kind == "LSTM" else 1))


def called(layer: Any, *shapes: Any, **options: Any) -> Any:
    """A layer on inputs of these shapes."""
    inputs = [layers.Input(shape) for shape in shapes]
    return layer(inputs[0] if len(inputs) == 1 else inputs, **options)
