"""Architectures: the layers of a network and their connections, without parameter values, and their form as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nnfast import initializers
from nnfast.core.arrays import IntegerRange, require_finite
from nnfast.core.options import choose, custom_classes, custom_function, from_config
from nnfast.core.tensor import Tensor, ancestors, call_names, output_name
from nnfast.core.text import short_repr
from nnfast.core.typing import Array, Shape, Spec
from nnfast.graph.ends import Ends, known_output
from nnfast.graph.expansion import Expansion
from nnfast.initializers import Initializer
from nnfast.layers import CLASSES, Embedding, Flatten, Input, Lambda, Layer, Reshape
from nnfast.layers.composition import assign_names

if TYPE_CHECKING:
    from nnfast.network import Network

__all__ = ["Architecture", "Node", "copied", "free_after_an_error"]

_MAX_LAYERS = 10_000
_MAX_DEPTH = 10
"""Of layers around layers."""


class Node(NamedTuple):
    """One call of a layer."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]

    @property
    def is_first(self) -> bool:
        """Whether this is the first call of the layer, which has the parameters that later calls share."""
        return self.name == self.layer.place


class Architecture:
    """The calls of layers in execution order, and the inputs and outputs of the network."""

    # Data classes would be shorter, here and elsewhere, but each takes longer to define than a small module to import.
    __slots__ = ("by_name", "inputs", "integer_inputs", "losses", "nodes", "outputs")

    def __init__(self, nodes: tuple[Node, ...], inputs: Ends, outputs: Ends, losses: tuple[str, ...] = ()) -> None:
        _require_few(len(nodes))
        self.nodes = nodes
        self.inputs = inputs
        self.outputs = outputs
        self.losses = losses
        """The tensors whose means are added to the loss, besides those of composed layers."""
        self.by_name: dict[str, Layer] = {node.layer.place: node.layer for node in nodes}
        self.integer_inputs: dict[str, IntegerRange] = _integer_inputs(nodes)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Each layer once."""
        return tuple(self.by_name.values())

    @classmethod
    def from_chain(cls, layers: Iterable[Layer]) -> Architecture:
        """A sequence of layers that starts with an Input."""
        if not isinstance(layers, Iterable):
            raise TypeError(f"Network: expected a list of layers, got {layers!r}; write Network([...])")
        chain = list(layers)
        for layer in chain:
            if isinstance(layer, type):
                raise TypeError(
                    f"Network: expected layers, got the class {layer.__name__}; write {layer.__name__}(...)"
                )
            if not isinstance(layer, Layer):
                raise TypeError(f"Network: expected layers, got {layer!r}; see nnfast.layers")
        if not chain or not isinstance(chain[0], Input):
            first = f"{chain[0]!r} first" if chain else "no layers"
            raise ValueError(
                f"Network: expected layers.Input(shape) as the first layer, got {first}; put one before all "
                "others, with the shape of one row of the data, such as layers.Input((784,))"
            )
        assign_names(chain)
        tensor: Any = chain[0]
        for layer in chain[1:]:
            if isinstance(layer, Input):
                raise ValueError("Network: expected one Input, first in the list; remove the other")
            tensor = layer(tensor)
        ends = Ends.tensors(tensor, "outputs")
        return cls._from_tensors([chain[0]], Ends((chain[0].place,), single=True), ends, tensor)

    @classmethod
    def from_tensors(cls, inputs: Any, outputs: Any, losses: Sequence[Tensor] = ()) -> Architecture:
        """The graph between input and output tensors: one of each, or lists, tuples or dicts of them."""
        entries, ends = Ends.tensors(inputs, "inputs"), Ends.tensors(outputs, "outputs")
        for tensor in entries:
            if not isinstance(tensor, Input):
                raise ValueError(f"Network: expected inputs to be of layers.Input, got {tensor!r}")
        calls = ancestors([*ends, *losses])
        sources = [tensor for tensor in calls if isinstance(tensor, Input)]
        for tensor in sources:
            if not any(tensor is entry for entry in entries):
                raise ValueError(
                    f"Network: expected outputs to depend on inputs and on nothing else, but they depend on {tensor!r} "
                    "too; add it to inputs="
                )
        for tensor in entries:
            if not any(tensor is source for source in sources):
                raise ValueError(
                    f"Network: expected outputs to depend on all inputs, got {tensor!r}, which none of them needs; "
                    "leave it out"
                )
        assign_names([*(entry.layer for entry in entries), *(tensor.layer for tensor in calls)])
        named = Ends.of(inputs, [entry.layer.place for entry in entries])
        return cls._from_tensors(entries, named, ends, outputs, losses)

    @classmethod
    def of_function(cls, arguments: list[Input], value: Tensor) -> Architecture:
        """The graph of a function: of its first argument, the others that it uses, and its value."""
        calls = ancestors([value])
        for tensor in calls:
            if isinstance(tensor, Input) and not any(tensor is argument for argument in arguments):
                raise ValueError(
                    f"expected a function of its arguments, got one that depends on {tensor!r} too; pass it as a "
                    "target, or use net.add_loss"
                )
        entries = [arguments[0], *(a for a in arguments[1:] if any(tensor is a for tensor in calls))]
        assign_names([*(entry.layer for entry in entries), *(tensor.layer for tensor in calls)])
        return cls._from_tensors(list(entries), Ends.of(entries, [e.layer.place for e in entries]), [value], value)

    @classmethod
    def _from_tensors(
        cls, entries: list[Tensor], inputs: Ends, ends: list[Tensor], outputs: Any, losses: Sequence[Tensor] = ()
    ) -> Architecture:
        names: dict[int, str] = {}
        nodes = []

        def name_of(tensor: Tensor) -> str:
            return output_name(names[id(tensor.first)], tensor.index)

        calls = [*entries, *(t for t in ancestors([*ends, *losses]) if not isinstance(t, Input))]
        for tensor, name in zip(calls, call_names(calls), strict=True):
            names[id(tensor)] = name
            nodes.append(Node(name, tensor.layer, tuple(name_of(source) for source in tensor.inputs)))
        outer = Ends.of(outputs, [name_of(end) for end in ends])
        return cls(tuple(nodes), inputs, outer, tuple(name_of(loss) for loss in losses))

    def copy(self) -> Architecture:
        """The same architecture with copies of the layers."""
        copies = copied(self.layers)
        nodes = tuple(node._replace(layer=copies[node.layer.place]) for node in self.nodes)
        return Architecture(nodes, self.inputs, self.outputs, self.losses)

    def join(self, network: Network) -> None:
        """Tell the layers that they belong to a network."""
        for layer in self.layers:
            layer.join(network)

    def infer(self) -> tuple[list[Spec], dict[str, Shape], dict[str, Shape]]:
        """The nodes of the core, the shape of one row of each tensor and of each parameter; allocates nothing."""
        expansion = self.expand()
        return expansion.nodes, expansion.shapes, expansion.parameters

    def expand(self) -> Expansion:
        """The graph of the core, with the parts of composed layers."""
        expansion = Expansion()
        for node in self.nodes:
            _require_outputs(node.name, node.inputs, expansion.shapes)
            expansion.add(node.name, node.layer, node.inputs)
        _require_outputs("Network", [*self.outputs.names, *self.losses], expansion.shapes)
        for source in self.losses:
            expansion.add_loss(source)
        return expansion

    def initialize(self, parameters: Mapping[str, Array], seed: int) -> None:
        """Write initial values to `parameters`, which are in the order of the layers."""
        for stream, (name, view) in enumerate(parameters.items()):
            layer, parameter = self.layer_of(name)
            source = layer.source_of(parameter)
            if source is not None:
                network, original = source
                with network.parameters.reading("copy"):
                    view[...] = network.parameters[original]
                continue
            try:
                initializer = initializers.get(layer.initializer(parameter))
                values = initializer.draw(view.shape, seed, stream, layer.fans(parameter, view.shape))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
            if values.shape != view.shape:
                raise ValueError(f"{name}: expected initial values of shape {view.shape}, got {values.shape}")
            with np.errstate(over="ignore"):
                view[...] = values
            require_finite(view, name)

    def layer_of(self, parameter: str) -> tuple[Layer, str]:
        """The layer of a parameter given by its full name, and the name of the parameter within the layer."""
        place, _, name = parameter.partition(".")
        return self.by_name[place], name

    def describe(self) -> dict[str, Any]:
        """The architecture as JSON values."""
        described: list[dict[str, Any]] = []
        for node in self.nodes:
            layer, made = node.layer, dict[str, Any]()
            if node.is_first:
                config = {key: value for key, value in layer.get_config().items() if key != "name"}
                made = {"class": type(layer).__name__, "config": config}
            else:
                made = {"layer": layer.place}
            described.append({"name": node.name, **made, "inputs": list(node.inputs)})
        several = {} if self.inputs.single else {"inputs": self.inputs.describe()}
        outputs = {"output" if self.outputs.single else "outputs": self.outputs.describe()}
        losses = {"losses": list(self.losses)} if self.losses else {}
        return {"layers": described, **several, **outputs, **losses}

    @classmethod
    def from_description(cls, description: Any, custom_objects: Mapping[str, Any]) -> Architecture:
        """Architecture from the output of `describe`. The description is not trusted: it is checked completely.

        Only layers of nnfast and classes in `custom_objects` are constructed.
        """
        entries = description.get("layers") if isinstance(description, dict) else None
        if not isinstance(entries, list) or not entries:
            raise ValueError("architecture: expected a list of layers")
        _require_few(len(entries))
        classes: dict[str, type[Layer]] = CLASSES | custom_classes(custom_objects, Layer)
        nodes: dict[str, Node] = {}
        for entry in entries:
            name, inputs = _checked_entry(entry, nodes)
            if "layer" in entry:
                layer = nodes[choose("layer", entry["layer"], nodes)].layer
                if name.partition(":")[0] != layer.place:
                    raise ValueError(f"architecture: expected {layer.place}:<number> for a further call, got {name!r}")
            else:
                layer = _layer_of(entry, classes, custom_objects)
                layer.take_name(name)
            nodes[name] = Node(name, layer, inputs)
        if "outputs" in description:
            outputs = Ends.from_description(description["outputs"], nodes, "output")
        else:
            outputs = Ends((known_output("output", description.get("output"), nodes),), single=True)
        entry_names = [name for name, node in nodes.items() if isinstance(node.layer, Input)]
        given = description.get("inputs", entry_names[0] if entry_names else None)
        ends = Ends.from_description(given, nodes, "input")
        if sorted(ends.names) != sorted(entry_names) or not isinstance(next(iter(nodes.values())).layer, Input):
            raise ValueError("architecture: expected its Inputs as inputs, one of them first in the list")
        losses = description.get("losses", [])
        if not isinstance(losses, list):
            raise ValueError(f"architecture: expected a list of losses, got {short_repr(losses)}")
        added = tuple(known_output("loss", name, nodes) for name in losses)
        return cls(tuple(nodes.values()), ends, outputs, added)


def _integer_inputs(nodes: Iterable[Node]) -> dict[str, IntegerRange]:
    """The inputs of integers, with the smallest table of those that are looked up by them."""
    ranges: dict[str, IntegerRange] = {}
    source: dict[str, str] = {}  # of tensors that hold an input's integers
    for node in nodes:
        layer = node.layer
        if isinstance(layer, Input) and layer.dtype is not None:
            ranges[node.name], source[node.name] = IntegerRange(), node.name
        elif node.inputs and node.inputs[0] in source:
            entry = source[node.inputs[0]]
            if isinstance(layer, Flatten | Reshape):
                source[node.name] = entry
            elif isinstance(layer, Embedding) and layer.input_dim < ranges[entry].stop:
                ranges[entry] = IntegerRange(layer.input_dim, layer.place)
    return ranges


def copied(layers: Iterable[Layer]) -> dict[str, Layer]:
    """Copies of layers by name; ties between layers are preserved among the copies."""
    copies = {layer.place: copy(layer) for layer in layers}
    for layer in copies.values():
        if layer.tied_parameter is not None:
            layer.tied_to = copies.get(layer.tied_parameter.rpartition(".")[0], layer.tied_to)
    return copies


def _require_outputs(where: str, names: Iterable[str], known: Mapping[str, Shape]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{where}: expected an output that its layer has, got {short_repr(name)}")


def _require_few(layers: int) -> None:
    # The core compares each name with all others, which would take minutes for the layers that a large file can hold.
    if layers > _MAX_LAYERS:
        raise ValueError(f"Network: expected at most {_MAX_LAYERS} layers, got {layers}")


def _layer_of(
    entry: dict[str, Any], classes: Mapping[str, type[Layer]], custom_objects: Mapping[str, Any], depth: int = 0
) -> Layer:
    """The layer of a description, with the layers that it is around."""
    own = _with_function(_with_own_parts(entry, custom_objects), custom_objects)
    if not isinstance(own.get("config"), Mapping):
        return from_config("layer class", own, classes)
    if depth > _MAX_DEPTH:
        raise ValueError(f"architecture: expected layers in at most {_MAX_DEPTH} others, got more")
    within = {
        key: _layer_of(value, classes, custom_objects, depth + 1)
        for key, value in own["config"].items()
        if isinstance(value, dict) and (key == "layer" or key.endswith("_layer"))
    }
    return from_config("layer class", {**own, "config": {**own["config"], **within}}, classes)


def _with_own_parts(entry: dict[str, Any], custom_objects: Mapping[str, Any] | None) -> dict[str, Any]:
    """The description of a layer with user-defined initializers and regularizers constructed.

    The layer constructs nnfast's own.
    """
    config = entry.get("config")
    if not custom_objects or not isinstance(config, Mapping):
        return entry
    initializers_of_user = custom_classes(custom_objects, Initializer)
    made: dict[str, Any] = {}
    for key, value in config.items():
        if not isinstance(value, Mapping):
            continue
        if value.get("class") in initializers_of_user:
            made[key] = from_config("initializer", value, initializers_of_user)
        elif key.endswith("_regularizer"):
            # Imported here, because most networks have none.
            from nnfast import regularizers

            made[key] = regularizers.get(value, custom_objects)
    return {**entry, "config": {**config, **made}}


def _with_function(entry: dict[str, Any], custom_objects: Mapping[str, Any] | None) -> dict[str, Any]:
    """The description of a layer with the function that a `Lambda` names."""
    config = entry.get("config")
    if entry.get("class") != Lambda.__name__ or not isinstance(config, Mapping):
        return entry
    function = custom_function(custom_objects, "function", config.get("function"))
    return {**entry, "config": {**config, "function": function}}


def _checked_entry(entry: Any, known: Mapping[str, Node]) -> tuple[str, tuple[str, ...]]:
    if not isinstance(entry, dict) or not isinstance(entry.get("inputs"), list):
        raise ValueError(f"architecture: expected a layer with its inputs, got {short_repr(entry)}")
    name = entry.get("name")
    if not isinstance(name, str) or name in known:
        raise ValueError(f"architecture: expected a new name of a layer, got {short_repr(name)}")
    return name, tuple(known_output(f"input of {name}", source, known) for source in entry["inputs"])


@contextmanager
def free_after_an_error(layers: Any) -> Iterator[None]:
    """A context that, after an error, restores a list of layers: names are not assigned, and no layer is in use."""
    chain = [layer for layer in layers if isinstance(layer, Layer)] if isinstance(layers, list | tuple) else []
    before = [vars(layer).copy() for layer in chain]
    try:
        yield
    except BaseException:
        for layer, attributes in zip(chain, before, strict=True):
            vars(layer).clear()
            vars(layer).update(attributes)
        raise
