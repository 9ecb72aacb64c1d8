"""Networks of thousands of layers; only with -m slow."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_networks import bits, duplicates, randomize, same

import nnfast as nf
from nnfast import layers

pytestmark = pytest.mark.slow

BLOCKS = 1000


def chain() -> nf.Network:
    net: list[layers.Layer] = [layers.Input((4,))]
    for _ in range(BLOCKS):
        net += [layers.Dense(4, "tanh"), layers.LayerNormalization(), layers.ReLU()]
    return nf.Network([*net, layers.Dense(2)], seed=0)


def sums() -> nf.Network:
    """What comes out of each block is added to what went in."""
    x = layers.Input((4,))
    y = layers.Dense(4)(x)
    for _ in range(BLOCKS):
        y = layers.Add()([y, layers.Dense(4, "tanh")(layers.LayerNormalization()(y))])
    return nf.Network(inputs=x, outputs=layers.Dense(2)(y), seed=0)


def networks_in_networks() -> nf.Network:
    """As deep as a name may be long: each network's stands before those of its layers."""
    net = nf.Network([layers.Input((4,)), layers.Dense(4, "tanh")], seed=0)
    for _ in range(40):
        x = layers.Input((4,))
        net = nf.Network(inputs=x, outputs=net(x) + layers.Dense(4)(x), seed=0, name="n")
    return net


@pytest.mark.parametrize("make", [chain, sums, networks_in_networks])
def test_files_and_copies(make: Callable[[], nf.Network], tmp_path: Path, rng: np.random.Generator) -> None:
    """Nothing recurses; they predict and train with the same bits."""
    net = randomize(make(), rng)
    x = rng.normal(size=(5, 4)).astype("float32")
    y = rng.normal(size=(5, *net.output_shape)).astype("float32")
    assert len(net.summary().splitlines()) > len(net.layers)
    twins = duplicates(net, tmp_path, {})
    for twin in twins.values():
        assert bits(twin.predict(x)) == bits(net.predict(x))
    losses = {nf.Trainer(one, loss="mse", optimizer="sgd").train_on_batch(x, y) for one in (net, *twins.values())}
    assert len(losses) == 1
    assert all(same(twin, net) for twin in twins.values())


def test_gradients_come_through_thousands_of_layers(rng: np.random.Generator) -> None:
    """The values grow to a loss of some hundreds, whose rounding the differences show a hundred times larger."""
    x, y = rng.normal(size=(2, 4)), rng.normal(size=(2, 2))
    report = nf.check_gradients(sums(), x, y, "mse", max_elements=1, tolerance=1e-4)
    assert report, f"\n{report}"
