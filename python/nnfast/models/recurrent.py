"""Recurrent language models."""

from __future__ import annotations

from typing import Any

from nnfast import layers
from nnfast.core.options import integer
from nnfast.network import Network

__all__ = ["char_lstm"]


def char_lstm(
    vocabulary: int,
    sequence_length: int = 100,
    units: int = 128,
    depth: int = 2,
    embedding: int = 128,
    *,
    dropout: float = 0.0,
    seed: int | None = None,
    dtype: Any = "float32",
) -> Network:
    """Language model of characters: an embedding, `depth` LSTM layers, and a softmax over the next character.

    The output at each step is the probability of each character to be the next, (N, T, V). Targets are the characters,
    shifted by one: train with ``loss="cross_entropy"``.

    Parameters
    ----------
    vocabulary : int
        Number V of characters, which are integers from 0 to V - 1.
    sequence_length : int, default 100
        Number T of steps of a row.
    units : int, default 128
        Units of each LSTM layer.
    depth : int, default 2
        Number of LSTM layers.
    embedding : int, default 128
        Size of the vector of a character.
    dropout : float, default 0
        Rate of dropout between layers, 0 <= dropout < 1.
    seed, dtype
        See `nnfast.models`.

    Returns
    -------
    Network

    References
    ----------
    Graves (2013), Generating sequences with recurrent neural networks, arXiv:1308.0850. Karpathy, Johnson & Fei-Fei
    (2015), Visualizing and understanding recurrent networks, arXiv:1506.02078.

    Examples
    --------
    >>> import nnfast as nf
    >>> net = nf.models.char_lstm(65, sequence_length=50, seed=0)
    >>> net.output_shape, net.num_parameters
    ((50, 65), 279873)
    """
    chain: list[layers.Layer] = [
        layers.Input((integer("char_lstm", "sequence_length", sequence_length),), dtype="int32"),
        layers.Embedding(vocabulary, embedding, name="characters"),
    ]
    for index in range(integer("char_lstm", "depth", depth)):
        chain.append(layers.LSTM(units, return_sequences=True, name=f"lstm_{index}"))
        if dropout:
            chain.append(layers.Dropout(dropout, name=f"dropout_{index}"))
    chain.append(layers.Dense(vocabulary, "softmax", name="head"))
    return Network(chain, seed=seed, dtype=dtype, name="char_lstm")
