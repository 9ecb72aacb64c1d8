"""Summaries of networks as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from nnfast.core.table import format_table
from nnfast.core.tensor import batch_shape, node_of
from nnfast.core.typing import Array, Shape
from nnfast.graph.architecture import Architecture
from nnfast.layers import Input, Layer

__all__ = ["summary"]


def summary(
    title: str,
    architecture: Architecture,
    parameters: Mapping[str, Array],
    trainable: Iterable[str],
    statistics: Collection[str],
) -> str:
    """The text of `Network.summary`."""
    _, shapes, _ = architecture.infer()
    chain = all(
        node.inputs == (before.name,) for before, node in zip(architecture.nodes, architecture.nodes[1:], strict=False)
    )
    columns = ["Layer", "Output shape", "Parameters"] + ([] if chain else ["Connected to"])
    sizes: Counter[str] = Counter()
    for name, view in parameters.items():
        sizes[name.partition(".")[0]] += view.size
    outputs_of: dict[str, list[Shape]] = {}
    for name, shape in shapes.items():
        outputs_of.setdefault(node_of(name), []).append(shape)
    rows = []
    for node in architecture.nodes:
        outputs = ", ".join(map(batch_shape, outputs_of[node.name]))
        row = [f"{node.name} ({_kind(node.layer)})", outputs, f"{sizes[node.name]:,}"]
        rows.append(row if chain else [*row, ", ".join(node.inputs)])
    constant = [name for name in statistics if name.endswith(".value")]
    moving = [name for name in statistics if name not in constant]
    trained, moved, fixed = (sum(parameters[name].size for name in names) for names in (trainable, moving, constant))
    averages = f", moving averages {moved:,}" if moved else ""
    averages += f", constants {fixed:,}" if fixed else ""
    total = sum(view.size for view in parameters.values())
    size = sum(view.nbytes for view in parameters.values())
    return "\n".join(
        [
            title,
            format_table(columns, rows, right=[2]),
            f"Parameters: {total:,} ({size:,} bytes), trainable {trained:,}, "
            f"frozen {total - trained - moved - fixed:,}{averages}",
        ]
    )


def _kind(layer: Layer) -> str:
    dtype = layer.dtype if isinstance(layer, Input) else None
    return type(layer).__name__ + (f", {dtype}" if dtype else "")
