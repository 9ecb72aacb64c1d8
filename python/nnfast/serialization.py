"""Networks and checkpoints in files: safetensors, with all but the tensors as JSON under one key of the metadata.

Reading trusts nothing. The header's sizes are checked against the file, the architecture is built from nnfast's own
layers and the caller's `custom_objects` alone, and all names, shapes and dtypes are compared with it before any memory
is taken for the network. Nothing is imported, evaluated or unpickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnfast import losses, metrics, optimizers
from nnfast.architecture import Architecture
from nnfast.configured import description_of, integer
from nnfast.files import atomic_writer
from nnfast.fitting import Position
from nnfast.network import Network
from nnfast.trainer import Trainer
from nnfast.typing import Array, Shape

__all__ = ["load_network", "load_trainer", "save_network", "save_trainer"]

_KEY = "nnfast"
"""Of the metadata."""
_FORMAT = "nnfast 1"
_DTYPES = {"float32": "F32", "float64": "F64"}
_STATE = "optimizer/"
"""Prefix of the optimiser's tensors; no layer's name has a slash."""


def save_network(network: Network, path: str | os.PathLike[str]) -> None:
    """Write a network; see `Network.save`."""
    _write(path, dict(network.parameters), {"network": _describe(network)})


def load_network(path: str | os.PathLike[str], custom_objects: Mapping[str, Any]) -> Network:
    """Read a network, from a checkpoint as well; see `Network.load`."""
    with _reading(path) as file:
        return _network(file, custom_objects)


def save_trainer(trainer: Trainer, path: str | os.PathLike[str]) -> None:
    """Write a checkpoint; see `Trainer.save_checkpoint`."""
    tensors, position = dict(trainer.network.parameters), trainer.position
    for kind, vector in trainer.plan.state().items():
        tensors |= {f"{_STATE}{kind}/{name}": part for name, part in _parts(trainer.network, vector).items()}
    training = {
        "loss": description_of(trainer.loss),
        "optimizer": optimizers.describe(trainer.optimizer),
        "metrics": [metrics.describe(metric) for metric in trainer.metrics],
        "iteration": trainer.iteration,
        "epoch": trainer.epoch,
        "position": None
        if position is None or position.epoch != trainer.epoch
        else position.describe(trainer.iteration),
    }
    _write(path, tensors, {"network": _describe(trainer.network), "training": training})


def load_trainer(path: str | os.PathLike[str], custom_objects: Mapping[str, Any]) -> Trainer:
    """Read a checkpoint; see `Trainer.resume`."""
    with _reading(path) as file:
        network = _network(file, custom_objects)
        training = file.description.get("training")
        if not isinstance(training, dict):
            raise ValueError("expected a checkpoint, got a network alone; read it with Network.load")
        trainer = Trainer(
            network,
            loss=losses.get(_mapping(training, "loss"), custom_objects),
            optimizer=optimizers.from_description(_mapping(training, "optimizer"), custom_objects),
            metrics=[metrics.from_description(item, custom_objects) for item in training.get("metrics", [])],
        )
        trainer.plan.iteration = integer("checkpoint", "iteration", training.get("iteration"), least=0)
        trainer.epoch = integer("checkpoint", "epoch", training.get("epoch"), least=0)
        trainer.position = _position(training.get("position"), trainer)
        for kind, vector in trainer.plan.state().items():
            for name, part in _parts(network, vector).items():
                part[...] = file.tensor(f"{_STATE}{kind}/{name}", part.shape, network.dtype)
        return trainer


def _describe(network: Network) -> dict[str, Any]:
    facts = {"name": network.name, "dtype": network.dtype, "seed": network.seed, "frozen": network.frozen}
    return {**facts, **network.architecture.describe()}


def _network(file: _File, custom_objects: Mapping[str, Any]) -> Network:
    """The network in a file whose tensors have been compared with its architecture."""
    description = _mapping(file.description, "network")
    name, dtype, frozen = description.get("name"), description.get("dtype"), description.get("frozen")
    if not isinstance(name, str) or dtype not in _DTYPES or not isinstance(frozen, list):
        raise ValueError("expected name, dtype and frozen parameters of the network")
    seed = integer("network", "seed", description.get("seed"), least=0)
    architecture = Architecture.from_description(description, custom_objects)
    _, _, shapes = architecture.infer()
    stored = {tensor for tensor in file.shapes if not tensor.startswith(_STATE)}
    if stored != set(shapes):
        raise ValueError(f"expected the parameters {sorted(shapes)}, got {sorted(stored)}")
    if not set(frozen) <= set(shapes):
        raise ValueError(f"expected frozen parameters among {sorted(shapes)}, got {frozen}")
    for tensor, shape in shapes.items():
        file.check(tensor, shape, dtype)
    network = Network.from_architecture(architecture, seed, dtype, name)
    network.set_state({tensor: file.tensor(tensor, shape, dtype) for tensor, shape in shapes.items()}, frozen)
    return network


def _mapping(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = values.get(key)
    if not isinstance(value, dict):
        raise ValueError(f"expected a description of the {key}, got {value!r}")
    return value


def _position(stored: Any, trainer: Trainer) -> Position | None:
    if stored is None:
        return None
    if not isinstance(stored, dict) or set(stored) != {"epoch", "rows", "batch_size", "start", "totals"}:
        raise ValueError(f"expected a position in the epoch, got {stored!r}")
    rows, size = (integer("position", key, stored[key]) for key in ("rows", "batch_size"))
    epoch, start = (integer("position", key, stored[key], least=0) for key in ("epoch", "start"))
    totals = stored["totals"]
    numbers = isinstance(totals, list) and all(isinstance(total, float) for total in totals)
    if not numbers or len(totals) != 1 + len(trainer.core_metrics) or start > trainer.iteration:
        raise ValueError(f"expected a position that fits the trainer, got {stored!r}")
    fields = {"epoch": epoch, "rows": rows, "batch_size": size, "start": start, "totals": totals}
    return Position.restore(fields, trainer.iteration)


def _parts(network: Network, vector: Array) -> dict[str, Array]:
    """Views of a vector that is laid out as the parameters are, by parameter."""
    flat = network.flat()
    parts = {}
    for name, view in network.parameters.items():
        first = (view.ctypes.data - flat.ctypes.data) // flat.itemsize
        parts[name] = vector[first : first + view.size].reshape(view.shape)
    return parts


# ---- files -----------------------------------------------------------------------


def _write(path: str | os.PathLike[str], tensors: Mapping[str, Array], description: Mapping[str, Any]) -> None:
    from safetensors.numpy import save

    # One key with sorted JSON: safetensors writes several keys in random order, and the same network should give the
    # same bytes.
    metadata = {_KEY: json.dumps({"format": _FORMAT, **description}, sort_keys=True, allow_nan=False)}
    content = save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, metadata)
    with atomic_writer(path) as file:
        file.write(content)


class _File:
    """An open file: its description, shapes of tensors, and tensors that are read on request."""

    def __init__(self, opened: Any) -> None:
        stored = opened.metadata() or {}
        if _KEY not in stored:
            raise ValueError(f"expected metadata with the key {_KEY!r}, got {sorted(stored)}; was it saved by nnfast?")
        self.description = json.loads(stored[_KEY])
        found = self.description.get("format")
        if found != _FORMAT:
            raise ValueError(
                f"expected a file of format {_FORMAT!r}, got {found!r}; read it with the nnfast that saved it"
            )
        slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118
        self.shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
        self._dtypes = {name: part.get_dtype() for name, part in slices.items()}
        self._opened = opened

    def check(self, name: str, shape: Shape, dtype: str) -> None:
        """Compare a tensor with what is expected."""
        if name not in self.shapes:
            raise ValueError(f"expected a tensor {name!r}")
        if (self.shapes[name], self._dtypes[name]) != (tuple(shape), _DTYPES[dtype]):
            got = f"{self.shapes[name]} {self._dtypes[name]}"
            raise ValueError(f"{name}: expected shape {tuple(shape)} {_DTYPES[dtype]}, got {got}")

    def tensor(self, name: str, shape: Shape, dtype: str) -> Array:
        """A tensor after its check."""
        self.check(name, shape, dtype)
        array: Array = self._opened.get_tensor(name)
        return array


@contextmanager
def _reading(path: str | os.PathLike[str]) -> Iterator[_File]:
    """An open file; whatever is wrong with its content is a ValueError that names it."""
    from safetensors import SafetensorError, safe_open

    place = os.fspath(path)
    with open(place, "rb"):
        pass
    try:
        with safe_open(place, framework="np") as opened:
            yield _File(opened)
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        OverflowError,
        RecursionError,
        SafetensorError,
    ) as error:
        raise ValueError(f"{place}: not a readable nnfast file: {error}") from error
