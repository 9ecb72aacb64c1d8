"""What files that nnfast wrote say about the network they come from: its architecture, and where its parameters are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from nnfast.core.options import integer
from nnfast.graph.architecture import Architecture
from nnfast.io.container import parse_json
from nnfast.io.custom_objects import names_to_keep, require_custom_objects
from nnfast.io.network_file import describe, json_text
from nnfast.io.onnx.messages import ModelProto, StringStringEntryProto
from nnfast.io.onnx.storage import Step, restored
from nnfast.io.onnx.tensors import to_array
from nnfast.network import Network

__all__ = ["ARCHITECTURE", "OPTIONS", "PARAMETERS", "network_of", "properties"]

ARCHITECTURE: Final = "nnfast.architecture"
"""Key of the metadata with everything about the network but its parameters, as JSON."""
PARAMETERS: Final = "nnfast.parameters"
"""Key with, for each parameter, the initializer that holds it and the steps that give it back, as JSON."""
OPTIONS: Final = "nnfast.export"
"""Key with the options of `export_onnx`, as JSON."""
_DTYPES: Final = ("float32", "float64")


def properties(
    network: Network, recipes: Mapping[str, tuple[str, Sequence[Step]]], options: Mapping[str, Any]
) -> list[StringStringEntryProto]:
    """The metadata of a file."""
    description = describe(network, names_to_keep(network.layers))
    entries: dict[str, Mapping[str, Any]] = {ARCHITECTURE: description, PARAMETERS: recipes, OPTIONS: options}
    return [StringStringEntryProto(key=key, value=json_text(value)) for key, value in entries.items()]


def network_of(model: ModelProto, custom_objects: Mapping[str, Any]) -> Network | None:
    """The network that a file was written from.

    Returns
    -------
    Network or None
        None if nnfast did not write the file, or if the graph has been changed since: it is compared with that of the
        network that the metadata describe.

    Raises
    ------
    ValueError
        If the metadata are damaged, or a custom class is missing.

    Notes
    -----
    The metadata are not trusted: only layers of nnfast and classes in `custom_objects` are made, and parameters are
    compared with the architecture before memory is allocated for the network.
    """
    entries = {entry.key: entry.value for entry in model.metadata_props}
    if not {ARCHITECTURE, PARAMETERS, OPTIONS} <= entries.keys() or model.graph is None:
        return None
    try:
        description, recipes, options = (parse_json(entries[key]) for key in (ARCHITECTURE, PARAMETERS, OPTIONS))
        network = _network(model, description, recipes, custom_objects)
        return network if network is not None and _is_graph_of(network, model, options) else None
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"metadata of the model: {error}") from error


def _network(
    model: ModelProto, description: Mapping[str, Any], recipes: Mapping[str, Any], custom_objects: Mapping[str, Any]
) -> Network | None:
    name, dtype, frozen = description["name"], description["dtype"], description["frozen"]
    if not isinstance(name, str) or dtype not in _DTYPES or not isinstance(frozen, list):
        raise ValueError("expected name, dtype and frozen parameters of the network")
    seed = integer("network", "seed", description["seed"], minimum=0)
    require_custom_objects(description.get("custom_objects", []), custom_objects)
    architecture = Architecture.from_description(description, custom_objects)
    _, _, shapes = architecture.infer()
    if set(recipes) != set(shapes) or not set(frozen) <= set(shapes):
        raise ValueError(f"expected the parameters {sorted(shapes)}, got {sorted(recipes)}")
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer} if graph is not None else {}
    if any(initializer not in tensors for initializer, _ in recipes.values()):
        return None
    values = {}
    for parameter, (initializer, steps) in recipes.items():
        values[parameter] = restored(to_array(tensors[initializer]), steps)
        if values[parameter].shape != tuple(shapes[parameter]) or values[parameter].dtype.name != dtype:
            return None
    network = Network.from_architecture(architecture, seed, dtype, name)
    network.set_state(values, frozen)
    return network


def _is_graph_of(network: Network, model: ModelProto, options: Mapping[str, Any]) -> bool:
    """Whether the file has the graph that the export of a network makes."""
    # Imported here, because most files are not from nnfast, and the converters are many.
    from nnfast.io.onnx.export import model_of

    if not set(options) <= {"opset", "input_layout", "output_layout", "input_dtype", "dynamic_time"}:
        return False
    made = model_of(network, **options).graph
    return made is not None and model.graph is not None and made.serialize() == model.graph.serialize()
