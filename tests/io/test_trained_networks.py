"""Trained networks that are saved, copied and resumed: nothing of them is what it was when they were made."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optimizer_cases import EVERY, parts
from small_networks import Scale, autoencoder, bits, duplicates, fork, inputs_of, nested, randomize, same, twins

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

ROWS = 9


OBJECTS = {"Scale": Scale}


def dense(dtype: str) -> nf.Network:
    chain = [layers.Input((5,)), layers.Dense(7, "relu"), layers.LayerNormalization(), layers.Dense(3, "tanh")]
    return nf.Network(chain, seed=1, dtype=dtype)


def convolutional(dtype: str) -> nf.Network:
    """With moving averages, and with noise that is new in each step."""
    chain = [
        layers.Input((6, 6, 2)),
        *(layers.Conv2D(4, 3, use_bias=False), layers.BatchNormalization(momentum=0.8), layers.ReLU()),
        *(layers.DepthwiseConv2D(2), layers.SpatialDropout2D(0.3), layers.GroupNormalization(2), layers.MaxPool2D(2)),
        *(layers.Flatten(), layers.GaussianNoise(0.1), layers.Dropout(0.3), layers.Dense(3)),
    ]
    return nf.Network(chain, seed=2, dtype=dtype)


def custom(dtype: str) -> nf.Network:
    return nf.Network([layers.Input((4,)), Scale(), layers.Dense(3, "gelu"), Scale()], seed=8, dtype=dtype)


TRAINABLE: dict[str, Callable[..., nf.Network]] = {
    "dense": dense,
    "convolutional": convolutional,
    "shared layers, two inputs": twins,
    "tied kernels": autoencoder,
    "nested": nested,
    "custom layers": custom,
}

every_network = pytest.mark.parametrize("name", TRAINABLE)


def batch(net: nf.Network, seed: int) -> tuple[Any, Array]:
    rng = np.random.default_rng(seed)
    return inputs_of(net, rng, ROWS), rng.normal(size=(ROWS, *net.output_shape)).astype(net.dtype)


def step(trainer: nf.Trainer, seed: int) -> float:
    return trainer.train_on_batch(*batch(trainer.network, seed))


def trained(name: str, optimizer: Any, dtype: str = "float32") -> nf.Trainer:
    net = randomize(TRAINABLE[name](dtype), np.random.default_rng(3))
    before = {name: view.copy() for name, view in net.parameters.items()}
    trainer = nf.Trainer(net, loss="mse", optimizer=optimizer)
    for seed in range(3):
        step(trainer, seed)
    moved = {name for name, view in net.parameters.items() if (view != before[name]).any()}
    assert moved == {*net.trainable, *net.statistics}
    return trainer


def require_equal(twin: nf.Network, net: nf.Network, x: Any, way: str) -> None:
    """Names, values, what is trained, and predictions in the same form."""
    assert type(twin.predict(x)) is type(net.predict(x)), way
    assert bits(twin.predict(x)) == bits(net.predict(x)), way
    assert list(twin.parameters) == list(net.parameters), way
    assert same(twin, net), way
    assert (twin.trainable, twin.frozen, twin.statistics) == (net.trainable, net.frozen, net.statistics), way
    assert twin.summary() == net.summary(), way


@every_network
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_files_and_copies_of_a_network(name: str, dtype: str, tmp_path: Path) -> None:
    net = trained(name, "adam", dtype).network
    net.freeze(net.trainable[0])
    x, y = batch(net, 10)
    twins = duplicates(net, tmp_path, OBJECTS)
    twins["file"].save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "net.safetensors").read_bytes()
    for way, twin in twins.items():
        require_equal(twin, net, x, way)
    before = net.get_weights()
    found = []
    for one in (*twins.values(), net):  # the original last: the others' steps must not have moved it
        trainer = nf.Trainer(one, loss="mse", optimizer=nf.optimizers.SGD(0.1, momentum=0.9))
        if one is net:
            assert all((a == b).all() for a, b in zip(net.get_weights(), before, strict=True))
        found.append([trainer.train_on_batch(x, y) for _ in range(2)])
    assert all(losses == found[0] for losses in found)
    for way, twin in twins.items():
        require_equal(twin, net, x, way)


@every_network
@pytest.mark.parametrize("kind", EVERY)
def test_checkpoints_and_copies_of_a_trainer(name: str, kind: str, tmp_path: Path) -> None:
    """They take the steps that it would have taken: its state vectors, its counter and its random numbers go on."""
    trainer = trained(name, EVERY[kind](0.01))
    trainer.save_checkpoint(tmp_path / "run")
    ways = {
        "checkpoint": nf.Trainer.resume(tmp_path / "run", custom_objects=OBJECTS),
        "pickle": pickle.loads(pickle.dumps(trainer)),
        "deepcopy": copy.deepcopy(trainer),
    }
    ways["checkpoint"].save_checkpoint(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "run").read_bytes()
    x, _ = batch(trainer.network, 10)
    for way, other in ways.items():
        require_equal(other.network, trainer.network, x, way)
        assert parts(other) == parts(trainer), way
        assert other.iteration == 3, way
    for seed in (20, 21):
        assert len({step(one, seed) for one in (*ways.values(), trainer)}) == 1
    assert all(parts(other) == parts(trainer) for other in ways.values())


def test_two_outputs(tmp_path: Path) -> None:
    """A trainer has one loss: one output is trained, in a network that has the same layers."""
    net = fork("float32")
    x = layers.Input((3,), name="x")
    y = layers.Dense(2, name="z")(layers.Dense(4, "relu", name="y")(x))
    trainer = nf.Trainer(nf.Network(inputs=x, outputs=y, seed=1), loss="mse")
    for seed in range(3):
        step(trainer, seed)
    net.parameters.update(trainer.network.parameters)
    rows = inputs_of(net, np.random.default_rng(10), ROWS)
    assert bits(net.predict(rows)["z"]) == bits(trainer.network.predict(rows[0]))
    for way, twin in duplicates(net, tmp_path, {}).items():
        require_equal(twin, net, rows, way)
