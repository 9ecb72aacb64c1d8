"""What a network computes, apart from its numbers: its layers, how they are joined, and how that is written down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nnfast import initializers
from nnfast.core.arrays import require_finite
from nnfast.core.options import choose, from_config, own_classes
from nnfast.core.tensor import Tensor, ancestors
from nnfast.core.text import shown
from nnfast.core.typing import Array, Shape, Spec
from nnfast.initializers import Initializer
from nnfast.layers import CLASSES, CustomLayer, Input, Layer

if TYPE_CHECKING:
    from nnfast.network import Network

__all__ = ["Architecture", "free_after_an_error"]

_MOST_LAYERS = 10_000


@dataclass(frozen=True, slots=True)
class Architecture:
    """Layers in the order in which they run, the names of each one's inputs, and the name of the output."""

    layers: tuple[Layer, ...]
    inputs: tuple[tuple[str, ...], ...]
    output: str
    by_name: dict[str, Layer] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _require_few(len(self.layers))
        object.__setattr__(self, "by_name", {layer.place: layer for layer in self.layers})

    @classmethod
    def from_chain(cls, layers: Iterable[Layer]) -> Architecture:
        """Layers that stand one after the other, an Input first."""
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
        _assign_names(chain)
        tensor: Tensor = chain[0]
        for layer in chain[1:]:
            if isinstance(layer, Input):
                raise ValueError("Network: expected one Input, first in the list; remove the other")
            tensor = layer(tensor)
        return cls._from_tensors(tensor)

    @classmethod
    def from_tensors(cls, inputs: Any, outputs: Any) -> Architecture:
        """The graph between one input tensor and one output tensor."""
        for place, value in (("inputs", inputs), ("outputs", outputs)):
            if isinstance(value, list | tuple | dict):
                raise ValueError(
                    f"Network: expected one tensor as {place}, got {len(value)} in a {type(value).__name__}; "
                    "join several with layers.Concatenate()"
                )
            if not isinstance(value, Tensor):
                raise TypeError(f"Network: expected a tensor as {place}, got {value!r}")
        if not isinstance(inputs, Input):
            raise ValueError(f"Network: expected inputs to be a layers.Input, got {inputs!r}")
        tensors = ancestors(outputs)
        sources = [tensor for tensor in tensors if isinstance(tensor, Input)]
        if sources != [inputs]:
            raise ValueError(
                f"Network: expected outputs to depend on inputs and on nothing else, but they depend on {sources!r}; a "
                "network has one input, so join the data in one array and take it apart again in the graph"
            )
        _assign_names([tensor.layer for tensor in tensors])
        return cls._from_tensors(outputs)

    @classmethod
    def _from_tensors(cls, output: Tensor) -> Architecture:
        tensors = ancestors(output)
        joins = tuple(tuple(t.layer.place for t in tensor.inputs) for tensor in tensors)
        return cls(tuple(tensor.layer for tensor in tensors), joins, output.layer.place)

    def copy(self) -> Architecture:
        """The same with layers of its own."""
        return replace(self, layers=tuple(map(copy, self.layers)))

    def join(self, network: Network) -> None:
        """Tell the layers that they are part of a network."""
        for layer in self.layers:
            layer.join(network)

    def infer(self) -> tuple[list[Spec], dict[str, Shape], dict[str, Shape]]:
        """The core's nodes, the shape of one row of each tensor, and the shape of each parameter. Allocates nothing."""
        nodes: list[Spec] = []
        shapes: dict[str, Shape] = {}
        parameters: dict[str, Shape] = {}
        for layer, names in zip(self.layers, self.inputs, strict=True):
            inputs = [(name, shapes[name]) for name in names]
            inferred = layer.infer(inputs)
            nodes.append(layer.node(inputs))
            shapes[layer.place] = tuple(inferred["shape"])
            parameters |= {f"{layer.place}.{name}": tuple(shape) for name, shape in inferred["parameters"]}
        return nodes, shapes, parameters

    def initialize(self, parameters: Mapping[str, Array], seed: int) -> None:
        """Write first values into `parameters`, which are in the order of the layers."""
        for stream, (name, view) in enumerate(parameters.items()):
            layer, parameter = self.layer_of(name)
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

    def callbacks(self) -> dict[str, Any]:
        """The NumPy functions of custom layers, by layer."""
        custom = (layer for layer in self.layers if isinstance(layer, CustomLayer))
        return {layer.place: (layer.forward, layer.backward) for layer in custom}

    def layer_of(self, parameter: str) -> tuple[Layer, str]:
        """The layer that a full parameter name belongs to, and the parameter's own name there."""
        place, _, name = parameter.partition(".")
        return self.by_name[place], name

    def describe(self) -> dict[str, Any]:
        """The architecture as values that JSON knows."""
        described = []
        for layer, inputs in zip(self.layers, self.inputs, strict=True):
            config = {key: value for key, value in layer.get_config().items() if key != "name"}
            described.append(
                {"name": layer.name, "class": type(layer).__name__, "config": config, "inputs": list(inputs)}
            )
        return {"layers": described, "output": self.output}

    @classmethod
    def from_description(cls, description: Any, custom_objects: Mapping[str, Any]) -> Architecture:
        """The architecture that `describe` wrote; the description may come from anywhere and is checked throughout.

        Only nnfast's own layers and the classes in `custom_objects` are ever made.
        """
        entries = description.get("layers") if isinstance(description, dict) else None
        if not isinstance(entries, list) or not entries:
            raise ValueError("architecture: expected a list of layers")
        _require_few(len(entries))
        classes: dict[str, type[Layer]] = CLASSES | own_classes(custom_objects, Layer)
        own_initializers = own_classes(custom_objects, Initializer)
        layers: dict[str, Layer] = {}
        joins: list[tuple[str, ...]] = []
        for entry in entries:
            name, inputs = _checked_entry(entry, layers)
            layer = from_config("layer class", _with_initializers(entry, own_initializers), classes)
            layer.take_name(name)
            layers[name] = layer
            joins.append(inputs)
        output = choose("output", description.get("output"), layers)
        if [isinstance(layer, Input) for layer in layers.values()] != [True] + [False] * (len(layers) - 1):
            raise ValueError("architecture: expected one Input, first in the list")
        return cls(tuple(layers.values()), tuple(joins), output)


def _require_few(layers: int) -> None:
    # The core compares each name with all others, which would take minutes for the layers that a large file can hold.
    if layers > _MOST_LAYERS:
        raise ValueError(f"Network: expected at most {_MOST_LAYERS} layers, got {layers}")


def _with_initializers(entry: dict[str, Any], own: Mapping[str, type[Initializer]]) -> dict[str, Any]:
    """The description of a layer, with initialisers of the user's made; nnfast's own the layer makes itself."""
    config = entry.get("config")
    if not own or not isinstance(config, Mapping):
        return entry
    made = {
        key: from_config("initializer", value, own)
        for key, value in config.items()
        if isinstance(value, Mapping) and value.get("class") in own
    }
    return {**entry, "config": {**config, **made}}


def _checked_entry(entry: Any, known: Mapping[str, Layer]) -> tuple[str, tuple[str, ...]]:
    if not isinstance(entry, dict) or not isinstance(entry.get("inputs"), list):
        raise ValueError(f"architecture: expected a layer with its inputs, got {shown(entry)}")
    name = entry.get("name")
    if not isinstance(name, str) or name in known:
        raise ValueError(f"architecture: expected a new name of a layer, got {shown(name)}")
    return name, tuple(choose(f"input of {name}", source, known) for source in entry["inputs"])


@contextmanager
def free_after_an_error(layers: Any) -> Iterator[None]:
    """A block after whose failure a list of layers is as it was before: names are not taken, and no layer is in use."""
    chain = [layer for layer in layers if isinstance(layer, Layer)] if isinstance(layers, list | tuple) else []
    before = [vars(layer).copy() for layer in chain]
    try:
        yield
    except BaseException:
        for layer, attributes in zip(chain, before, strict=True):
            vars(layer).clear()
            vars(layer).update(attributes)
        raise


def _assign_names(layers: Sequence[Layer]) -> None:
    """Give every layer without a name the default one, numbered where it is taken; refuse two equal names."""
    taken: set[str] = set()
    for layer in layers:
        if layer.name in taken:
            raise ValueError(f"Network: expected different names of layers, got {layer.name!r} twice; rename one")
        if layer.name is not None:
            taken.add(layer.name)
    for layer in layers:
        if layer.name is None:
            base = name = layer.default_name()
            number = 0
            while name in taken:
                number += 1
                name = f"{base}_{number}"
            layer.take_name(name)
            taken.add(name)
