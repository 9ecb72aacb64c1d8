"""A network as text: what it is made of, and what the core runs."""

from __future__ import annotations

from nnfast.network import Network
from nnfast.table import Table, format_table
from nnfast.typing import Shape

__all__ = ["describe", "summary"]


def summary(network: Network) -> str:
    """The text of `Network.summary`."""
    architecture = network.architecture
    _, shapes, _ = architecture.infer()
    chain = all(
        names == (before.name,) for names, before in zip(architecture.inputs[1:], architecture.layers, strict=False)
    )
    columns = ["Layer", "Output shape", "Parameters"] + ([] if chain else ["Connected to"])
    rows = []
    for layer, inputs in zip(architecture.layers, architecture.inputs, strict=True):
        size = sum(view.size for name, view in network.parameters.items() if name.startswith(f"{layer.name}."))
        row = [f"{layer.name} ({type(layer).__name__})", _rows(shapes[layer.place]), f"{size:,}"]
        rows.append(row if chain else [*row, ", ".join(inputs)])
    trainable, moving = (
        sum(network.parameters[name].size for name in names) for names in (network.trainable, network.statistics)
    )
    averages = f", moving averages {moving:,}" if moving else ""
    total = network.num_parameters
    size = total * (4 if network.dtype == "float32" else 8)
    return "\n".join(
        [
            f"{network.name} ({network.dtype})",
            format_table(columns, rows, right=[2]),
            f"Parameters: {total:,} ({size:,} bytes), trainable {trainable:,}, "
            f"frozen {total - trainable - moving:,}{averages}",
        ]
    )


def describe(network: Network) -> Table:
    """The table of `Network.describe`, for one row at a time."""
    return Table(network.plan(1).describe())


def _rows(shape: Shape) -> str:
    return f"(N{''.join(f', {size}' for size in shape)})"
