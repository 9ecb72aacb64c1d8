"""Extraction of a part of a network as a separate network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nnfast.core.options import choose
from nnfast.core.tensor import node_of
from nnfast.core.text import short_repr
from nnfast.graph.architecture import Architecture, Node, copied
from nnfast.graph.ends import Ends
from nnfast.layers.base import Layer

if TYPE_CHECKING:
    from nnfast.network import Network

__all__ = ["extracted"]


def extracted(network: Network, outputs: Any) -> Network:
    """The network that ends at the named layers; see `Network.extract`."""
    architecture, untied = _part(network.architecture, outputs)
    part = type(network).from_architecture(architecture, network.seed, network.dtype, network.name)
    part.seed_given = network.seed_given
    origins = {name: untied.get(name, name) for name in part.parameters}
    with network.parameters.reading("extract"):
        whole, frozen = network.parameters, set(network.frozen)
        values = {name: whole[origin].T if name in untied else whole[origin] for name, origin in origins.items()}
        part.set_state(values, {name for name, origin in origins.items() if origin in frozen})
    return part


def _part(architecture: Architecture, outputs: Any) -> tuple[Architecture, dict[str, str]]:
    """The part that the named calls need, with copies of its layers, and the origins of kernels that are untied."""
    _, shapes, _ = architecture.infer()
    calls = {node.name for node in architecture.nodes}
    ends = _ends(outputs, [name for name in shapes if node_of(name) in calls])
    nodes = _needed(architecture.nodes, ends.names)
    copies = copied({node.layer.place: node.layer for node in nodes}.values())
    untied = _untie(copies)
    # A layer's first call has the parameters, and the layer's name.
    firsts: dict[str, str] = {}
    for node in nodes:
        firsts.setdefault(node.layer.place, node.name)
    renamed = {name: place for place, name in firsts.items()}

    def name_of(output: str) -> str:
        node = node_of(output)
        return renamed.get(node, node) + output.removeprefix(node)

    made = tuple(Node(name_of(node.name), copies[node.layer.place], tuple(map(name_of, node.inputs))) for node in nodes)
    inputs = architecture.inputs.among({node.name for node in nodes})
    return Architecture(made, inputs, ends._replace(names=tuple(map(name_of, ends.names)))), untied


def _ends(outputs: Any, known: list[str]) -> Ends:
    names = list(outputs.values()) if isinstance(outputs, Mapping) else outputs
    names = list(names) if isinstance(names, list | tuple) else [names]
    if not names:
        raise ValueError(f"extract: expected the name of one layer or more, got none; valid names: {', '.join(known)}")
    for name in names:
        choose("layer", name, known)
    if len(set(names)) != len(names):
        raise ValueError(f"extract: expected layers that differ, got {short_repr(names)}")
    if isinstance(outputs, Mapping) and not all(isinstance(key, str) and key for key in outputs):
        raise TypeError(f"extract: expected texts as keys of outputs, got {short_repr(list(outputs))}")
    return Ends.of(outputs, names)


def _needed(nodes: Iterable[Node], names: Iterable[str]) -> list[Node]:
    """The nodes with these outputs and all that they depend on, in the order in which they run."""
    needed, found = {node_of(name) for name in names}, []
    for node in reversed(tuple(nodes)):
        if node.name in needed:
            needed.update(map(node_of, node.inputs))
            found.append(node)
    return found[::-1]


def _untie(layers: Mapping[str, Layer]) -> dict[str, str]:
    """Untie layers whose partner is not among these; returns whose transpose each such kernel is, by full name."""
    origins = {}
    for place, layer in layers.items():
        tie = layer.tied_parameter
        if tie is not None and tie.partition(".")[0] not in layers:
            origins[f"{place}.kernel"] = tie
            layer.tied_to = None
    return origins
