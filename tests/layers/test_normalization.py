"""Normalizing layers and noise in training: batch statistics, moving averages, and what may not change them."""

import copy
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.dropout import dropout
from reference.normalization import batch_norm
from reference.philox import random_normal
from small_networks import randomize

import nnfast as nf
from nnfast import _core, layers
from nnfast.core.typing import Array

EPS = np.finfo(np.float64).eps
FIRST_STREAM = 1 << 30  # of a network's nodes; see csrc/plan/build.cpp


def network(*chain: layers.Layer, shape: Sequence[int] = (6,), dtype: str = "float64") -> nf.Network:
    head = [layers.Flatten(), layers.Dense(3, name="head")]
    return nf.Network([layers.Input(shape), *chain, *head], seed=5, dtype=dtype)


def at_random(net: nf.Network) -> nf.Network:
    return randomize(net, np.random.default_rng(17))


def data(shape: Sequence[int] = (6,), rows: int = 8, dtype: str = "float64") -> tuple[Array, Array]:
    rng = np.random.default_rng(11)
    x = 3 + 2 * rng.standard_normal((rows, *shape))
    return x.astype(dtype), rng.standard_normal((rows, 3)).astype(dtype)


def training_values(net: nf.Network, x: Array, training: bool = True) -> dict[str, Array]:
    """All tensors of a forward pass as the first training step makes it."""
    net = net.copy()  # whose moving averages stay
    plan = net.plan(len(x), heads=net.heads("test", "mse"), keep=True, fuse=False)
    plan.run(x, training)
    values: dict[str, Array] = plan.values()
    return values


def moving(net: nf.Network) -> tuple[Array, Array]:
    name = "batch_normalization.moving_"
    return net.parameters[f"{name}mean"], net.parameters[f"{name}variance"]


@pytest.mark.parametrize("shape", [(6,), (4, 5, 3), (7, 70)])
def test_training_takes_the_statistics_of_the_batch(shape: Sequence[int]) -> None:
    net = at_random(network(layers.BatchNormalization(), shape=shape))
    x, _ = data(shape)
    gamma, beta, mean, variance = (view.copy() for view in net.get_weights()[:4])
    # The moving averages are far from the batch's, and it is these that prediction takes.
    got = training_values(net, x, training=False)["batch_normalization"]
    wanted = gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta
    np.testing.assert_allclose(got, wanted, rtol=0, atol=64 * EPS)
    got = training_values(net, x)["batch_normalization"]
    np.testing.assert_allclose(got, batch_norm(x, gamma, beta, 1e-3), rtol=0, atol=200 * EPS)


@pytest.mark.parametrize("rows", [1, 8])
def test_moving_averages_follow_the_batches(rows: int) -> None:
    net = network(layers.BatchNormalization(momentum=0.75), shape=(4, 5, 3))
    trainer = nf.Trainer(net, loss="mse", optimizer="sgd")
    mean, variance = np.zeros(3), np.ones(3)
    for step in range(4):
        x, y = data((4, 5, 3), rows)
        trainer.train_on_batch(x + step, y)
        mean = 0.75 * mean + 0.25 * (x + step).mean(axis=(0, 1, 2))
        variance = 0.75 * variance + 0.25 * x.var(axis=(0, 1, 2))
    for got, wanted in zip(moving(net), (mean, variance), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-13)


def test_a_batch_of_one_row_has_variance_0() -> None:
    net = network(layers.BatchNormalization(momentum=0.5, beta_initializer=0.25))
    x, y = data(rows=1)
    rounding = 2 * EPS * np.abs(x) / np.sqrt(1e-3)
    assert (np.abs(training_values(net, x)["batch_normalization"] - 0.25) <= rounding).all()
    nf.Trainer(net, loss="mse").train_on_batch(x, y)
    assert (moving(net)[1] == 0.5).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(4, 3, 3, 2), (5, 70), (300, 16), (2, 9, 9, 33)])
@pytest.mark.parametrize("value", [0.3, -255.0, 1e4 + 0.3, 123456.7, 1e8 + 8, 1.23456e10])
def test_equal_numbers_become_beta(value: float, shape: tuple[int, ...], dtype: str) -> None:
    """x - mean = 0, however large x is beside the deviation that epsilon leaves."""
    x = np.full(shape, value, dtype)
    n = shape[-1]
    beta = np.linspace(-1, 1, n, dtype=dtype)
    gamma = np.linspace(0.5, 3, n, dtype=dtype)
    wanted = np.broadcast_to(beta, shape)
    mean, none = np.full(n, value, dtype), np.zeros(n, dtype)
    for options in ({}, {"mean": mean, "variance": none}):
        y = nf.kernels.batch_norm_forward(x, gamma, beta, **options)
        np.testing.assert_array_equal(y[0] if isinstance(y, tuple) else y, wanted)
    np.testing.assert_array_equal(nf.kernels.group_norm_forward(x, gamma, beta, groups=1), wanted)
    np.testing.assert_array_equal(nf.kernels.layer_norm_forward(x, gamma, beta), wanted)


PRODUCTS: dict[str, Callable[[], layers.Layer]] = {
    "dense": lambda: layers.Dense(5, use_bias=False),
    "pointwise": lambda: layers.Conv2D(5, 1, use_bias=False),
    "few filters": lambda: layers.Conv2D(2, 3, use_bias=False),
    "many filters": lambda: layers.Conv2D(40, 3, use_bias=False),
    "Winograd's": lambda: layers.Conv2D(16, 3, use_bias=False),
    "depthwise": lambda: layers.DepthwiseConv2D(3, use_bias=False),
}


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("name", PRODUCTS)
def test_equal_numbers_become_beta_in_the_product_before(name: str, rows: int) -> None:
    channels = 16 if name in ("Winograd's", "depthwise") else 4
    net = nf.Network([layers.Input((7, 6, channels)), PRODUCTS[name](), layers.BatchNormalization()], seed=0)
    product = next(n for n in net.parameters if n.endswith("kernel"))
    net.parameters[product][...] = 0
    net.parameters[product][0] = 1e5 / 3  # the taps of one row, all alike
    x = np.ones((rows, 7, 6, channels), "float32")
    values = net.trace(x)
    sums = next(v for n, v in values.items() if n == product.split(".")[0])
    assert (sums == sums.flat[0]).all()
    assert abs(sums.flat[0]) > 1e4
    net.parameters["batch_normalization.moving_mean"][...] = sums.flat[0]
    net.parameters["batch_normalization.moving_variance"][...] = 0
    net.parameters["batch_normalization.beta"][...] = 0.375
    assert "batch_normalization" not in [row["op"] for row in net.plan(rows).describe()]
    assert (net.predict(x) == 0.375).all()


@pytest.mark.parametrize("relu", [False, True])
def test_gradients_where_the_mean_is_large(relu: bool) -> None:
    """d_gamma sums g (x - mean), and float32's rounding of a mean of 1e5 is a thousandth of the deviation."""
    rng = np.random.default_rng(2)
    x = (1e5 + rng.standard_normal((4000, 3))).astype("float32")
    dy = (1 + rng.random((4000, 3))).astype("float32")  # whose sum makes the rounding count
    gamma, beta = np.array([0.5, 1, 2], "float32"), np.array([0.25, -0.25, 1], "float32")
    wide, activation = x.astype("float64"), "relu" if relu else "identity"
    deviation = np.sqrt(wide.var(axis=0) + 1e-3)
    unit = (wide - wide.mean(axis=0)) / deviation
    g = np.where(gamma * unit + beta > 0, dy, 0) if relu else dy.astype("float64")
    dx, d_gamma, d_beta = nf.kernels.batch_norm_backward(dy, x, gamma, beta, activation=activation)
    np.testing.assert_allclose(d_beta, g.sum(axis=0), rtol=1e-5)
    # A sign that rounding turns moves a sum by one dy at most, where y is 0; the rounding itself is of each term.
    rounding = 4000 * 2 * 2**-23 * 4
    np.testing.assert_allclose(d_gamma, (g * unit).sum(axis=0), atol=rounding)
    g_gamma = g * gamma
    wanted = (g_gamma - g_gamma.mean(axis=0) - unit * (g_gamma * unit).mean(axis=0)) / deviation
    np.testing.assert_allclose(dx, wanted, atol=1e-4)


def test_epsilon_is_added_to_the_variance() -> None:
    """By default .001, Keras's, in the layer and in the ready-made networks' blocks."""
    x = np.array([[0.0], [2.0]])
    for options, epsilon in (({}, 1e-3), ({"epsilon": 0.25}, 0.25)):
        net = nf.Network([layers.Input((1,)), layers.BatchNormalization(**options)], dtype="float64")
        values = training_values(net, x)["batch_normalization"]
        np.testing.assert_allclose(values, (x - 1) / np.sqrt(1 + epsilon), rtol=4 * EPS)
        np.testing.assert_allclose(net.predict(x), x / np.sqrt(1 + epsilon), rtol=4 * EPS)


LAYERS: dict[str, tuple[Callable[[], list[layers.Layer]], Sequence[int]]] = {
    "batch": (lambda: [layers.BatchNormalization()], (6,)),
    "batch, relu": (lambda: [layers.Dense(5), layers.BatchNormalization(), layers.ReLU()], (6,)),
    "batch of images": (lambda: [layers.Dense(4), layers.BatchNormalization(), layers.ReLU()], (3, 4, 2)),
    "batch without gamma and beta": (
        lambda: [layers.Dense(5), layers.BatchNormalization(0.9, 1e-3, False, False)],
        (6,),
    ),
    "layer": (lambda: [layers.Dense(5), layers.LayerNormalization()], (3, 2)),
    "group": (lambda: [layers.Dense(6), layers.GroupNormalization(3)], (3, 4, 2)),
    "noise": (lambda: [layers.Dense(6), layers.GaussianNoise(0.5)], (6,)),
    "spatial dropout": (lambda: [layers.Dense(6), layers.SpatialDropout2D(0.5)], (3, 4, 2)),
    "spatial dropout in time": (lambda: [layers.Dense(6), layers.SpatialDropout1D(0.5)], (3, 2)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_in_training(name: str) -> None:
    make, shape = LAYERS[name]
    net = at_random(network(*make(), shape=shape))
    before = net.flat().copy()
    x, y = data(shape)
    report = nf.check_gradients(net, x, y, "mse", training=True)
    # A bias before a normalization has no effect: its gradient is 0, and its difference rounding.
    assert {n for n, error in report.errors.items() if error > report.tolerance} <= {"dense.bias"}, f"\n{report}"
    gradients = net.copy().loss_and_gradients(x, y, "mse", training=True)[1]
    assert list(gradients) == net.trainable == list(report.errors)
    if name.startswith("batch") and "dense.bias" in gradients:
        assert np.abs(gradients["dense.bias"]).max() < 1e-13
    assert net.flat().tobytes() == before.tobytes()


def test_the_averages_are_no_trained_parameters() -> None:
    net = network(layers.BatchNormalization(), layers.BatchNormalization(trainable=("gamma",)), layers.ReLU())
    assert net.trainable == [
        *("batch_normalization.gamma", "batch_normalization.beta", "batch_normalization_1.gamma"),
        *("head.kernel", "head.bias"),
    ]
    assert net.statistics == [f"batch_normalization{i}.moving_{n}" for i in ("", "_1") for n in ("mean", "variance")]
    assert net.frozen == ["batch_normalization_1.beta"]
    assert net.num_parameters == 8 * 6 + 21 == sum(w.size for w in net.get_weights())
    assert "Parameters: 69 (552 bytes), trainable 39, frozen 6, moving averages 24" in net.summary()
    net.freeze()
    assert net.trainable == []
    net.unfreeze()
    assert len(net.trainable) == 6
    assert net.frozen == []


@pytest.mark.parametrize("how", ["made so", "frozen later"])
def test_a_frozen_layer_uses_its_averages_in_training(how: str) -> None:
    net = network(layers.BatchNormalization(trainable=how != "made so"))
    if how == "frozen later":
        net.freeze("batch_normalization")
    moving(net)[0][...] = 2.0
    moving(net)[1][...] = 3.0
    x, y = data()
    wanted = training_values(net, x, training=False)["batch_normalization"]
    assert training_values(net, x)["batch_normalization"].tobytes() == wanted.tobytes()
    nf.Trainer(net, loss="mse").train_on_batch(x, y)
    assert (moving(net)[0] == 2).all()
    assert (moving(net)[1] == 3).all()
    assert (net.parameters["batch_normalization.gamma"] == 1).all()


def test_with_gamma_and_beta_frozen_the_averages_move_on() -> None:
    net = network(layers.BatchNormalization(momentum=0.5))
    net.freeze("batch_normalization.gamma", "batch_normalization.beta")
    x, y = data()
    nf.Trainer(net, loss="mse").train_on_batch(x, y)
    np.testing.assert_allclose(moving(net)[0], 0.5 * x.mean(axis=0), rtol=1e-13)
    net.freeze("batch_normalization.moving_mean")
    before = [array.copy() for array in moving(net)]
    nf.Trainer(net, loss="mse").train_on_batch(x, y)
    assert (moving(net)[0] == before[0]).all()
    assert (moving(net)[1] != before[1]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_relu_that_runs_inside_changes_no_bit(dtype: str) -> None:
    ends: list[tuple[bytes, ...]] = []
    x, y = data((5, 5, 3), 9, dtype)
    for fuse in (True, False):
        chain = [layers.Dense(7), layers.BatchNormalization(momentum=0.8), layers.Activation("relu")]
        net = at_random(network(*chain, shape=(5, 5, 3), dtype=dtype))
        plan = net.plan(9, heads=net.heads("test", "mse"), optimizer=nf.optimizers.get("adam").spec(), fuse=fuse)
        assert ("activation" in [row["op"] for row in plan.describe()]) != fuse
        losses = [plan.train_step(x, y, None, 0.01) for _ in range(4)]
        ends.append((np.array(losses).tobytes(), net.flat().tobytes(), net.plan(9, fuse=fuse).predict(x).tobytes()))
    assert ends[0] == ends[1]


def test_a_relu_runs_inside_only_where_nobody_else_reads() -> None:
    source = layers.Input((6,))
    normal = layers.BatchNormalization()(source)
    both = nf.Network(inputs=source, outputs=layers.ReLU()(normal) + normal, seed=0)
    assert "expression" in [row["op"] for row in both.describe().rows]
    last = nf.Network([layers.Input((6,)), layers.BatchNormalization(), layers.ReLU()], seed=0)
    assert [row["op"] for row in last.describe().rows] == ["input", "batch_normalization"]
    x = data(dtype="float32")[0]
    plain = nf.Network([layers.Input((6,)), layers.BatchNormalization()], seed=0).predict(x - 3)
    assert (last.predict(x - 3) == np.maximum(0, plain)).all()
    assert (both.predict(x - 3) == np.maximum(0, plain) + plain).all()
    # As the end of a network with a loss, too.
    nf.Trainer(last, loss="mse").train_on_batch(x, x)
    assert (last.parameters["batch_normalization.moving_mean"] != 0).all()


class Failing(nf.losses.CustomLoss):
    """A loss whose gradient raises, after the forward pass."""

    def value(self, target: Array, prediction: Array) -> Array:
        return np.zeros(len(target))

    def gradient(self, target: Array, prediction: Array) -> Array:
        raise ZeroDivisionError("on purpose")


def test_a_step_that_fails_moves_nothing() -> None:
    x, y = data(dtype="float32")
    net = network(layers.BatchNormalization(), dtype="float32")
    trainer = nf.Trainer(net, loss="mse")
    trainer.train_on_batch(x, y)
    before = net.flat().copy()
    with pytest.raises(RuntimeError, match=r"batch_normalization: expected finite outputs"):
        trainer.train_on_batch(1e30 * x, y)  # the variance is beyond float32's range
    assert net.flat().tobytes() == before.tobytes()
    with pytest.raises(RuntimeError, match="loss"):
        trainer.train_on_batch(x, np.float32(1e30) * y)
    assert net.flat().tobytes() == before.tobytes()
    with pytest.raises(ZeroDivisionError):
        nf.Trainer(net, loss=Failing()).train_on_batch(x, y)
    assert net.flat().tobytes() == before.tobytes()


def test_only_passes_in_training_move_the_averages() -> None:
    x, y = data()
    net = network(layers.BatchNormalization(), layers.ReLU())
    trainer = nf.Trainer(net, loss="mse")
    before = net.flat().copy()
    net.predict(x)
    net.trace(x)
    trainer.evaluate(x, y)
    net.loss_and_gradients(x, y, "mse")
    net.vjp(x)
    for training in (False, True):
        nf.check_gradients(net, x, y, "mse", max_elements=2, training=training)
    assert net.flat().tobytes() == before.tobytes()
    by_loss, by_hand = net.copy(), net.copy()
    by_loss.loss_and_gradients(x, y, "mse", training=True)
    by_hand.vjp(x, training=True)
    trainer.train_on_batch(x, y)
    assert net.flat().tobytes() != before.tobytes()
    for moved in (by_loss, by_hand):
        for name in net.statistics:
            assert moved.parameters[name].tobytes() == net.parameters[name].tobytes()
        for name in net.trainable:
            assert moved.parameters[name].tobytes() != net.parameters[name].tobytes()


def test_a_row_alone_and_in_a_batch_have_the_same_bits() -> None:
    chain = [layers.Dense(70), layers.BatchNormalization(), layers.GroupNormalization(7), layers.LayerNormalization()]
    net = at_random(network(*chain, shape=(3, 6), dtype="float32"))
    x, y = data((3, 6), 33, "float32")
    nf.Trainer(net, loss="mse").train_on_batch(x, y)
    together = net.predict(x)
    assert np.concatenate([net.predict(row[None]) for row in x]).tobytes() == together.tobytes()


def trained(net: nf.Network, steps: int) -> nf.Trainer:
    trainer = nf.Trainer(net, loss="mse")
    x, y = data((5, 3), 9, "float32")
    for _ in range(steps):
        trainer.train_on_batch(x, y)
    return trainer


def test_copies_and_files_keep_the_averages(tmp_path: Path) -> None:
    chain = [layers.Dense(7), layers.BatchNormalization(), layers.ReLU(), layers.BatchNormalization(trainable=False)]
    net = at_random(network(*chain, shape=(5, 3), dtype="float32"))
    trainer = trained(net, 3)
    trainer.save_checkpoint(tmp_path / "run.safetensors")
    net.save(tmp_path / "net.safetensors")
    others = [net.copy(), copy.deepcopy(net), pickle.loads(pickle.dumps(net))]
    others += [nf.Network.load(tmp_path / name) for name in ("net.safetensors", "run.safetensors")]
    for other in others:
        assert other.flat().tobytes() == net.flat().tobytes()
        assert (other.trainable, other.frozen) == (net.trainable, net.frozen)
        assert trained(other, 2).network.flat().tobytes() != net.flat().tobytes()
    resumed = nf.Trainer.resume(tmp_path / "run.safetensors")
    x, y = data((5, 3), 9, "float32")
    for _ in range(3):
        assert resumed.train_on_batch(x, y) == trainer.train_on_batch(x, y)
    assert resumed.network.flat().tobytes() == net.flat().tobytes()


@pytest.mark.parametrize("shape", [(9, 6), (4, 5, 3), (7, 3, 70)])
def test_spatial_dropout_drops_whole_channels(shape: Sequence[int]) -> None:
    kind = layers.SpatialDropout1D if len(shape) == 2 else layers.SpatialDropout2D
    net = network(kind(0.4), shape=shape)
    x, _ = data(shape)
    factors = dropout(np.ones((len(x), shape[-1])), 0.4, net.seed, 0, FIRST_STREAM + 1)
    assert 0 < (factors == 0).sum() < factors.size
    wanted = x * factors.reshape(len(x), *[1] * (len(shape) - 1), shape[-1])
    assert (training_values(net, x)[kind.default_name()] == wanted).all()


def test_noise_is_normal_and_new_in_each_step() -> None:
    net = network(layers.GaussianNoise(0.5), shape=(700, 3))
    x, _ = data((700, 3))
    noise = training_values(net, x)["gaussian_noise"] - x
    wanted = 0.5 * random_normal(x.size, net.seed, FIRST_STREAM + 1, "float64").reshape(x.shape)
    np.testing.assert_allclose(noise, wanted, rtol=0, atol=64 * EPS)
    plan = net.plan(len(x), heads=net.heads("test", "mse"), keep=True, fuse=False)
    plan.iteration = 1
    plan.run(x, True)
    assert np.abs(plan.values()["gaussian_noise"] - x - noise).max() > 0.5


def test_noise_vanishes_from_prediction() -> None:
    net = network(layers.GaussianNoise(0.5), layers.Reshape((3, 2)), layers.SpatialDropout1D(0.5))
    assert not {"gaussian_noise", "spatial_dropout"} & {row["op"] for row in net.describe().rows}


ERRORS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "momentum 1": (lambda: layers.BatchNormalization(1.0), ValueError, "0 <= momentum < 1, got 1.0"),
    "epsilon 0": (lambda: layers.BatchNormalization(epsilon=0), ValueError, "epsilon > 0, got 0"),
    "epsilon below 0": (lambda: layers.LayerNormalization(-1.0), ValueError, "epsilon >= 0, got -1"),
    "epsilon as text": (lambda: layers.GroupNormalization(2, "1"), TypeError, "a real number as epsilon, got '1'"),
    "no groups": (lambda: layers.GroupNormalization(0), ValueError, "groups >= 1, got 0"),
    "groups that do not divide": (
        lambda: network(layers.GroupNormalization(4)),
        ValueError,
        "group_normalization: expected groups that divide the input's 6 channels, got 4",
    ),
    "a trained average": (
        lambda: network(layers.BatchNormalization(trainable=("moving_mean",))),
        ValueError,
        r"in trainable 'moving_mean'; .*valid names: beta, gamma",
    ),
    "no such initial value": (
        lambda: network(layers.BatchNormalization(gamma_initializer=[1.0, 2.0])),
        ValueError,
        "batch_normalization.gamma",
    ),
    "stddev below 0": (lambda: layers.GaussianNoise(-0.1), ValueError, "stddev >= 0, got -0.1"),
    "rate 1": (lambda: layers.SpatialDropout2D(1.0), ValueError, "SpatialDropout2D: expected 0 <= rate < 1"),
    "a sequence for an image": (
        lambda: network(layers.SpatialDropout2D(0.5), shape=(5, 3)),
        ValueError,
        r"spatial_dropout2d: expected an input of \(N, H, W, C\), got \(N, 5, 3\); use layers.Dropout",
    ),
    "an image for a sequence": (
        lambda: network(layers.SpatialDropout1D(0.5), shape=(5, 5, 3)),
        ValueError,
        r"spatial_dropout1d: expected an input of \(N, T, C\), got \(N, 5, 5, 3\)",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    make, kind, text = ERRORS[name]
    with pytest.raises(kind, match=text):
        make()


def test_the_core_checks_what_python_did() -> None:
    good = {"op": "batch_normalization", "name": "bn", "inputs": ["x"], "epsilon": 1e-3, "momentum": 0.9}
    assert _core.infer(good, [(4,)])["statistics"] == ["moving_mean", "moving_variance"]
    for changed, text in (
        ({"epsilon": 0.0}, "bn: expected a finite epsilon above 0, got 0"),
        ({"momentum": 1.0}, "bn: expected 0 <= momentum < 1, got 1"),
        ({"activation": "tanh"}, "bn: expected the activation identity or relu, got 'tanh'"),
    ):
        with pytest.raises(ValueError, match=text):
            _core.infer({**good, **changed}, [(4,)])
    with pytest.raises(ValueError, match="noise: expected a finite stddev of 0 or more, got -1"):
        _core.infer({"op": "gaussian_noise", "name": "noise", "inputs": ["x"], "stddev": -1.0}, [(4,)])


def test_a_negative_variance_is_refused() -> None:
    net = network(layers.BatchNormalization())
    moving(net)[1][4] = -0.5
    with pytest.raises(ValueError, match=r"moving_variance: expected variances of 0 or more, got -0.5 in channel 4"):
        net.predict(data()[0])


X = np.ones((2, 6), "float32")
KERNEL_ERRORS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "a vector": (
        lambda: nf.kernels.batch_norm_forward(X[0]),
        ValueError,
        r"x: expected shape \(N, ..., C\).*got \(6,\)",
    ),
    "no rows": (lambda: nf.kernels.layer_norm_forward(X[:0]), ValueError, r"one element or more, got \(0, 6\)"),
    "gamma": (
        lambda: nf.kernels.batch_norm_forward(X, X[0, :5]),
        ValueError,
        r"gamma: expected shape \(6,\), got \(5,\)",
    ),
    "beta's dtype": (
        lambda: nf.kernels.batch_norm_forward(X, None, np.ones(6)),
        TypeError,
        "beta: expected float32, got float64",
    ),
    "epsilon": (lambda: nf.kernels.layer_norm_forward(X, epsilon=0.0), ValueError, "epsilon: expected a finite number"),
    "a mean alone": (lambda: nf.kernels.batch_norm_forward(X, mean=X[0]), ValueError, "mean and variance or neither"),
    "variance": (
        lambda: nf.kernels.batch_norm_forward(X, mean=X[0], variance=-X[0]),
        ValueError,
        "variance: expected numbers of 0 or more, got -1",
    ),
    "activation": (
        lambda: nf.kernels.batch_norm_forward(X, activation="tanh"),
        ValueError,
        "unknown activation of batch_norm_forward 'tanh'",
    ),
    "groups": (lambda: nf.kernels.group_norm_forward(X, groups=4), ValueError, "divides the 6 channels of x, got 4"),
    "dy": (lambda: nf.kernels.layer_norm_backward(X[:1], X), ValueError, r"dy: expected the shape of x, \(2, 6\)"),
}


@pytest.mark.parametrize("name", KERNEL_ERRORS)
def test_errors_of_kernels(name: str) -> None:
    make, kind, text = KERNEL_ERRORS[name]
    with pytest.raises(kind, match=text):
        make()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["batch", "layer", "group"])
def test_a_variance_that_overflows_gives_no_number_that_passes_for_one(kind: str, dtype: str) -> None:
    """Either the formula's result, computed in units in which nothing overflows, or NaN; and no step is made of it."""
    made = {
        "batch": layers.BatchNormalization(),
        "layer": layers.LayerNormalization(),
        "group": layers.GroupNormalization(2),
    }
    z = np.random.default_rng(1).normal(size=(5, 6))
    net = nf.Network([layers.Input((6,)), made[kind], layers.Dense(1)], seed=0, dtype=dtype)
    trainer = nf.Trainer(net, loss="mse")
    groups = {"batch": z.T[:, None], "layer": z[:, None], "group": z.reshape(5, 2, 3)}[kind]
    truth = (groups - groups.mean(axis=-1, keepdims=True)) / groups.std(axis=-1, keepdims=True)
    truth = truth[:, 0].T if kind == "batch" else truth.reshape(5, 6)
    largest = float(np.finfo(dtype).max)
    for scale in (largest**0.3, largest**0.49, largest**0.5, largest**0.52, largest**0.7, largest / 8):
        x = (scale * z).astype(dtype)
        plan = net.plan(5, heads=net.heads("test", "mse"), keep=True)
        plan.run(x, True)
        y = plan.values()[made[kind].place]
        known = np.isfinite(y)
        np.testing.assert_allclose(y[known], truth[known], rtol=0, atol=1e-4 if dtype == "float32" else 1e-12)
        assert known.all() or scale > largest**0.48
        if not known.all():
            before = net.flat().copy()
            with pytest.raises(RuntimeError, match="finite"):
                trainer.train_on_batch(x, np.zeros((5, 1), dtype))
            np.testing.assert_array_equal(net.flat(), before)
