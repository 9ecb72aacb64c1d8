"""`nnfast.from_keras`: a network from a file of a Keras model."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, Final

from nnfast.core.arrays import dtype_name
from nnfast.core.options import custom_classes, integer, shape_of
from nnfast.core.tensor import Tensor
from nnfast.core.text import short_repr
from nnfast.core.typing import Array, Shape
from nnfast.graph.architecture import Architecture
from nnfast.io.hdf5 import Dataset
from nnfast.io.keras.archive import KerasFile, opened
from nnfast.io.keras.calls import (
    MAX_CALLS,
    Budget,
    Key,
    arguments_of,
    flat,
    modern,
    names_of,
    output_of,
    references,
    shifted,
    tensor_of,
    tensors_in,
)
from nnfast.io.keras.operations import is_operation, operation_of
from nnfast.io.keras.stored import Stored, StoredModel, read_stored
from nnfast.io.keras.translation import Built, translated
from nnfast.io.keras.weights import checked_datasets, numbers_of
from nnfast.io.network_file import checked_objects
from nnfast.layers import Input, Layer
from nnfast.network import Network

__all__ = ["from_keras"]

_MODELS: Final = ("Functional", "Model", "Sequential")
_MAX_DEPTH: Final = 20
"""Of models in models."""
_INTEGERS: Final = ("int8", "int16", "int32", "int64", "uint16", "uint32", "uint64")
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_\-/ ]")


def from_keras(
    path: str | os.PathLike[str],
    *,
    input_shape: Any = None,
    custom_objects: Mapping[str, Any] | None = None,
    seed: int | None = None,
    dtype: Any = "float32",
) -> Network:
    """Read a Keras model, its layers and its weights, as a network that predicts the same and can be trained further.

    Parameters
    ----------
    path : str or path-like
        A file of Keras's `Model.save`: ".keras", or legacy ".h5".
    input_shape : tuple of int, or dict of them by name of the input, optional
        Shape of a row, without the batch axis, for a model that leaves sizes open, such as the length of sequences.
    custom_objects : dict, optional
        For user-defined classes of the Keras model, layers of nnfast that do the same, by name of the class. They are
        made with the arguments in the file.
    seed : int, optional
        See `Network`.
    dtype : {"float32", "float64"}, default "float32"

    Returns
    -------
    Network
        Layers have the names that they have in the model, those of a model in it with its name in front:
        "base/dense". Layers that are not trained there are frozen.

    Raises
    ------
    ValueError
        If the file is damaged, or has a layer, option or operation that nnfast does not have; it is named.

    Notes
    -----
    Sequential and functional models are read, models in models, and layers that are called several times. A layer
    `SeparableConv2D` becomes two. Code in the file, as of `Lambda`, is not run, and the optimizer is not read. No HDF5
    library is needed.

    Examples
    --------
    >>> import nnfast as nf
    >>> net = nf.from_keras("model.keras")  # doctest: +SKIP
    """
    own = custom_classes(checked_objects(custom_objects), Layer)
    precision = dtype_name(dtype)
    number = int.from_bytes(os.urandom(4)) if seed is None else integer("from_keras", "seed", seed, minimum=0)
    with opened(path) as file:
        if not isinstance(file.config, dict):
            raise ValueError("expected a file with an architecture, got weights alone; use nf.io.load_keras_weights")
        model = _Model(file.config, "", own, 0, Budget())
        inputs = model.own_inputs(input_shape)
        architecture = Architecture.from_tensors(*model.ends(inputs))
        return _with_weights(architecture, model, file, number, precision)


def _with_weights(architecture: Architecture, model: _Model, file: KerasFile, seed: int, dtype: str) -> Network:
    """The network, for which memory is allocated once the file is known to have all numbers."""
    _, _, shapes = architecture.infer()
    by_layer: dict[str, dict[str, Shape]] = {}
    for name, shape in shapes.items():
        by_layer.setdefault(name.partition(".")[0], {})[name] = shape
    datasets: dict[str, tuple[Dataset, Shape]] = {}
    frozen: list[str] = []
    stored = read_stored(file.root, list(model.names()))
    for layer, found, part, is_trained in model.claims(stored):
        wanted = by_layer.get(layer.place, {})
        if wanted:
            listed = [] if found is None else found.datasets(layer)[part]
            datasets |= checked_datasets(layer, listed, wanted)
            frozen += [] if is_trained else list(wanted)
    for name in set(shapes) - set(datasets):
        if not name.endswith(".value"):
            raise ValueError(
                f"expected weights for {name}, got none; Keras stores a layer that is part of several models only once"
            )
    network = Network.from_architecture(architecture, seed, dtype, model.name)
    values: dict[str, Array] = {name: numbers_of(name, *item, dtype) for name, item in datasets.items()}
    for name in set(shapes) - set(datasets):
        layer, parameter = architecture.layer_of(name)
        values[name] = layer.initializer(parameter)
    network.set_state(values, frozen)
    return network


class _Model:
    """A model of Keras that can be called on tensors several times, like a layer."""

    def __init__(self, entry: Any, prefix: str, own: Mapping[str, type[Layer]], depth: int, budget: Budget) -> None:
        config = entry.get("config") if isinstance(entry, dict) else None
        kind = entry.get("class_name") if isinstance(entry, dict) else None
        if isinstance(config, list):
            config = {"layers": config}  # of a Sequential of Keras 2.1
        if kind not in _MODELS or not isinstance(config, dict) or not isinstance(config.get("layers"), list):
            raise ValueError(
                f"expected a Sequential or functional model, got {short_repr(kind)}; for a model defined by a class, "
                "make the network with nnfast and use nf.io.load_keras_weights"
            )
        if depth > _MAX_DEPTH:
            raise ValueError(f"expected models in models at most {_MAX_DEPTH} deep, got more")
        self.name = _valid(str(config.get("name", "network")))
        self.is_trained = config.get("trainable", True) is not False
        self.prefix = prefix
        self._budget = budget
        self._config = config
        self._entries: dict[str, dict[str, Any]] = {}
        self._built: dict[str, Any] = {}
        self._inputs: dict[str, dict[str, Any]] = {}
        self._calls: dict[Key, Any] = {}
        is_chain = kind == "Sequential"
        for item in config["layers"]:
            budget.spend(1)
            self._add(item, own, depth)
        if is_chain:
            self._chain()
        models = {n for n, item in self._entries.items() if item.get("class_name") in ("Functional", "Model")}
        self._calls = {key: modern(call, models) for key, call in self._calls.items()}
        self._order = self._sorted()
        self._masks = self._implied_masks()
        self._ends = [list(self._inputs)] if is_chain else [names_of(config.get("input_layers"))]
        self.outputs = [(*_last(self._calls), 0)] if is_chain else references(config.get("output_layers"))
        self.outputs = [shifted(output, models) for output in self.outputs]

    # ---- reading -----------------------------------------------------------

    def _add(self, entry: Any, own: Mapping[str, type[Layer]], depth: int) -> None:
        config = entry.get("config") if isinstance(entry, dict) else None
        if isinstance(config, list):
            config = {}
        if not isinstance(config, dict):
            raise ValueError(f"expected a layer with its configuration, got {short_repr(entry)}")
        name = entry.get("name", config.get("name"))
        if not isinstance(name, str) or name in self._entries:
            raise ValueError(f"expected a new name of a layer, got {short_repr(name)}")
        self._entries[name] = entry
        calls = entry.get("inbound_nodes") or []
        if not isinstance(calls, list) or len(calls) + len(self._calls) > MAX_CALLS:
            raise ValueError(f"{name}: expected a list of at most {MAX_CALLS} calls")
        for number, call in enumerate(calls):
            self._calls[name, number] = call
        place = self.prefix + _valid(name)
        if entry.get("class_name") == "InputLayer":
            self._inputs[name] = config
        elif entry.get("class_name") in _MODELS:
            self._built[name] = _Model(entry, f"{place}/", own, depth + 1, self._budget)
        elif is_operation(entry):
            self._built[name] = Built(operation_of(place, entry), [])
        else:
            self._built[name] = translated(place, entry, place, own)

    def _chain(self) -> None:
        """The calls of a Sequential, each layer on the output of the one before."""
        names = list(self._entries)
        if not self._inputs:
            first = self._entries[names[0]].get("config") if names else None
            shape = self._config.get("build_input_shape")
            if shape is None and isinstance(first, dict):
                shape = first.get("batch_input_shape")
            if shape is None:
                raise ValueError("expected a Sequential model that starts with an Input, or has been built")
            entry = {"batch_shape": shape, "dtype": first.get("dtype") if isinstance(first, dict) else None}
            name = next(n for n in ("input", "input_", "input__") if n not in names)
            self._inputs[name] = entry
            names.insert(0, name)
        if len(self._inputs) != 1 or names[0] not in self._inputs:
            raise ValueError(f"expected one Input, first in a Sequential model, got {short_repr(list(self._inputs))}")
        self._calls = {(name, 0): {"args": [tensor_of(before)], "kwargs": {}} for before, name in pairwise(names)}

    def _sorted(self) -> list[Key]:
        """The calls in an order in which each comes after those whose outputs it takes."""
        waits, users = {}, dict[Key, list[Key]]()
        for key, call in self._calls.items():
            sources = {(name, number) for name, number, _ in tensors_in(call)} - {(n, 0) for n in self._inputs}
            for source in sources:
                if source not in self._calls:
                    raise ValueError(f"{key[0]}: expected calls on outputs of layers, got {short_repr(source)}")
                users.setdefault(source, []).append(key)
            waits[key] = len(sources)
        order = [key for key, count in waits.items() if not count]
        for key in order:
            for user in users.get(key, ()):
                waits[user] -= 1
                if not waits[user]:
                    order.append(user)
        if len(order) < len(waits):
            raise ValueError("expected a graph without cycles")
        return order

    def _implied_masks(self) -> set[Key]:
        """The calls that compute masks, which nnfast passes on by itself; an error for a layer with another mask."""
        masked, masks = set(), set[Key]()
        for (name, _), call in self._calls.items():
            entry = self._entries[name]
            if entry.get("class_name") == "Masking" or entry.get("config", {}).get("mask_zero"):
                masked |= set(tensors_in(call))
        for key in self._order:
            sources, kind = set(tensors_in(self._calls[key])), self._entries[key[0]].get("class_name")
            if (kind == "NotEqual" and sources <= masked) or (
                kind == "Any" and {(name, number) for name, number, _ in sources} <= masks
            ):
                masks.add(key)
                continue
            call = self._calls[key]
            given = call.get("kwargs") if isinstance(call, dict) else None
            mask = given.get("mask") if isinstance(given, dict) else None
            if any((name, number) not in masks for name, number, _ in tensors_in(mask)) or mask is True:
                raise ValueError(f"{key[0]}: expected masks of Masking and Embedding only, got another one")
        return masks

    # ---- building ----------------------------------------------------------

    def own_inputs(self, given: Any) -> list[Tensor]:
        """The inputs of the network."""
        names = self._ends[0]
        shapes = given if isinstance(given, Mapping) else dict.fromkeys(names, given)
        if not set(shapes) <= set(names):
            raise ValueError(f"input_shape: expected names among {', '.join(names)}, got {short_repr(list(shapes))}")
        return [_input_of(name, self._inputs.get(name), shapes.get(name)) for name in names]

    def ends(self, inputs: list[Tensor]) -> tuple[Any, Any]:
        """Inputs and outputs in the form that the model has."""
        outputs = self(*inputs)
        given = self._config.get("input_layers")
        is_single = given is None or (isinstance(given, list) and given and isinstance(given[0], str))
        if isinstance(given, Mapping):
            return dict(zip(given, inputs, strict=True)), outputs
        return inputs[0] if is_single else inputs, outputs

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Outputs for inputs in the form of the model's outputs."""
        tensors = list(arguments[0].values() if isinstance(arguments[0], Mapping) else flat(arguments))
        names = self._ends[0]
        if len(tensors) != len(names) or any(keywords.values()):
            raise ValueError(f"{self.name}: expected {len(names)} inputs, got {len(tensors)}")
        values: dict[Key, Any] = {(name, 0): tensor for name, tensor in zip(names, tensors, strict=True)}
        for key in self._order:
            if key in self._masks:
                continue
            arguments, keywords = arguments_of(key[0], self._calls[key], values)
            built = self._built[key[0]]
            by_step = isinstance(built, Built) and built.by_step and isinstance(arguments[0], Tensor)
            self._budget.spend(arguments[0].shape[0] if by_step else 1)
            values[key] = (built.call if isinstance(built, Built) else built)(*arguments, **keywords)
        found = [output_of(values, reference) for reference in self.outputs]
        form = self._config.get("output_layers")
        if isinstance(form, Mapping):
            return dict(zip(form, found, strict=True))
        return found[0] if form is None or (form and isinstance(form[0], str)) else found

    # ---- weights -----------------------------------------------------------

    def names(self) -> Iterable[str]:
        """All layers by name, with those of models in the model in front."""
        for name, built in self._built.items():
            if isinstance(built, _Model):
                yield from built.names()
            else:
                yield f"{self.prefix}{name}"

    def claims(self, stored: StoredModel, trained: bool = True) -> Iterable[tuple[Layer, Stored | None, slice, bool]]:
        """Layers with what a file has of them, their parts of its variables, and whether they are trained."""
        numbers: dict[str, int] = {}
        for name, built in self._built.items():
            entry = self._entries[name]
            if is_operation(entry):
                continue
            kind = _group_name(str(entry.get("class_name")))
            number = numbers[kind] = numbers.get(kind, -1) + 1
            group_name = f"{kind}_{number}" if number else kind
            legacy = f"{self.prefix}{name}" if stored.in_order else name
            found = stored.find(legacy, group_name)
            is_trained = trained and self.is_trained and entry.get("config", {}).get("trainable", True) is not False
            if isinstance(built, _Model):
                within = stored if stored.in_order else found
                if isinstance(within, StoredModel):
                    yield from built.claims(within, is_trained)
                continue
            for layer, part in built.layers:
                yield layer, found if isinstance(found, Stored) else None, part, is_trained


def _group_name(kind: str) -> str:
    """Keras's name of the group of a class."""
    if kind == "GroupQueryAttention":
        kind = "GroupedQueryAttention"  # as the class is called inside of Keras
    name = re.sub(r"\W+", "", kind)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _valid(name: str) -> str:
    """A name that layers of nnfast may have."""
    return _NOT_IN_NAMES.sub("_", name)[:100].lstrip("-/ ") or "layer"


def _last(calls: Mapping[Key, Any]) -> Key:
    if not calls:
        raise ValueError("expected a Sequential model with layers, got none")
    return list(calls)[-1]


def _input_of(name: str, config: Mapping[str, Any] | None, given: Any) -> Input:
    if config is None:
        raise ValueError(f"expected inputs of the model, got {short_repr(name)}")
    batch = config.get("batch_shape", config.get("batch_input_shape"))
    if not isinstance(batch, list) or not batch:
        raise ValueError(f"{name}: expected a shape, got {short_repr(batch)}")
    sizes = batch[1:]
    if given is not None:
        shape = shape_of(name, "input_shape", given)
        if len(shape) != len(sizes) or any(a not in (None, b) for a, b in zip(sizes, shape, strict=True)):
            raise ValueError(f"{name}: expected input_shape for {tuple(sizes)}, got {shape}")
        sizes = list(shape)
    if None in sizes:
        raise ValueError(
            f"{name}: expected sizes of all axes, got {tuple(sizes)}; pass input_shape=(...), a shape of a row"
        )
    dtype = config.get("dtype")
    return Input(
        sizes, dtype=("int64" if dtype == "int64" else "int32") if dtype in _INTEGERS else None, name=_valid(name)
    )
