"""Checkpoints: network files that also contain the optimizer's state and the progress of training."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

from nnfast import losses, metrics, optimizers
from nnfast.core.options import custom_function, description_of, function_name, integer
from nnfast.core.text import short_repr
from nnfast.graph.heads import Head
from nnfast.io.custom_objects import custom_objects_of, names_to_keep, require_custom_objects
from nnfast.io.differences import first_difference
from nnfast.io.network_file import (
    CALLBACKS,
    CUSTOM,
    STATE,
    File,
    checked_objects,
    content_of,
    describe,
    mapping,
    name_list,
    only_network_in,
    reading,
    write,
)
from nnfast.network import Network
from nnfast.training.averages import with_own_weights
from nnfast.training.fit_loop import Position
from nnfast.training.history import History
from nnfast.training.plans import parts_of, take_over
from nnfast.training.resumed import Resumed
from nnfast.training.trainer import Trainer

__all__ = ["load_trainer", "restore_trainer", "save_trainer"]

_FREE_BYTES = 2**28
_BYTES_OF_A_BYTE = 64
"""Default limit of the memory of a training step: this much, or this many times the file's size if that is more."""
_MAX_EPOCHS = 2**31
"""Bounded because each epoch has its own stream of random numbers for the order of rows."""


def save_trainer(trainer: Trainer, path: str | os.PathLike[str]) -> None:
    """Write a checkpoint; see `Trainer.save_checkpoint`."""
    of_network = names_to_keep(trainer.network.layers)
    of_all = names_to_keep([*trainer.network.layers, *_parts_of(trainer)])
    with trainer.network.parameters.reading("save_checkpoint"):
        content = _checkpoint(trainer, of_network, of_all)
    write(path, content)


def _checkpoint(trainer: Trainer, of_network: Any, of_all: Any) -> bytes:
    network, position = trainer.network, trainer.position
    tensors = dict(network.parameters)
    for kind, vector in trainer.plan.state().items():
        tensors |= {f"{STATE}{kind}/{name}": part for name, part in parts_of(network, vector).items()}
    tensors = with_own_weights(tensors, trainer.exchanged, STATE)
    fit = Resumed.of(trainer)
    described, states = (None, {}) if fit is None else fit.describe(CALLBACKS)
    tensors |= states
    training = {
        **_settings(trainer),
        "fit": described,
        "history": _description_of_history(trainer.history),
        "training_calls": network.training_calls,
        "iteration": trainer.iteration,
        "steps": trainer.plan.steps,
        "epoch": trainer.epoch,
        "position": None
        if position is None or position.epoch != trainer.epoch
        else position.describe(trainer.iteration),
        **({CUSTOM: of_all} if of_all else {}),
    }
    return content_of(tensors, {"network": describe(network, of_network), "training": training})


def _settings(trainer: Trainer) -> dict[str, Any]:
    """What two trainers must have in common for one to go on where the other was."""
    return {
        "heads": [_description_of_head(head) for head in trainer.heads.all],
        "optimizer": optimizers.describe(trainer.optimizer),
        "shards": trainer.shards,
        "micro_batch_size": trainer.micro_batch_size,
        "gradient_callback": None if trainer.gradient_callback is None else function_name(trainer.gradient_callback),
    }


def restore_trainer(trainer: Trainer, path: str | os.PathLike[str], *, of_same_seed: bool = False) -> None:
    """Read a checkpoint into a trainer; see `Trainer.load_checkpoint`.

    With `of_same_seed`, a seed that the network was made with must be that of the file.
    """
    trainer.require_own_weights("load_checkpoint")
    roots = [*trainer.network.layers, *_parts_of(trainer), trainer.gradient_callback]
    other = load_trainer(path, custom_objects_of(roots), 2**62)
    with_seed = of_same_seed and trainer.network.seed_given
    difference = first_difference(_comparable(trainer, with_seed), _comparable(other, with_seed))
    if difference is not None:
        raise ValueError(
            f"{os.fspath(path)}: cannot be restored: expected a checkpoint of the same network and trainer, got "
            f"another {difference}; make a trainer of it with Trainer.resume(path), or remove the file to begin anew"
        )
    with trainer.network.parameters.training("load_checkpoint"):
        take_over(trainer, other)
    trainer.history, trainer.resumed = other.history, other.resumed


def _comparable(trainer: Trainer, with_seed: bool) -> dict[str, Any]:
    """Everything about network and trainer that `load_checkpoint` does not change, as JSON."""
    network = describe(trainer.network, [])
    settings = _settings(trainer)
    settings["optimizer"]["config"].pop("learning_rate", None)
    for fact in ("name", "frozen") if with_seed else ("name", "frozen", "seed"):
        del network[fact]
    compared: dict[str, Any] = json.loads(json.dumps({"network": network, **settings}))
    return compared


def load_trainer(
    path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None, max_bytes: int | None
) -> Trainer:
    """Read a checkpoint; see `Trainer.resume`."""
    own = checked_objects(custom_objects)
    most = None if max_bytes is None else integer("resume", "max_bytes", max_bytes)
    with reading(path) as file:
        training = file.description.get("training")
        if not isinstance(training, dict):
            raise ValueError("expected a checkpoint, got a network alone; read it with Network.load")
        require_custom_objects(training.get(CUSTOM, []), own)
        network = only_network_in(file, own)
        _require_room(network, max(_FREE_BYTES, _BYTES_OF_A_BYTE * file.tensors.size) if most is None else most)
        trainer = Trainer(
            network,
            **_heads_in(network, training, own),
            optimizer=optimizers.from_description(mapping(training, "optimizer"), own),
            shards=training.get("shards", 1),
            micro_batch_size=training.get("micro_batch_size"),
            gradient_callback=_gradient_callback(training.get("gradient_callback"), own),
        )
        trainer.plan.iteration = integer("checkpoint", "iteration", training.get("iteration"), minimum=0)
        trainer.plan.steps = _steps(training.get("steps"), trainer)
        trainer.epoch = integer("checkpoint", "epoch", training.get("epoch"), minimum=0, upper_bound=_MAX_EPOCHS)
        trainer.position = _position(training.get("position"), trainer)
        network.training_calls = integer("checkpoint", "training_calls", training.get("training_calls", 0), minimum=0)
        if "history" in training:
            trainer.history = _history(mapping(training, "history"))
        if training.get("fit") is not None:
            trainer.resumed = Resumed.from_description(training["fit"], file.tensors.all_beginning_with(CALLBACKS))
        _read_state(file, trainer)
        return trainer


def _parts_of(trainer: Trainer) -> list[Any]:
    heads = trainer.heads.all
    return [
        *(head.loss for head in heads),
        trainer.optimizer,
        *(metric for head in heads for metric in head.all_metrics),
    ]


def _description_of_head(head: Head) -> dict[str, Any]:
    return {
        "output": head.output,
        "loss": description_of(head.loss),
        "weight": head.weight,
        "metrics": [metrics.describe(metric) for metric in head.metrics],
        "weighted_metrics": [metrics.describe(metric) for metric in head.weighted_metrics],
    }


def _description_of_history(history: History) -> dict[str, Any]:
    """As `History.to_dict`, with the figures as a list of pairs, because files sort keys."""
    described = history.to_dict()
    return {**described, "history": list(described["history"].items())}


def _history(description: Mapping[str, Any]) -> History:
    pairs = description.get("history")
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise ValueError(f"expected names and figures of a history, got {short_repr(pairs)}")
    return History.from_dict({**description, "history": dict(pairs)})


def _heads_in(network: Network, training: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the trainer. Files of earlier versions have a single loss."""
    if "heads" not in training:
        named = [metrics.from_description(item, own) for item in training.get("metrics", [])]
        return {"loss": losses.get(mapping(training, "loss"), own), "metrics": named}
    stored, outputs = training["heads"], network.architecture.outputs
    count = len(outputs.names)
    if not isinstance(stored, list) or not all(isinstance(head, dict) for head in stored):
        raise ValueError(f"expected a list of heads, got {short_repr(stored)}")
    by_output: list[dict[str, Any]] = [{} for _ in range(count)]
    for head in stored:
        by_output[integer("heads", "output", head.get("output"), minimum=0, upper_bound=count)] = head
    chosen = [losses.get(mapping(head, "loss"), own) if head else None for head in by_output]
    measured = {
        kind: [[metrics.from_description(item, own) for item in head.get(kind, [])] for head in by_output]
        for kind in ("metrics", "weighted_metrics")
    }
    weights = [head.get("weight", 1.0) if head else None for head in by_output]
    if outputs.single:
        return {"loss": chosen[0], "loss_weights": weights, **{kind: lists[0] for kind, lists in measured.items()}}
    return {"loss": chosen, "loss_weights": weights, **measured}


def _gradient_callback(name: Any, own: Mapping[str, Any]) -> Any:
    return None if name is None else custom_function(own, "function", name)


def _require_room(network: Network, most: int) -> None:
    """Limit the memory of the tensors of one row and their gradients, which does not depend on the size of the file."""
    _, shapes, _ = network.architecture.infer()
    needed = 2 * sum(math.prod(shape) for shape in shapes.values()) * network.flat().itemsize
    if needed > most:
        raise ValueError(
            f"expected a training step of at most max_bytes = {most}, got tensors of {needed} bytes for each row; "
            f"pass max_bytes={needed} to Trainer.resume if you trust the file"
        )


def _read_state(file: File, trainer: Trainer) -> None:
    parts = {
        f"{STATE}{kind}/{name}": (kind, part)
        for kind, vector in trainer.plan.state().items()
        for name, part in parts_of(trainer.network, vector).items()
    }
    stored = {name for name in file.tensors.tensors if name.startswith(STATE)}
    if stored != set(parts):
        raise ValueError(f"expected the optimizer's state {name_list(parts)}, got {name_list(stored)}")
    for name, (kind, part) in parts.items():
        file.tensors.read_into(name, part)
        if kind in trainer.plan.squares() and (part < 0).any():
            raise ValueError(f"{name}: expected non-negative numbers, got a negative one; the file is damaged")


def _steps(stored: Any, trainer: Trainer) -> dict[str, int]:
    """Number of steps of each parameter; files without them are treated as if no parameter had ever been frozen."""
    names = list(trainer.plan.steps)
    if stored is None:
        return dict.fromkeys(names, trainer.iteration)
    if not isinstance(stored, dict) or set(stored) != set(names):
        raise ValueError(f"expected steps of the parameters {name_list(names)}, got {short_repr(stored)}")
    steps = {name: integer("steps", name, stored[name], minimum=0) for name in names}
    if max(steps.values(), default=0) > trainer.iteration:
        raise ValueError(f"expected at most {trainer.iteration} steps of each parameter, got {short_repr(stored)}")
    return steps


def _position(stored: Any, trainer: Trainer) -> Position | None:
    if stored is None:
        return None
    if not isinstance(stored, dict) or set(stored) != {"epoch", "rows", "batch_size", "start", "totals"}:
        raise ValueError(f"expected a position in the epoch, got {short_repr(stored)}")
    rows, size = (integer("position", key, stored[key]) for key in ("rows", "batch_size"))
    epoch, start = (integer("position", key, stored[key], minimum=0) for key in ("epoch", "start"))
    totals = stored["totals"]
    numbers = isinstance(totals, list) and all(isinstance(total, float) for total in totals)
    fits = (
        numbers
        and 0 <= len(totals) - trainer.plan.totals_size <= trainer.heads.most_traced_totals
        and epoch == trainer.epoch
        and 0 <= trainer.iteration - start <= -(-rows // size)
    )
    if not fits:
        raise ValueError(f"expected a position that fits the trainer, got {short_repr(stored)}")
    fields = {"epoch": epoch, "rows": rows, "batch_size": size, "start": start, "totals": totals}
    return Position.restore(fields, trainer.iteration)
