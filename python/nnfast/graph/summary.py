"""Summaries of networks: layers, shapes and numbers of parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

from nnfast.core.tensor import batch_shape, node_of
from nnfast.core.typing import Array, Shape
from nnfast.graph.architecture import Architecture
from nnfast.layers import Input, Layer

__all__ = ["Summary", "is_chain", "kind_of", "sizes_of_layers", "summary"]


class Summary(NamedTuple):
    """What `Network.summary` says."""

    columns: list[str]
    rows: list[list[str]]
    total: str
    """The numbers of parameters."""


def summary(
    architecture: Architecture,
    parameters: Mapping[str, Array],
    trainable: Iterable[str],
    statistics: Collection[str],
) -> Summary:
    """The rows of `Network.summary`, of which column 2 is of numbers."""
    _, shapes, _ = architecture.infer()
    chain = is_chain(architecture)
    columns = ["Layer", "Output shape", "Parameters"] + ([] if chain else ["Connected to"])
    sizes = sizes_of_layers(parameters)
    outputs_of: dict[str, list[Shape]] = {}
    for name, shape in shapes.items():
        outputs_of.setdefault(node_of(name), []).append(shape)
    rows = []
    for node in architecture.nodes:
        outputs = ", ".join(map(batch_shape, outputs_of[node.name]))
        row = [f"{node.name} ({kind_of(node.layer)})", outputs, f"{sizes[node.name]:,}"]
        rows.append(row if chain else [*row, ", ".join(node.inputs)])
    constant = [name for name in statistics if name.endswith(".value")]
    moving = [name for name in statistics if name not in constant]
    trained, moved, fixed = (sum(parameters[name].size for name in names) for names in (trainable, moving, constant))
    averages = f", moving averages {moved:,}" if moved else ""
    averages += f", constants {fixed:,}" if fixed else ""
    total = sum(view.size for view in parameters.values())
    size = sum(view.nbytes for view in parameters.values())
    text = (
        f"Parameters: {total:,} ({size:,} bytes), trainable {trained:,}, "
        f"frozen {total - trained - moved - fixed:,}{averages}"
    )
    return Summary(columns, rows, text)


def is_chain(architecture: Architecture) -> bool:
    """Whether each call has the one before as its input."""
    return all(node.inputs == (before.name,) for before, node in pairwise(architecture.nodes))


def sizes_of_layers(parameters: Mapping[str, Array]) -> Counter[str]:
    """Numbers of parameters by the name of the layer."""
    sizes: Counter[str] = Counter()
    for name, view in parameters.items():
        sizes[name.partition(".")[0]] += view.size
    return sizes


def kind_of(layer: Layer) -> str:
    """The class of a layer, and an input's dtype."""
    dtype = layer.dtype if isinstance(layer, Input) else None
    return type(layer).__name__ + (f", {dtype}" if dtype else "")
