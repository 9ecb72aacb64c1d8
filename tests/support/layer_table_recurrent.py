"""The rows of the table of layers for recurrent ones, and layers around layers."""

import numpy as np
from layer_row import Row
from reference.convolution import conv_forward
from reference.recurrent import layer as recurrent_layer

from nnfast import layers
from nnfast.core.typing import Array


def recurrent(cell: str, x: Array, *weights: Array) -> Array:
    """Outputs (N, T, U) of a recurrent layer."""
    named = dict(zip(("kernel", "recurrent_kernel", "bias"), weights, strict=True))
    return recurrent_layer(cell, x, named)[0]


def both_ways(x: Array, *weights: Array) -> Array:
    ends = (recurrent("lstm", x, *weights[:3]), recurrent("lstm", x[:, ::-1], *weights[3:]))
    return np.concatenate([y[:, -1] for y in ends], axis=-1)


RECURRENT = {
    "SimpleRNN": Row(
        lambda: layers.SimpleRNN(2, return_sequences=True),
        lambda x, *weights: recurrent("simple_rnn", x, *weights),
        (3, 2),
        (3, 2),
        parameters={"kernel": (2, 2), "recurrent_kernel": (2, 2), "bias": (2,)},
        text="SimpleRNN(2, return_sequences=True)",
    ),
    "LSTM": Row(
        lambda: layers.LSTM(2, dropout=0.25),
        lambda x, *weights: recurrent("lstm", x, *weights)[:, -1],
        (3, 2),
        (2,),
        parameters={"kernel": (2, 8), "recurrent_kernel": (2, 8), "bias": (8,)},
        text="LSTM(2, dropout=0.25)",
    ),
    "GRU": Row(
        lambda: layers.GRU(2, recurrent_dropout=0.25, return_state=True),
        lambda x, *weights: recurrent("gru", x, *weights)[:, -1],
        (3, 2),
        (2,),
        parameters={"kernel": (2, 6), "recurrent_kernel": (2, 6), "bias": (2, 6)},
        text="GRU(2, recurrent_dropout=0.25, return_state=True)",
    ),
    "Bidirectional": Row(
        lambda: layers.Bidirectional(layers.LSTM(2)),
        both_ways,
        (3, 2),
        (4,),
        parameters={
            f"{way}_lstm.{name}": shape
            for way in ("forward", "backward")
            for name, shape in (("kernel", (2, 8)), ("recurrent_kernel", (2, 8)), ("bias", (8,)))
        },
        text="Bidirectional(LSTM(2))",
    ),
    "TimeDistributed": Row(
        lambda: layers.TimeDistributed(layers.Conv1D(2, 2, activation="tanh")),
        lambda x, kernel, bias: np.stack(
            [np.tanh(conv_forward(step, kernel, bias, (1,), "valid", (1,), 1)) for step in np.moveaxis(x, 1, 0)], axis=1
        ),
        (2, 3, 2),
        (2, 2, 2),
        parameters={"conv1d.kernel": (2, 2, 2), "conv1d.bias": (2,)},
        text="TimeDistributed(Conv1D(2, 2, activation='tanh'))",
    ),
}
