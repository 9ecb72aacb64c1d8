"""Networks and checkpoints in files: safetensors, with all but the tensors as JSON under one key of the metadata.

Reading trusts nothing. The header's sizes are checked against the file, the architecture is built from nnfast's own
layers and the caller's `custom_objects` alone, and all names, shapes and dtypes are compared with it before any memory
is taken for the network. Nothing is imported, evaluated or unpickled.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnfast import losses, metrics, optimizers
from nnfast.architecture import Architecture
from nnfast.configured import description_of, integer
from nnfast.container import TensorFile, parse_json, tensor_bytes
from nnfast.custom import names_to_keep, require_custom_objects
from nnfast.files import atomic_writer, open_regular
from nnfast.fitting import Position
from nnfast.network import Network
from nnfast.text import shortened, shown
from nnfast.trainer import Trainer
from nnfast.typing import Array

__all__ = ["load_network", "load_trainer", "save_network", "save_trainer"]

_KEY = "nnfast"
"""Of the metadata."""
_FORMAT = "nnfast 1"
_DTYPES = ("float32", "float64")
_STATE = "optimizer/"
"""Prefix of the optimiser's tensors; no layer's name has a slash."""
_CUSTOM = "custom_objects"
_LONGEST_TEXT = 2000
_FREE_BYTES = 2**28
_BYTES_OF_A_BYTE = 64
"""What a training step may take by default: so much, or so many times the file's size where that is more."""
_MOST_EPOCHS = 2**31
"""Each epoch's order of rows has a stream of random numbers of its own."""


def save_network(network: Network, path: str | os.PathLike[str]) -> None:
    """Write a network; see `Network.save`."""
    names = names_to_keep(network.layers)
    with network.parameters.reading("save"):
        content = _content(dict(network.parameters), {"network": _describe(network, names)})
    _write(path, content)


def load_network(path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None) -> Network:
    """Read a network, from a checkpoint as well; see `Network.load`."""
    own = _checked_objects(custom_objects)
    with _reading(path) as file:
        return _network(file, own)


def save_trainer(trainer: Trainer, path: str | os.PathLike[str]) -> None:
    """Write a checkpoint; see `Trainer.save_checkpoint`."""
    of_network = names_to_keep(trainer.network.layers)
    of_all = names_to_keep([*trainer.network.layers, trainer.loss, trainer.optimizer, *trainer.metrics])
    with trainer.network.parameters.reading("save_checkpoint"):
        content = _checkpoint(trainer, of_network, of_all)
    _write(path, content)


def _checkpoint(trainer: Trainer, of_network: Any, of_all: Any) -> bytes:
    network, position = trainer.network, trainer.position
    tensors = dict(network.parameters)
    for kind, vector in trainer.plan.state().items():
        tensors |= {f"{_STATE}{kind}/{name}": part for name, part in _parts(network, vector).items()}
    training = {
        "loss": description_of(trainer.loss),
        "optimizer": optimizers.describe(trainer.optimizer),
        "metrics": [metrics.describe(metric) for metric in trainer.metrics],
        "iteration": trainer.iteration,
        "steps": trainer.plan.steps,
        "epoch": trainer.epoch,
        "position": None
        if position is None or position.epoch != trainer.epoch
        else position.describe(trainer.iteration),
        **({_CUSTOM: of_all} if of_all else {}),
    }
    return _content(tensors, {"network": _describe(network, of_network), "training": training})


def load_trainer(
    path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None, max_bytes: int | None
) -> Trainer:
    """Read a checkpoint; see `Trainer.resume`."""
    own = _checked_objects(custom_objects)
    most = None if max_bytes is None else integer("resume", "max_bytes", max_bytes)
    with _reading(path) as file:
        training = file.description.get("training")
        if not isinstance(training, dict):
            raise ValueError("expected a checkpoint, got a network alone; read it with Network.load")
        require_custom_objects(training.get(_CUSTOM, []), own)
        network = _network(file, own)
        _require_room(network, max(_FREE_BYTES, _BYTES_OF_A_BYTE * file.tensors.size) if most is None else most)
        trainer = Trainer(
            network,
            loss=losses.get(_mapping(training, "loss"), own),
            optimizer=optimizers.from_description(_mapping(training, "optimizer"), own),
            metrics=[metrics.from_description(item, own) for item in training.get("metrics", [])],
        )
        trainer.plan.iteration = integer("checkpoint", "iteration", training.get("iteration"), least=0)
        trainer.plan.steps = _steps(training.get("steps"), trainer)
        trainer.epoch = integer("checkpoint", "epoch", training.get("epoch"), least=0, below=_MOST_EPOCHS)
        trainer.position = _position(training.get("position"), trainer)
        _read_state(file, trainer)
        return trainer


def _checked_objects(custom_objects: Any) -> Mapping[str, Any]:
    if custom_objects is not None and not isinstance(custom_objects, Mapping):
        raise TypeError(
            f"custom_objects: expected a dict of classes and functions by name, got {shown(custom_objects)}; write "
            '{"Name": Name}'
        )
    return custom_objects or {}


def _require_room(network: Network, most: int) -> None:
    """The tensors of one row, which an architecture may ask for whatever the file's size, and their gradients."""
    _, shapes, _ = network.architecture.infer()
    needed = 2 * sum(math.prod(shape) for shape in shapes.values()) * network.flat().itemsize
    if needed > most:
        raise ValueError(
            f"expected a training step of at most max_bytes = {most}, got tensors of {needed} bytes for each row; "
            f"pass max_bytes={needed} to Trainer.resume if you trust the file"
        )


def _read_state(file: _File, trainer: Trainer) -> None:
    parts = {
        f"{_STATE}{kind}/{name}": (kind, part)
        for kind, vector in trainer.plan.state().items()
        for name, part in _parts(trainer.network, vector).items()
    }
    stored = {name for name in file.tensors.tensors if name.startswith(_STATE)}
    if stored != set(parts):
        raise ValueError(f"expected the optimizer's state {_listed(parts)}, got {_listed(stored)}")
    for name, (kind, part) in parts.items():
        file.tensors.read_into(name, part)
        if kind in trainer.optimizer.never_negative and (part < 0).any():
            raise ValueError(f"{name}: expected numbers of 0 or more, got one below 0; the file is damaged")


def _describe(network: Network, custom: list[str]) -> dict[str, Any]:
    facts = {"name": network.name, "dtype": network.dtype, "seed": network.seed, "frozen": network.frozen}
    return {**facts, **network.architecture.describe(), **({_CUSTOM: custom} if custom else {})}


def _network(file: _File, custom_objects: Mapping[str, Any]) -> Network:
    """The network in a file whose tensors have been compared with its architecture."""
    description = _mapping(file.description, "network")
    name, dtype, frozen = description.get("name"), description.get("dtype"), description.get("frozen")
    if not isinstance(name, str) or dtype not in _DTYPES or not isinstance(frozen, list):
        raise ValueError("expected name, dtype and frozen parameters of the network")
    seed = integer("network", "seed", description.get("seed"), least=0)
    require_custom_objects(description.get(_CUSTOM, []), custom_objects)
    architecture = Architecture.from_description(description, custom_objects)
    _, _, shapes = architecture.infer()
    stored = {tensor for tensor in file.tensors.tensors if not tensor.startswith(_STATE)}
    if stored != set(shapes):
        raise ValueError(f"expected the parameters {_listed(shapes)}, got {_listed(stored)}")
    if not set(frozen) <= set(shapes):
        raise ValueError(f"expected frozen parameters among {_listed(shapes)}, got {shown(frozen)}")
    for tensor, shape in shapes.items():
        file.tensors.check(tensor, shape, dtype)
    network = Network.from_architecture(architecture, seed, dtype, name)
    for tensor, view in network.parameters.items():
        file.tensors.read_into(tensor, view)
    network.set_state(network.parameters, frozen)
    return network


def _listed(names: Iterable[str]) -> str:
    return shortened(str(sorted(names)), 500)


def _mapping(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = values.get(key)
    if not isinstance(value, dict):
        raise ValueError(f"expected a description of the {key}, got {shown(value)}")
    return value


def _steps(stored: Any, trainer: Trainer) -> dict[str, int]:
    """Number of steps that each parameter has made; files without them count as if none had ever been frozen."""
    names = list(trainer.plan.steps)
    if stored is None:
        return dict.fromkeys(names, trainer.iteration)
    if not isinstance(stored, dict) or set(stored) != set(names):
        raise ValueError(f"expected steps of the parameters {_listed(names)}, got {shown(stored)}")
    steps = {name: integer("steps", name, stored[name], least=0) for name in names}
    if max(steps.values(), default=0) > trainer.iteration:
        raise ValueError(f"expected at most {trainer.iteration} steps of each parameter, got {shown(stored)}")
    return steps


def _position(stored: Any, trainer: Trainer) -> Position | None:
    if stored is None:
        return None
    if not isinstance(stored, dict) or set(stored) != {"epoch", "rows", "batch_size", "start", "totals"}:
        raise ValueError(f"expected a position in the epoch, got {shown(stored)}")
    rows, size = (integer("position", key, stored[key]) for key in ("rows", "batch_size"))
    epoch, start = (integer("position", key, stored[key], least=0) for key in ("epoch", "start"))
    totals = stored["totals"]
    numbers = isinstance(totals, list) and all(isinstance(total, float) for total in totals)
    fits = (
        numbers
        and len(totals) == 1 + len(trainer.core_metrics)
        and epoch == trainer.epoch
        and 0 <= trainer.iteration - start <= -(-rows // size)
    )
    if not fits:
        raise ValueError(f"expected a position that fits the trainer, got {shown(stored)}")
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


def _content(tensors: Mapping[str, Array], description: Mapping[str, Any]) -> bytes:
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise ValueError(
                f"{name}: expected finite numbers, got NaN or infinity, which load would refuse; the file is as before"
            )
    # One key with sorted JSON: safetensors writes several keys in random order, and the same network should give the
    # same bytes.
    return tensor_bytes(tensors, {_KEY: _json({"format": _FORMAT, **description})})


def _write(path: str | os.PathLike[str], content: bytes) -> None:
    with atomic_writer(path) as file:
        file.write(content)


def _json(description: Mapping[str, Any]) -> str:
    try:
        return json.dumps(description, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{_culprit(description)}: expected what JSON can hold: {error}") from error


def _culprit(value: Any, place: str = "", depth: int = 0) -> str:
    """The place of the first value that JSON cannot hold."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, item in items if depth < 20 else ():
        try:
            json.dumps(item, allow_nan=False)
        except (TypeError, ValueError):
            return _culprit(item, f"{place}[{key}]" if isinstance(key, int) else f"{place}.{key}", depth + 1)
    return place.lstrip(".")


class _File:
    """An open file: its description and its tensors."""

    def __init__(self, tensors: TensorFile) -> None:
        if _KEY not in tensors.metadata:
            raise ValueError(
                f"expected metadata with the key {_KEY!r}, got {_listed(tensors.metadata)}; was it saved by nnfast?"
            )
        description = parse_json(tensors.metadata[_KEY])
        if not isinstance(description, dict) or description.get("format") != _FORMAT:
            found = description.get("format") if isinstance(description, dict) else description
            raise ValueError(
                f"expected a file of format {_FORMAT!r}, got {shown(found)}; read it with the nnfast that saved it"
            )
        self.description: dict[str, Any] = description
        self.tensors = tensors


@contextmanager
def _reading(path: str | os.PathLike[str]) -> Iterator[_File]:
    """An open file; whatever is wrong with its content is a ValueError that names it."""
    with open_regular(path) as file:
        try:
            yield _File(TensorFile(file))
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
            text = str(error)
            # A text of megabytes would be printed with the cause of the short one.
            cause = error if len(text) <= _LONGEST_TEXT else None
            raise ValueError(f"{os.fspath(path)}: cannot be read: {shortened(text, _LONGEST_TEXT)}") from cause
