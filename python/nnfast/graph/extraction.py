"""Extraction of a part of a network as a separate network."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nnfast.core.options import choose
from nnfast.core.tensor import batch_shape, node_of
from nnfast.core.text import short_repr
from nnfast.core.typing import Shape, Unbatched
from nnfast.graph.architecture import Architecture, Node, copied
from nnfast.graph.ends import Ends
from nnfast.layers import Input
from nnfast.layers.base import Layer

if TYPE_CHECKING:
    from nnfast.network import Network

__all__ = ["extracted"]


def extracted(network: Network, outputs: Any, inputs: Any = None) -> Network:
    """The network between the named layers; see `Network.extract`."""
    architecture, untied = _part(network.architecture, outputs, inputs)
    part = type(network).from_architecture(architecture, network.seed, network.dtype, network.name)
    part.seed_given = network.seed_given
    origins = {name: untied.get(name, name) for name in part.parameters}
    with network.parameters.reading("extract"):
        whole, frozen = network.parameters, set(network.frozen)
        values = {name: whole[origin].T if name in untied else whole[origin] for name, origin in origins.items()}
        part.set_state(values, {name for name, origin in origins.items() if origin in frozen})
    return part


def _part(architecture: Architecture, outputs: Any, inputs: Any) -> tuple[Architecture, dict[str, str]]:
    """The part that the named calls need, with copies of its layers, and the origins of kernels that are untied."""
    _, shapes, _ = architecture.infer()
    calls = {node.name for node in architecture.nodes}
    known = [name for name in shapes if node_of(name) in calls]
    ends = _ends("outputs", outputs, known)
    begins = architecture.inputs if inputs is None else _ends("inputs", inputs, known)
    nodes, read = _needed(architecture.nodes, ends.names, begins.names)
    if inputs is None:
        begins = begins.among(read)
    else:
        _require_ends(begins.names, nodes, read, shapes)
        _require_no_masks(begins.names, architecture)
    copies = copied({node.layer.place: node.layer for node in nodes}.values())
    untied = _untie(copies)
    # A layer's first call has the parameters, and the layer's name.
    firsts: dict[str, str] = {}
    for node in nodes:
        firsts.setdefault(node.layer.place, node.name)
    renamed = {name: place for place, name in firsts.items()}
    entries = _entries(architecture, begins.names, shapes, copies)

    def name_of(output: str) -> str:
        if output in entries:
            return entries[output].place
        node = node_of(output)
        return renamed.get(node, node) + output.removeprefix(node)

    made = [Node(entry.place, entry, ()) for entry in entries.values()]
    for node in nodes:
        made.append(Node(name_of(node.name), copies[node.layer.place], tuple(map(name_of, node.inputs))))
    begins = begins._replace(names=tuple(map(name_of, begins.names)))
    return Architecture(tuple(made), begins, ends._replace(names=tuple(map(name_of, ends.names)))), untied


def _ends(kind: str, given: Any, known: list[str]) -> Ends:
    names = list(given.values()) if isinstance(given, Mapping) else given
    names = list(names) if isinstance(names, list | tuple) else [names]
    if not names:
        raise ValueError(f"extract: expected the name of one layer or more, got none; valid names: {', '.join(known)}")
    for name in names:
        choose("layer", name, known)
    if len(set(names)) != len(names):
        raise ValueError(f"extract: expected layers that differ, got {short_repr(names)}")
    if isinstance(given, Mapping) and not all(isinstance(key, str) and key for key in given):
        raise TypeError(f"extract: expected texts as keys of {kind}, got {short_repr(list(given))}")
    return Ends.of(given, names)


def _needed(nodes: Iterable[Node], outputs: Iterable[str], inputs: Collection[str]) -> tuple[list[Node], set[str]]:
    """The nodes on which outputs depend, as far as the inputs, in order, and the tensors that are read."""
    read, found = set(outputs), []
    needed = {node_of(name) for name in read if name not in inputs}
    for node in reversed(tuple(nodes)):
        if node.name in needed:
            read.update(node.inputs)
            needed.update(node_of(name) for name in node.inputs if name not in inputs)
            found.append(node)
    return found[::-1], read


def _require_ends(
    inputs: Iterable[str], nodes: Iterable[Node], read: Collection[str], shapes: Mapping[str, Shape]
) -> None:
    """Raise a ValueError unless the inputs, and no others, are what the outputs depend on."""
    for name in inputs:
        if name not in read:
            raise ValueError(
                f"extract: expected outputs to depend on all inputs, got {name!r}, which none of them needs; leave it "
                "out"
            )
        if isinstance(shapes[name], Unbatched):
            raise ValueError(
                f"extract: expected inputs with the batch axis, got {name!r} of shape {batch_shape(shapes[name])}; "
                "begin at a layer after it"
            )
    for node in nodes:
        if isinstance(node.layer, Input):
            raise ValueError(
                f"extract: expected outputs to depend on inputs= and on nothing else, but they depend on {node.name!r} "
                "too; add it to inputs="
            )


def _require_no_masks(inputs: Iterable[str], architecture: Architecture) -> None:
    masks = architecture.expand().masks
    for name in inputs:
        if name in masks:
            maker = masks[name].partition(".")[0]
            raise ValueError(
                f"extract: expected inputs without a mask, got {name!r} with the mask of {maker!r}, which an input has "
                f"not: padding would count; begin before {maker!r}"
            )


def _entries(
    architecture: Architecture, inputs: Sequence[str], shapes: Mapping[str, Shape], copies: Mapping[str, Layer]
) -> dict[str, Layer]:
    """An Input for each tensor at which the part begins, by the name of the tensor."""
    by_name = {node.name: node.layer for node in architecture.nodes}
    taken, made = set(copies), dict[str, Layer]()
    for name in inputs:
        layer = by_name.get(name)
        dtype = layer.dtype if isinstance(layer, Input) else None
        place = re.sub("[:#]", "_", name)
        while place in taken:
            place += "_input"
        taken.add(place)
        made[name] = Input(shapes[name], dtype=dtype, name=place)
    return made


def _untie(layers: Mapping[str, Layer]) -> dict[str, str]:
    """Untie layers whose partner is not among these; returns whose transpose each such kernel is, by full name."""
    origins = {}
    for place, layer in layers.items():
        tie = layer.tied_parameter
        if tie is not None and tie.partition(".")[0] not in layers:
            origins[f"{place}.kernel"] = tie
            layer.tied_to = None
    return origins
