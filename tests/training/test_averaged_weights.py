"""Moving averages of the weights: their numbers, and how they take the place of the weights."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import callbacks, layers, optimizers
from nnfast.core.typing import Array

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


def network(dtype: str = "float32") -> nf.Network:
    chain = [layers.Input((4,)), layers.Dense(6, "tanh"), layers.BatchNormalization(), layers.Dense(3)]
    return nf.Network(chain, seed=1, dtype=dtype)


def trainer(net: nf.Network, **options: Any) -> nf.Trainer:
    return nf.Trainer(net, loss="mse", optimizer=optimizers.Adam(0.05, use_ema=True, **options), metrics=["mae"])


def data(dtype: str = "float32", rows: int = 48) -> tuple[Array, Array]:
    rng = np.random.default_rng(3)
    return rng.normal(size=(rows, 4)).astype(dtype), rng.normal(size=(rows, 3)).astype(dtype)


def values(net: nf.Network) -> dict[str, Array]:
    return {name: view.astype("float64") for name, view in net.parameters.items()}


def averages(train: nf.Trainer) -> dict[str, Array]:
    with train.averaged_weights():
        return values(train.network)


@DTYPES
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99])
def test_the_average_follows(momentum: float, dtype: str) -> None:
    x, y = data(dtype)
    net = network(dtype)
    train = trainer(net, ema_momentum=momentum)
    average: dict[str, Array] = {}
    for step in range(6):
        train.train_on_batch(x, y)
        now = values(net)
        for name in net.trainable:
            average[name] = momentum * average[name] + (1 - momentum) * now[name] if step else now[name]
        found = averages(train)
        for name, value in found.items():
            if name in average:
                np.testing.assert_allclose(value, average[name], atol=8 * EPS[dtype] * np.abs(average[name]).max())
            else:  # statistics of batch normalization
                np.testing.assert_array_equal(value, now[name])
        np.testing.assert_equal(values(net), now)


def test_a_constant_keeps_its_average() -> None:
    net = nf.Network([layers.Input((1,)), layers.Dense(1000)], seed=0)
    train = nf.Trainer(net, loss="mse", optimizer=optimizers.SGD(0.0, use_ema=True, ema_momentum=0.999))
    for _ in range(100):
        train.train_on_batch([[1.0]], np.ones((1, 1000), "float32"))
    found, own = averages(train), values(net)
    np.testing.assert_allclose(found["dense.kernel"], own["dense.kernel"], rtol=2 * EPS["float32"])


def test_overwriting_after_every_third_update() -> None:
    x, y = data("float64")
    plain, net = network("float64"), network("float64")
    train = trainer(net, ema_momentum=0.5, ema_overwrite_frequency=3)
    other = trainer(plain, ema_momentum=0.5)
    for step in range(1, 4):
        train.train_on_batch(x, y)
        other.train_on_batch(x, y)
        if step < 3:
            assert net.flat().tobytes() == plain.flat().tobytes()
    np.testing.assert_equal(values(net), averages(other))
    np.testing.assert_equal(values(net), averages(train))


def test_inside_the_block_and_after_it(tmp_path: Path) -> None:
    x, y = data()
    net = network()
    train = trainer(net, ema_momentum=0.8)
    train.fit(x, y, epochs=3, batch_size=16)
    before, state = net.flat().copy(), train.plan.state()["weight_average"].copy()
    own = train.evaluate(x, y)
    with train.averaged_weights() as same:
        assert same is net
        inside = net.predict(x)
        scores = train.evaluate(x, y)
        net.save(tmp_path / "averaged.safetensors")
        train.save_checkpoint(tmp_path / "inside.safetensors")
        for what, call in {
            "fit": lambda: train.fit(x, y, epochs=1),
            "train_on_batch": lambda: train.train_on_batch(x, y),
            "apply_gradients": lambda: train.apply_gradients({}),
            "pickle": lambda: pickle.dumps(train),
            "averaged_weights": lambda: train.averaged_weights().__enter__(),
            "finalize_variable_values": train.finalize_variable_values,
        }.items():
            with pytest.raises(
                RuntimeError, match=rf"{what}: expected the network's own weights.*averaged_weights\(\)"
            ):
                call()
    assert net.flat().tobytes() == before.tobytes()
    assert train.plan.state()["weight_average"].tobytes() == state.tobytes()
    assert train.evaluate(x, y) == own
    assert scores != own
    np.testing.assert_array_equal(nf.Network.load(tmp_path / "averaged.safetensors").predict(x), inside)
    resumed = nf.Trainer.resume(tmp_path / "inside.safetensors")
    assert resumed.network.flat().tobytes() == before.tobytes()
    assert train.train_on_batch(x, y) == resumed.train_on_batch(x, y)
    assert resumed.plan.state()["weight_average"].tobytes() == train.plan.state()["weight_average"].tobytes()
    twin = copy.deepcopy(train)
    train.finalize_variable_values()
    with twin.averaged_weights():
        assert net.flat().tobytes() == twin.network.flat().tobytes()
    assert net.flat().tobytes() != twin.network.flat().tobytes()


def test_an_exception_or_a_new_plan_inside_the_block() -> None:
    x, y = data()
    net = network()
    train = trainer(net)
    train.fit(x, y, epochs=1)
    before = net.flat().copy()

    def fail() -> None:
        with train.averaged_weights():
            net.freeze("dense.bias")
            train.evaluate(x, y)  # makes a new plan
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert net.flat().tobytes() == before.tobytes()
    net.unfreeze()
    reference = trainer(network())
    reference.fit(x, y, epochs=2)
    train.fit(x, y, epochs=2, initial_epoch=1)
    assert net.flat().tobytes() == reference.network.flat().tobytes()
    assert train.plan.state()["weight_average"].tobytes() == reference.plan.state()["weight_average"].tobytes()


def test_frozen_parameters_have_no_part_in_it() -> None:
    x, y = data("float64")
    net = network("float64")
    net.freeze("dense")
    train = trainer(net, ema_momentum=0.5)
    fixed = values(net)["dense.kernel"]
    train.train_on_batch(x, y)
    train.train_on_batch(x, y)
    np.testing.assert_array_equal(averages(train)["dense.kernel"], fixed)
    net.unfreeze("dense")
    np.testing.assert_array_equal(averages(train)["dense.kernel"], fixed)  # no step yet
    train.train_on_batch(x, y)
    first = values(net)["dense.kernel"]
    np.testing.assert_array_equal(averages(train)["dense.kernel"], first)
    train.train_on_batch(x, y)
    second = values(net)["dense.kernel"]
    np.testing.assert_allclose(averages(train)["dense.kernel"], (first + second) / 2, rtol=1e-14)
    net.freeze("dense")
    np.testing.assert_array_equal(averages(train)["dense.kernel"], second)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"ema_momentum": 1.0}, ValueError, "0 <= ema_momentum < 1"),
        ({"ema_overwrite_frequency": 0, "use_ema": True}, ValueError, "ema_overwrite_frequency >= 1"),
        ({"ema_overwrite_frequency": 2}, ValueError, "use_ema=True with ema_overwrite_frequency"),
        ({"use_ema": "yes"}, TypeError, "True or False as use_ema"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        optimizers.SGD(**options)


def test_without_averages_there_is_advice() -> None:
    train = nf.Trainer(network(), loss="mse", optimizer="sgd")
    for call in (lambda: train.averaged_weights().__enter__(), train.finalize_variable_values):
        with pytest.raises(RuntimeError, match=r"keeps moving averages, got SGD\(\); make one with use_ema=True"):
            call()


# ---- the callback --------------------------------------------------------------------------------


class Watch(callbacks.Callback):
    """Keeps the weights at the end of each epoch, and an evaluation."""

    def __init__(self, x: Array, y: Array) -> None:
        self.x, self.y = x, y
        self.seen: list[tuple[bytes, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.seen.append((self.trainer.network.flat().tobytes(), self.trainer.evaluate(self.x, self.y)["loss"]))


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_the_callback_validates_with_averages(swap_on_epoch: bool) -> None:
    x, y = data()
    plain, watched = trainer(network(), ema_momentum=0.7), trainer(network(), ema_momentum=0.7)
    watch = Watch(x, y)
    swap = callbacks.SwapEMAWeights(swap_on_epoch)
    history = watched.fit(x, y, epochs=3, batch_size=16, validation_data=(x, y), callbacks=[swap, watch])
    for epoch in range(3):
        plain.fit(x, y, epochs=epoch + 1, initial_epoch=epoch, batch_size=16)
        own = plain.network.flat().tobytes()
        with plain.averaged_weights():
            averaged, loss = plain.network.flat().tobytes(), plain.evaluate(x, y)["loss"]
        assert history["val_loss"][epoch] == loss
        assert watch.seen[epoch][0] == (averaged if swap_on_epoch else own)
        assert (watch.seen[epoch][1] == loss) == swap_on_epoch
    assert watched.network.flat().tobytes() == plain.network.flat().tobytes()
    assert watched.plan.state()["weight_average"].tobytes() == plain.plan.state()["weight_average"].tobytes()


def test_the_callback_and_errors() -> None:
    x, y = data()

    class Stop(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            raise KeyError

    train = trainer(network())
    with pytest.raises(KeyError):
        train.fit(x, y, epochs=1, callbacks=[callbacks.SwapEMAWeights(True), Stop()])
    reference = trainer(network())
    reference.fit(x, y, epochs=2)
    train.fit(x, y, epochs=2, initial_epoch=1)
    assert train.network.flat().tobytes() == reference.network.flat().tobytes()
    with pytest.raises(RuntimeError, match="SwapEMAWeights: expected an optimizer that keeps moving averages"):
        nf.Trainer(network(), loss="mse").fit(x, y, epochs=1, callbacks=[callbacks.SwapEMAWeights()])
