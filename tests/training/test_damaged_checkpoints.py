"""Checkpoints that are damaged or hostile: their optimizer's state, counters and position are checked."""

import contextlib
import functools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import examples
from safetensors.numpy import load, save

import nnfast as nf
from nnfast import layers


def edit_tensors(path: Path, edit: Any) -> None:
    edit_file(path, lambda tensors, _: edit(tensors))


def change(path: Path, edit: Any) -> None:
    """Edit the description of a file's training."""
    edit_file(path, lambda _, description: edit(description["training"]))


def edit_file(path: Path, edit: Any) -> None:
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    tensors, description = load(content), json.loads(header["__metadata__"]["nnfast"])
    description.pop("sha256", None)  # without it, what is edited is looked at
    edit(tensors, description)
    path.write_bytes(save(tensors, {"nnfast": json.dumps(description)}))


HOSTILE_TRAINING = {
    "no loss": lambda d: d["heads"][0].pop("loss"),
    "unknown loss": lambda d: d["heads"][0]["loss"].update({"class": "eval"}),
    "loss that does not fit": lambda d: d["heads"][0]["loss"]["config"].update(from_logits=True),
    "unknown optimizer": lambda d: d["optimizer"].update({"class": "Trainer"}),
    "rate as text": lambda d: d["optimizer"]["config"].update(learning_rate="fast"),
    "unknown metric": lambda d: d["heads"][0].update(metrics=["print"]),
    "function as metric": lambda d: d["heads"][0].update(metrics=[{"function": "print"}]),
    "negative iteration": lambda d: d.update(iteration=-1),
    "iteration as text": lambda d: d.update(iteration="1"),
    "iteration of more than 32 bits": lambda d: d.update(iteration=2**32),
    "position without rows": lambda d: d.update(position={"rows": 3}),
    "position as list": lambda d: d.update(position=[1]),
    "position too far": lambda d: d.update(
        position={"epoch": 0, "rows": 3, "batch_size": 1, "start": 99, "totals": [0.0]}
    ),
    "totals as text": lambda d: d.update(
        position={"epoch": 0, "rows": 3, "batch_size": 1, "start": 0, "totals": ["0"]}
    ),
    "another optimizer": lambda d: d.update(optimizer={"class": "SGD", "config": {"momentum": 0.5}}),
}


@pytest.mark.parametrize("edit", HOSTILE_TRAINING.values(), ids=HOSTILE_TRAINING)
def test_hostile_checkpoints_are_refused(edit: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    net = nf.Network([layers.Input((3,)), layers.Dense(2, "softmax")], seed=0)
    nf.Trainer(net, loss="cross_entropy").save_checkpoint(path)
    change(path, edit)
    with pytest.raises(ValueError, match=r"run\.safetensors"):
        nf.Trainer.resume(path)


def trained(optimizer: Any = "adam", metrics: Any = ("mae",)) -> nf.Trainer:
    net = nf.Network([layers.Input((2,)), layers.Dense(1)], seed=0)
    trainer = nf.Trainer(net, loss="mse", optimizer=optimizer, metrics=metrics)
    trainer.train_on_batch(np.ones((3, 2)), np.zeros((3, 1)))
    return trainer


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda t: t["optimizer/v/dense.kernel"].fill(-1), "v/dense.kernel: expected non-negative numbers"),
        (lambda t: t["optimizer/v/dense.bias"].fill(-1e-30), "v/dense.bias: expected non-negative numbers"),
        (lambda t: t["optimizer/v/dense.kernel"].fill(np.nan), "v/dense.kernel: expected finite numbers"),
        (lambda t: t["optimizer/m/dense.kernel"].fill(np.inf), "m/dense.kernel: expected finite numbers"),
        (lambda t: t.pop("optimizer/m/dense.kernel"), "expected the optimizer's state"),
        (lambda t: t.update({"optimizer/u/dense.kernel": np.zeros(1)}), "expected the optimizer's state"),
        (lambda t: t.update({"optimizer/m/dense.bias": np.zeros(1)}), "m/dense.bias: expected shape"),
    ],
)
def test_damaged_optimizer_state(tmp_path: Path, edit: Any, match: str) -> None:
    trained().save_checkpoint(tmp_path / "run")
    edit_tensors(tmp_path / "run", edit)
    with pytest.raises(ValueError, match=f"run: .*{match}"):
        nf.Trainer.resume(tmp_path / "run")


def test_a_mean_of_gradients_may_be_negative(tmp_path: Path) -> None:
    """Adam's m and the momentum have either sign."""
    for optimizer, name in (("adam", "m"), (nf.optimizers.SGD(0.1, momentum=0.9), "v")):
        run = trained(optimizer)
        run.save_checkpoint(tmp_path / "run")
        tensors = load((tmp_path / "run").read_bytes())
        kinds = {tensor.split("/")[1] for tensor in tensors if tensor.startswith("optimizer/")}
        for kind in kinds - {"v"} if name == "m" else kinds:
            edit_tensors(tmp_path / "run", lambda t, kind=kind: t[f"optimizer/{kind}/dense.kernel"].fill(-0.25))
        resumed = nf.Trainer.resume(tmp_path / "run")
        resumed.train_on_batch(np.ones((3, 2)), np.zeros((3, 1)))


POSITION = {"epoch": 2, "rows": 7, "batch_size": 2, "start": 10, "totals": [0.5, 0.25, 4.0]}


def with_position(path: Path, **changes: Any) -> None:
    """A checkpoint that stands in its third epoch, after the whole of four batches."""
    trained().save_checkpoint(path)
    change(path, lambda d: d.update(epoch=2, iteration=14, position=POSITION | changes))


def test_a_position_in_an_epoch(tmp_path: Path) -> None:
    with_position(tmp_path / "run")
    position = nf.Trainer.resume(tmp_path / "run").position
    assert position is not None
    assert position.describe(14) == POSITION


@pytest.mark.parametrize(
    "changes",
    [
        {"totals": [0.5]},
        {"totals": [0.5, 0.25, 0.0, 0.0]},
        {"totals": [0.5, 1, 4.0]},
        {"totals": {"0": 0.5, "1": 0.25, "2": 4.0}},
        {"totals": "abc"},
        {"epoch": 1},
        {"epoch": 3},
        {"epoch": -1},
        {"start": 9},
        {"start": 15},
        {"start": -1},
        {"rows": 0},
        {"batch_size": 0},
        {"batch_size": 3},
        {"rows": 6},
        {"rows": 7.0},
        {"more": 1},
    ],
    ids=str,
)
def test_positions_that_do_not_fit(tmp_path: Path, changes: dict[str, Any]) -> None:
    with_position(tmp_path / "run", **changes)
    with pytest.raises(ValueError, match=r"run: .*position"):
        nf.Trainer.resume(tmp_path / "run")


def test_the_last_epochs_that_can_be_counted(tmp_path: Path) -> None:
    """Training goes on beyond: the orders of the rows begin again."""
    run = trained()
    run.save_checkpoint(tmp_path / "run")
    change(tmp_path / "run", lambda d: d.update(epoch=2**31 - 1))
    resumed = nf.Trainer.resume(tmp_path / "run")
    resumed.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=2, batch_size=2, progress=False)
    assert resumed.epoch == 2**31 + 1
    for epoch in (2**31, 2**63, -1, 1.0):
        change(tmp_path / "run", lambda d, epoch=epoch: d.update(epoch=epoch))
        with pytest.raises(ValueError, match=r"run: .*checkpoint: expected .*epoch"):
            nf.Trainer.resume(tmp_path / "run")


def test_the_number_of_a_position_that_cannot_be_is_named(tmp_path: Path) -> None:
    for key, least in (("epoch", 0), ("start", 0), ("rows", 1), ("batch_size", 1)):
        with_position(tmp_path / "run", **{key: -1})
        with pytest.raises(ValueError, match=f"run: cannot be read: position: expected {key} >= {least}, got -1"):
            nf.Trainer.resume(tmp_path / "run")


# ---- changes at random -----------------------------------------------------------------

ODD: list[Any] = [None, True, "", "x", [], {}, [[]], 0, 1, -1, 7, 2**31, 2**32, 2**48, 2**63, 10**30, 0.5, -0.0, 1e30]


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all values within another."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*place, key)
        yield from places(item, (*place, key))


def changed(description: Any, rng: random.Random) -> Any:
    """A copy in which a value is another one, is missing, or stands twice."""
    copy = json.loads(json.dumps(description))
    *way, last = rng.choice(list(places(copy)))
    parent = functools.reduce(lambda value, key: value[key], way, copy)
    kind = rng.randrange(4)
    if kind == 0:
        del parent[last]
    elif kind == 1 and isinstance(parent, list):
        parent.insert(0, parent[last])
    elif kind == 2 and isinstance(parent, dict):
        parent[rng.choice(["name", "units", "class", "config", "x"])] = parent[last]
    else:
        parent[last] = rng.choice(ODD)
    return copy


def test_any_change_of_a_description_is_refused_or_harmless(tmp_path: Path) -> None:
    """Either a ValueError that names the file, or a trainer that trains."""
    path = tmp_path / "run"
    net = nf.Network([layers.Input((6, 2)), layers.Conv1D(3, 2, strides=2), layers.Flatten(), layers.Dense(2)], seed=0)
    optimizer = nf.optimizers.Adam(nf.schedules.Cosine(0.1, 10))
    run = nf.Trainer(net, loss="huber", optimizer=optimizer, metrics=["mae"])
    x, y = np.ones((4, 6, 2)), np.zeros((4, 2))
    run.train_on_batch(x, y)
    run.save_checkpoint(path)
    change(path, lambda d: d.update(iteration=1, position={**POSITION, "epoch": 0, "start": 0}))
    sound = path.read_bytes()
    header = json.loads(sound[8 : 8 + int.from_bytes(sound[:8], "little")])
    description, tensors = json.loads(header["__metadata__"]["nnfast"]), load(sound)
    rng = random.Random(0)
    refused = 0
    tries = examples(200)
    for _ in range(tries):
        path.write_bytes(save(tensors, {"nnfast": json.dumps(changed(description, rng))}))
        try:
            resumed = nf.Trainer.resume(path)
        except ValueError as error:
            assert str(error).startswith(f"{path}: cannot be read: ")  # noqa: PT017
            assert len(str(error)) < 2500  # noqa: PT017
            refused += 1
        else:
            net = resumed.network
            with contextlib.suppress(RuntimeError):  # a rate that lets an update overflow, which training says
                resumed.train_on_batch(np.ones((4, *net.input_shape)), np.zeros((4, *net.output_shape)))
            assert all(np.isfinite(weights).all() for weights in net.get_weights())
    assert tries // 2 < refused < tries
