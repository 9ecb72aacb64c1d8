"""activity_regularizer=: penalties on the outputs of layers, alone, shared, nested, and in files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_networks import duplicates, same

import nnfast as nf
from nnfast import layers, ops, regularizers
from nnfast.core.typing import Array

X = np.random.default_rng(0).normal(size=(6, 4))


def network(regularizer: Any, activation: Any = "tanh") -> nf.Network:
    hidden = layers.Dense(3, activation, activity_regularizer=regularizer, name="hidden")
    return nf.Network([layers.Input((4,)), hidden, layers.Dense(2)], seed=0, dtype="float64")


def added(net: nf.Network, x: Array = X) -> float:
    """What the loss has besides the error of a perfect prediction."""
    return nf.Trainer(net, loss="mse").evaluate(x, net.predict(x))["loss"]


def hidden(net: nf.Network) -> Array:
    return net.trace(X)["hidden"]


@pytest.mark.parametrize(
    ("regularizer", "l1", "l2"),
    [
        (regularizers.L1(0.3), 0.3, 0.0),
        (regularizers.L2(0.2), 0.0, 0.2),
        (regularizers.L1L2(0.3, 0.2), 0.3, 0.2),
        ("l1", 0.01, 0.0),
        (regularizers.L1L2(), 0.0, 0.0),
    ],
)
def test_the_mean_over_rows_of_a_sum_over_elements(regularizer: Any, l1: float, l2: float) -> None:
    net = network(regularizer)
    h = hidden(net)
    wanted = (l1 * np.abs(h) + l2 * h**2).sum(axis=1).mean()
    assert added(net) == pytest.approx(wanted, rel=1e-13)
    assert nf.check_gradients(net, X, np.zeros((6, 2)), "mse")


def test_it_is_that_of_the_layer_after_it() -> None:
    own = network(regularizers.L1L2(0.3, 0.2))
    chain = [layers.Input((4,)), layers.Dense(3, "tanh"), layers.ActivityRegularization(0.3, 0.2), layers.Dense(2)]
    beside = nf.Network(chain, seed=0, dtype="float64")
    beside.set_weights(own.get_weights())
    y = np.ones((6, 2))
    (loss, ours), (other, theirs) = (net.loss_and_gradients(X, y, "mse") for net in (own, beside))
    assert loss == pytest.approx(other, rel=1e-14)
    for a, b in zip(ours.values(), theirs.values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def sparsity(h: Any) -> Any:
    mean = ops.mean(h, axis=0)
    return 0.5 * ops.sum(0.1 * ops.log(0.1 / mean) + 0.9 * ops.log(0.9 / (1 - mean)))


def test_a_function_sees_the_batch() -> None:
    """The sparsity of Ng (2011), which is one of means over the batch."""
    net = network(sparsity, "sigmoid")
    mean = hidden(net).mean(axis=0)
    wanted = 0.5 * (0.1 * np.log(0.1 / mean) + 0.9 * np.log(0.9 / (1 - mean))).sum()
    assert added(net) == pytest.approx(wanted, rel=1e-13)
    assert nf.check_gradients(net, X, np.zeros((6, 2)), "mse")


def of_rows(h: Any) -> Any:
    return ops.max(h, axis=-1)


def test_a_function_of_each_row() -> None:
    net = network(of_rows)
    assert added(net) == pytest.approx(hidden(net).max(axis=1).mean(), rel=1e-13)


def test_images() -> None:
    conv = layers.Conv2D(3, 2, activation="relu", activity_regularizer=regularizers.L1(0.5), name="conv")
    net = nf.Network([layers.Input((4, 5, 2)), conv, layers.Flatten(), layers.Dense(1)], seed=0, dtype="float64")
    x = np.random.default_rng(1).normal(size=(3, 4, 5, 2))
    wanted = 0.5 * np.abs(net.trace(x)["conv"]).sum(axis=(1, 2, 3)).mean()
    assert added(net, x) == pytest.approx(wanted, rel=1e-13)


def test_each_call_of_a_layer_counts() -> None:
    x = layers.Input((4,))
    layer = layers.Dense(4, "tanh", activity_regularizer=regularizers.L2(0.5), name="hidden")
    net = nf.Network(inputs=x, outputs=layer(layer(x)), seed=0, dtype="float64")
    traced = net.trace(X)
    wanted = sum(0.5 * (traced[name] ** 2).sum(axis=1).mean() for name in ("hidden", "hidden:2"))
    assert added(net) == pytest.approx(wanted, rel=1e-13)


class Block(layers.Layer):
    """Its last layer has a penalty, and so has the block."""

    def __init__(self, activity_regularizer: Any = None, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.activity_regularizer = regularizers.get(activity_regularizer)

    def build(self, input_shape: Any) -> None:
        self.dense = layers.Dense(3, "tanh", activity_regularizer=regularizers.L1(0.5), name="inner")

    def call(self, x: Any) -> Any:
        return self.dense(x)


def test_layers_within_layers(tmp_path: Path) -> None:
    net = nf.Network([layers.Input((4,)), Block("l2", name="hidden"), layers.Dense(2)], seed=0, dtype="float64")
    h = hidden(net)
    wanted = (0.5 * np.abs(h) + 0.01 * h**2).sum(axis=1).mean()
    assert added(net) == pytest.approx(wanted, rel=1e-13)
    for way, twin in duplicates(net, tmp_path, {"Block": Block}).items():
        assert added(twin) == added(net), way


def test_in_a_network_within_a_network() -> None:
    inner = network(regularizers.L1(0.5))
    x = layers.Input((4,))
    outer = nf.Network(inputs=x, outputs=layers.Dense(2)(inner(x)), seed=1, dtype="float64")
    assert added(outer) == pytest.approx(added(inner), rel=1e-13)


def test_attention_is_penalized_once_for_each_projection() -> None:
    """As in Keras: queries, keys, values, and the output."""
    x = layers.Input((3, 4))
    attention = layers.MultiHeadAttention(2, 2, activity_regularizer=regularizers.L2(0.5), name="attention")
    net = nf.Network(inputs=x, outputs=attention(x), seed=0)
    rows = np.random.default_rng(0).normal(size=(5, 3, 4)).astype("float32")
    parts = [f"attention.{part}" for part in ("query", "key", "value")] + ["attention"]
    traced = net.trace(rows)
    expected = sum(0.5 * np.square(traced[part], dtype="float64").sum() / len(rows) for part in parts)
    np.testing.assert_allclose(added(net, rows), expected, rtol=1e-5)


@pytest.mark.parametrize("regularizer", [regularizers.L1(0.25), sparsity])
def test_files_and_copies(regularizer: Any, tmp_path: Path) -> None:
    net = network(regularizer, "sigmoid")
    twins = duplicates(net, tmp_path, {"sparsity": sparsity})
    for way, twin in twins.items():
        assert repr(twin.layers[1]) == repr(net.layers[1]), way
        assert added(twin) == added(net), way
    y = np.ones((6, 2))
    losses = {nf.Trainer(one, loss="mse", optimizer="sgd").train_on_batch(X, y) for one in (net, *twins.values())}
    assert len(losses) == 1
    assert all(same(twin, net) for twin in twins.values())


def test_frozen_layers_are_penalized_too() -> None:
    """The penalty is one of the output, which layers before it change."""
    net = network(regularizers.L1(0.5))
    before = added(net)
    net.freeze("hidden")
    assert added(net) == before


def test_prediction_does_not_compute_it() -> None:
    net, plain = network("l1"), network(None)
    assert [row["op"] for row in net.describe()] == [row["op"] for row in plain.describe()]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: network("l3"), ValueError, "unknown regularizer 'l3'; did you mean"),
        (lambda: network(0.01), TypeError, r"write regularizers\.L2"),
        (lambda: network(lambda h: 3.0), ValueError, "hidden: .*expected a penalty computed from the layer's output"),
        (lambda: network("orthogonal"), ValueError, "expected weights, got the output of a layer"),
        (lambda: network(lambda h: ops.sum(h * np.arange(3.0))), ValueError, "a function of its argument and of"),
    ],
)
def test_what_is_refused(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()
