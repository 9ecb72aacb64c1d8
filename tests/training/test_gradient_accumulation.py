"""Updates with the gradients of several batches."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_networks import tanh_data as data
from small_networks import tanh_network as network

import nnfast as nf
from nnfast import layers, optimizers, schedules
from nnfast.core.typing import Array

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


@DTYPES
@pytest.mark.parametrize("count", [1, 2, 3])
def test_equal_batches_make_the_update_of_one_large_batch(count: int, dtype: str) -> None:
    x, y = data(24 * count, dtype)
    whole, parts = network(dtype), network(dtype)
    one = nf.Trainer(whole, loss="mse", optimizer=optimizers.SGD(0.5, momentum=0.9, global_clipnorm=0.2))
    optimizer = optimizers.SGD(0.5, momentum=0.9, global_clipnorm=0.2, gradient_accumulation_steps=count)
    many = nf.Trainer(parts, loss="mse", optimizer=optimizer)
    for step in range(3):
        large = slice(8 * count * step, 8 * count * (step + 1))
        loss = one.train_on_batch(x[large], y[large])
        before = parts.flat().tobytes()
        found = []
        for i in range(count):
            assert parts.flat().tobytes() == before
            small = slice(large.start + 8 * i, large.start + 8 * (i + 1))
            found.append(many.train_on_batch(x[small], y[small]))
        assert np.mean(found) == pytest.approx(loss, rel=16 * EPS[dtype])
        np.testing.assert_allclose(parts.flat(), whole.flat(), atol=16 * EPS[dtype])
    assert many.iteration == 3 * count
    assert set(many.plan.steps.values()) == {3}


def test_batches_of_any_size_count_alike() -> None:
    """As in Keras, the mean of the batches' gradients, whatever their sizes."""
    x, y = data(10)
    net = network()
    sizes = [slice(0, 8), slice(8, 10)]
    wanted = [net.loss_and_gradients(x[part], y[part], "mse")[1]["dense.kernel"] for part in sizes]
    before = net.parameters["dense.kernel"].copy()
    seen: list[Array] = []
    trainer = nf.Trainer(
        net,
        loss="mse",
        optimizer=optimizers.SGD(1.0, gradient_accumulation_steps=2),
        gradient_callback=lambda g: seen.append(g["dense.kernel"].copy()),
    )
    trainer.fit(x, y, epochs=1, batch_size=8, shuffle=False)
    np.testing.assert_allclose(before - net.parameters["dense.kernel"], np.mean(wanted, axis=0), atol=1e-15)
    assert len(seen) == 1
    np.testing.assert_allclose(seen[0], np.mean(wanted, axis=0), atol=1e-15)


def test_schedules_count_updates() -> None:
    optimizer = optimizers.SGD(lambda step: 10.0**-step, gradient_accumulation_steps=3)
    assert optimizer.rates(0, 7).tolist() == [1, 1, 1, 0.1, 0.1, 0.1, 0.01]
    decay = schedules.Cosine(1.0, 10)
    assert optimizers.Adam(decay, gradient_accumulation_steps=2).rate(5) == decay(2)


def test_all_batches_change_statistics() -> None:
    x, y = data(12)
    net = nf.Network([layers.Input((4,)), layers.BatchNormalization(momentum=0.5), layers.Dense(3)], dtype="float64")
    trainer = nf.Trainer(net, loss="mse", optimizer=optimizers.SGD(0.1, gradient_accumulation_steps=5))
    trainer.train_on_batch(x[:6], y[:6])
    trainer.train_on_batch(x[6:], y[6:])
    mean = 0.25 * x[:6].mean(axis=0) + 0.5 * x[6:].mean(axis=0)
    np.testing.assert_allclose(net.parameters["batch_normalization.moving_mean"], mean, rtol=1e-13)


@pytest.mark.parametrize("stop", [1, 4, 6])
@pytest.mark.parametrize("options", [{}, {"shards": 3}])
def test_a_checkpoint_between_two_batches_of_an_update(stop: int, options: Any, tmp_path: Path) -> None:
    x, y = data(64, "float32")

    def trainer() -> nf.Trainer:
        optimizer = optimizers.Adam(0.01, clipnorm=0.5, gradient_accumulation_steps=3)
        return nf.Trainer(network("float32", layers.Dropout(0.5)), loss="mse", optimizer=optimizer, **options)

    batches = [slice(8 * i, 8 * i + 8) for i in range(8)]
    whole, half = trainer(), trainer()
    for part in batches:
        whole.train_on_batch(x[part], y[part])
    for part in batches[:stop]:
        half.train_on_batch(x[part], y[part])
    half.save_checkpoint(tmp_path / "run.safetensors")
    resumed = nf.Trainer.resume(tmp_path / "run.safetensors")
    for part in batches[stop:]:
        resumed.train_on_batch(x[part], y[part])
    assert resumed.network.flat().tobytes() == whole.network.flat().tobytes()
    assert resumed.plan.state()["gradient_sum"].tobytes() == whole.plan.state()["gradient_sum"].tobytes()


def test_freezing_between_two_batches_of_an_update() -> None:
    x, y = data(8)
    net = network()
    trainer = nf.Trainer(net, loss="mse", optimizer=optimizers.SGD(1.0, gradient_accumulation_steps=40))
    trainer.train_on_batch(x, y)
    net.freeze("dense")
    before, first = net.parameters["dense.kernel"].copy(), net.parameters["dense_1.kernel"].copy()
    gradient = net.loss_and_gradients(x, y, "mse")[1]["dense_1.kernel"]
    for _ in range(39):
        trainer.train_on_batch(x, y)
    assert net.parameters["dense.kernel"].tobytes() == before.tobytes()
    np.testing.assert_allclose(first - net.parameters["dense_1.kernel"], gradient, rtol=1e-12)
    assert not trainer.plan.state()["gradient_sum"].any()


def test_a_batch_that_fails_leaves_the_sum() -> None:
    x, y = data(8, "float32")
    trainer = nf.Trainer(network("float32"), loss="mse", optimizer=optimizers.SGD(0.1, gradient_accumulation_steps=3))
    trainer.train_on_batch(x, y)
    before = trainer.plan.state()["gradient_sum"].tobytes()
    with pytest.raises(RuntimeError, match="loss: expected a finite number"):
        trainer.train_on_batch(x, np.full_like(y, 1e38))
    assert trainer.iteration == 1
    assert trainer.plan.state()["gradient_sum"].tobytes() == before


def test_options_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="gradient_accumulation_steps >= 1"):
        optimizers.SGD(gradient_accumulation_steps=0)
    with pytest.raises(TypeError, match="an integer as gradient_accumulation_steps"):
        optimizers.SGD(gradient_accumulation_steps=2.0)  # type: ignore[arg-type]
