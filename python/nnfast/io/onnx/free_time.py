"""Graphs for sequences of any length.

Layers have shapes that are known, and converters write some of their sizes into the graph. Whether a graph holds for
other lengths is found by comparison: the network is converted for two lengths, and what differs between both graphs
must be the length, plus or minus a constant, in a vector of integers, such as a shape. There, the graph computes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import zip_longest
from typing import NamedTuple

import numpy as np

from nnfast.core.typing import Shape, Unbatched
from nnfast.graph.architecture import Architecture, Node
from nnfast.graph.expansion import Expansion
from nnfast.io.onnx.builder import GraphBuilder
from nnfast.io.onnx.messages import Dimension, ValueInfoProto
from nnfast.layers import Input, Operation
from nnfast.network import Network

__all__ = ["graph_for_any_length"]

_WHERE = "export_onnx"
_EXPECTED = "expected layers that take any number of steps, with dynamic_time=True"
_LEAST = 2
"""Steps in a conversion: a single one may be taken for an axis that is broadcast."""


class _Length(NamedTuple):
    """The number of steps of an input, in two conversions."""

    input: str
    symbol: str
    first: int
    second: int

    def fits(self, a: int, b: int) -> bool:
        """Whether a size is this length, plus or minus a constant."""
        return a - b == self.first - self.second


def graph_for_any_length(network: Network, convert: Callable[[Expansion], GraphBuilder]) -> GraphBuilder:
    """The graph of a network whose sequences may have any length.

    Parameters
    ----------
    network : Network
    convert : callable
        From a graph of the core to one of ONNX, equal constants of which stay apart.

    Raises
    ------
    ValueError
        If a layer needs the length that it has; it is named.
    """
    shapes = dict(zip(network.architecture.inputs.names, network._input_shapes, strict=True))
    timed = [name for name in shapes if _has_time(network, name, shapes[name])]
    if not timed:
        raise ValueError(
            f"{_WHERE}: expected inputs of shape (T, D), or (T,) for token ids, with dynamic_time=True, got "
            f"{list(shapes.values())}; leave it out"
        )
    problem: ValueError | None = None
    for lengths in _candidates(timed, [shapes[name][0] for name in timed]):
        try:
            return _for_lengths(network, lengths, convert)
        except ValueError as error:  # another pair may do: a table of positions is cut only where it is longer
            problem = problem or error
    raise problem or _unfit(timed[0])


def _for_lengths(
    network: Network, lengths: Sequence[_Length], convert: Callable[[Expansion], GraphBuilder]
) -> GraphBuilder:
    first, second = (
        _expanded(network, {x.input: x.first for x in lengths}),
        _expanded(network, {x.input: x.second for x in lengths}),
    )
    _refuse_slices(network, first, second)
    graph = convert(first)
    _unite(graph, convert(second), lengths)
    return graph


def _has_time(network: Network, name: str, shape: Shape) -> bool:
    layer = network.architecture.by_name[name]
    return len(shape) == 2 or (len(shape) == 1 and isinstance(layer, Input) and layer.dtype is not None)


def _candidates(timed: Sequence[str], lengths: Sequence[int]) -> Iterator[list[_Length]]:
    """Pairs of lengths to try: shorter, because tables of positions end, or longer; each input with its own, or one."""
    for shared in (False, True):
        if shared and (len(timed) == 1 or len(set(lengths)) > 1):
            return
        for offset, sign in ((0, -1), (-1, -1), (0, 1)):
            made = []
            for i, (name, length) in enumerate(zip(timed, lengths, strict=True)):
                symbol = "T" if shared or len(timed) == 1 else f"T_{name}"
                # The differences tell the inputs apart.
                step = sign if shared else sign * (i + 1)
                made.append(_Length(name, symbol, length + offset, length + offset + step))
            if min(x.second for x in made) >= _LEAST:
                yield made


def _expanded(network: Network, lengths: dict[str, int]) -> Expansion:
    """The graph of the core for other lengths, with the same parameters."""
    architecture = network.architecture
    nodes = []
    for node in architecture.nodes:
        layer = node.layer
        if isinstance(layer, Input) and node.name in lengths:
            layer = Input((lengths[node.name], *layer.shape[1:]), dtype=layer.dtype)
            layer.take_name(node.name)
        nodes.append(Node(node.name, layer, node.inputs))
    other = Architecture(tuple(nodes), architecture.inputs, architecture.outputs, architecture.losses)
    try:
        expansion = other.expand()
    except ValueError as error:
        raise ValueError(f"{_WHERE}: {_EXPECTED}, but with others: {error}") from error
    for name, shape in expansion.parameters.items():
        own = network.parameters[name].shape
        if tuple(shape) != own:
            raise _unfit(name.rpartition(".")[0])
    return expansion


def _refuse_slices(network: Network, first: Expansion, second: Expansion) -> None:
    """Raise an error for slices of steps: where they end has been computed for one length, by nf.ops."""
    for node in network.architecture.nodes:
        spec = node.layer.spec([]) if isinstance(node.layer, Operation) else {}
        if spec.get("op") == "slice" and 1 in spec["axes"]:
            before, after = (expansion.shapes[node.inputs[0]] for expansion in (first, second))
            if not isinstance(before, Unbatched) and before[0] != after[0]:
                raise _unfit(node.name)


# ---- comparison ------------------------------------------------------------------


def _unite(first: GraphBuilder, second: GraphBuilder, lengths: Sequence[_Length]) -> None:
    """Put computed lengths into the first graph wherever both differ."""
    for a, b in zip_longest(first.nodes, second.nodes):
        if a is None or b is None or a.serialize() != b.serialize():
            raise _unfit((a or b).name)
    computed = {}
    for name, x, y in first.differing_constants(second):
        if x is None or y is None or x.dtype != np.int64 or x.shape != y.shape or x.ndim != 1:
            raise _unfit(name)
        sizes = [_size_of(name, *pair, lengths) for pair in zip(x.tolist(), y.tolist(), strict=True)]
        computed[name] = partial(_parts, first, sizes)
    first.replace_constants(computed)
    for value, other in zip([*first.inputs, *first.outputs], [*second.inputs, *second.outputs], strict=True):
        _name_sizes(value, other, lengths)


def _unfit(name: str) -> ValueError:
    layer = name.rpartition("/")[0] or name
    return ValueError(
        f"{_WHERE}: {_EXPECTED}, got {layer!r}, which needs the number that it has; leave dynamic_time out"
    )


def _size_of(name: str, a: int, b: int, lengths: Sequence[_Length]) -> tuple[_Length | None, int]:
    """A length and what is added to it, or None and a number."""
    if a == b:
        return None, a
    for length in lengths:
        if length.fits(a, b):
            return length, a - length.first
    raise _unfit(name)


def _parts(graph: GraphBuilder, sizes: Sequence[tuple[_Length | None, int]]) -> list[str]:
    """Vectors of one integer each."""
    made = []
    for length, number in sizes:
        part = "" if length is None else graph.op("Shape", length.input, start=1, end=2)
        if number or not part:
            constant = graph.integers([number])
            part = graph.op("Add", part, constant) if part else constant
        made.append(part)
    return made


def _name_sizes(value: ValueInfoProto, other: ValueInfoProto, lengths: Sequence[_Length]) -> None:
    """Names instead of sizes that differ, in the type of an input or output."""
    for axis, (a, b) in enumerate(zip(_dims(value), _dims(other), strict=True)):
        if a.dim_value != b.dim_value:
            known = [x.symbol for x in lengths if (x.first, x.second) == (a.dim_value, b.dim_value)]
            own = [x.symbol for x in lengths if x.input == value.name]
            del a.dim_value
            a.dim_param = next(iter(own + known), f"{value.name}_{axis}")


def _dims(value: ValueInfoProto) -> Sequence[Dimension]:
    kind = value.type.tensor_type if value.type is not None else None
    return kind.shape.dim if kind is not None and kind.shape is not None else ()
