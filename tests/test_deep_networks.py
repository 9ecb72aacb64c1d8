"""Networks of thousands of layers; only with -m slow."""

from pathlib import Path

import numpy as np
import pytest
from small_networks import bits, duplicates, randomize, same

import nnfast as nf
from nnfast import layers

pytestmark = pytest.mark.slow

BLOCKS = 1000


def chain() -> nf.Network:
    blocks = [[layers.Dense(4, "tanh"), layers.LayerNormalization(), layers.ReLU()] for _ in range(BLOCKS)]
    return nf.Network([layers.Input((4,)), *sum(blocks, []), layers.Dense(2)], seed=0)


def sums() -> nf.Network:
    """What comes out of each block is added to what went in."""
    x = layers.Input((4,))
    y = layers.Dense(4)(x)
    for _ in range(BLOCKS):
        y = layers.Add()([y, layers.Dense(4, "tanh")(layers.LayerNormalization()(y))])
    return nf.Network(inputs=x, outputs=layers.Dense(2)(y), seed=0)


def networks_in_networks() -> nf.Network:
    """As deep as names of parameters can be shown."""
    net = nf.Network([layers.Input((4,)), layers.Dense(4, "tanh")], seed=0)
    for _ in range(BLOCKS // 20):
        x = layers.Input((4,))
        net = nf.Network(inputs=x, outputs=net(x) + layers.Dense(4)(x), seed=0, name="n")
    return net


@pytest.mark.parametrize("make", [chain, sums, networks_in_networks])
def test_thousands_of_layers(make: object, tmp_path: Path, rng: np.random.Generator) -> None:
    """Nothing recurses; files and copies predict and train with the same bits."""
    assert callable(make)
    net = randomize(make(), rng)
    x = rng.normal(size=(5, 4)).astype("float32")
    y = rng.normal(size=(5, *net.output_shape)).astype("float32")
    assert nf.check_gradients(net, x, y, "mse", max_elements=1) or make is chain
    assert len(net.summary().splitlines()) > BLOCKS // 20
    twins = duplicates(net, tmp_path, {})
    for twin in twins.values():
        assert bits(twin.predict(x)) == bits(net.predict(x))
    losses = {nf.Trainer(one, loss="mse", optimizer="sgd").train_on_batch(x, y) for one in (net, *twins.values())}
    assert len(losses) == 1
    assert all(same(twin, net) for twin in twins.values())
