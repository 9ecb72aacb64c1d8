"""Where a network flattens what a model of PyTorch has channels first."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nnfast.core.tensor import node_of
from nnfast.core.typing import Array, Shape
from nnfast.graph.architecture import Architecture, Node
from nnfast.layers import (
    GRU,
    LSTM,
    BatchNormalization,
    Bidirectional,
    Dense,
    Embedding,
    Flatten,
    Input,
    MultiHeadAttention,
    Reshape,
    SimpleRNN,
)
from nnfast.layers.convolution import _Convolution

__all__ = ["flattened_shapes", "reordered"]


class _Flow(NamedTuple):
    """What is known of a tensor."""

    channels_first: bool
    """Whether PyTorch has its channels before the other axes."""
    shape: Shape | None = None
    """That of a row before it was flattened, if that was in another order in PyTorch."""


def flattened_shapes(architecture: Architecture) -> dict[str, Shape]:
    """For layers whose input was flattened from channels-first images or sequences, the shape of a row before.

    Images are channels first from the input on, sequences from a convolution on.

    Raises
    ------
    ValueError
        If a layer mixes flattened rows with others, so that their order is lost.
    """
    _, shapes, _ = architecture.infer()
    flows: dict[str, _Flow] = {}
    found: dict[str, Shape] = {}
    for node in architecture.nodes:
        sources = [flows[node_of(name)] for name in node.inputs]
        rows = [shapes[name] for name in node.inputs]
        if sources and sources[0].shape is not None and isinstance(node.layer, Dense | BatchNormalization):
            found[node.layer.place] = sources[0].shape
        flows[node.name] = _flow(node, sources, rows, shapes)
    return found


def _flow(node: Node, sources: list[_Flow], rows: list[Shape], shapes: Any) -> _Flow:
    layer, shape = node.layer, shapes[node.name]
    if isinstance(layer, Input):
        return _Flow(len(shape) == 3)
    if isinstance(layer, _Convolution):
        return _Flow(True)
    if isinstance(layer, Dense | Embedding | LSTM | GRU | SimpleRNN | Bidirectional | MultiHeadAttention):
        return _Flow(False)
    if isinstance(layer, Flatten | Reshape) and len(shape) == 1:
        if len(rows[0]) > 1:
            moves = sources[0].channels_first and rows[0][-1] > 1 and any(size > 1 for size in rows[0][:-1])
            return _Flow(False, rows[0] if moves else None)
        return sources[0]
    if not sources:
        return _Flow(False)
    flat = {source.shape for source in sources}
    if flat == {None}:
        return _Flow(any(source.channels_first for source in sources))
    if len(flat) > 1 or shape != rows[0]:
        raise ValueError(
            f"{node.name}: expected flattened images to go to a Dense layer, got them in a {type(layer).__name__}, "
            "behind which their order is not known; pass channels_first=False and permute the rows yourself"
        )
    return sources[0]


def reordered(values: Array, shape: Shape) -> Array:
    """Values along a flattened axis, the first one, from PyTorch's order, channels first, to that of `shape`."""
    *spatial, channels = shape
    axes = [*range(1, len(shape)), 0, *range(len(shape), len(shape) + values.ndim - 1)]
    moved = values.reshape(channels, *spatial, *values.shape[1:]).transpose(axes)
    return np.ascontiguousarray(moved).reshape(values.shape)
