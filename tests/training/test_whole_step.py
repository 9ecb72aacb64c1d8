"""All options of a training step together, beside the NumPy reference, which says in which order they act."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference import optimizers as ref_optimizers
from reference import training_step

import nnfast as nf
from nnfast import constraints, layers, optimizers, regularizers
from nnfast.core.typing import Array

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
EPS = {"float32": 2.0**-23, "float64": 2.0**-52}
MOMENTUM, RATE, BETAS = 0.75, 0.02, (0.8, 0.9)
MULTIPLIERS = {"last": 0.5, "last.bias": 2.0, "gamma": 3.0}
BIAS = "last.bias"


def fourth_powers(weights: Any) -> Any:
    return 0.25 * nf.ops.sum(weights**4)


def network(dtype: str, size: int = 5) -> nf.Network:
    chain = [
        layers.Input((4,)),
        layers.Dense(
            size,
            "tanh",
            name="first",
            kernel_regularizer=regularizers.L1L2(0.02, 0.05),
            kernel_constraint=constraints.MaxNorm(0.75, axis=0),
        ),
        layers.Dense(
            3, name="last", kernel_regularizer=fourth_powers, bias_regularizer="l2", bias_constraint="non_neg"
        ),
    ]
    made = nf.Network(chain, seed=1, dtype=dtype)
    made.freeze("first.bias")
    return made


def trainer(net: nf.Network) -> nf.Trainer:
    optimizer = optimizers.Adam(
        RATE,
        *BETAS,
        epsilon=1e-3,
        l2=0.1,
        global_clipnorm=0.4,
        weight_decay=0.3,
        learning_rate_multipliers={"last": 0.5, "last.bias": 2.0, "kernel": 9.0, "first.kernel": 1.5},
        use_ema=True,
        ema_momentum=MOMENTUM,
        ema_overwrite_frequency=3,
        gradient_accumulation_steps=2,
    )
    return nf.Trainer(net, loss="mse", optimizer=optimizer, shards=2, micro_batch_size=2)


def data(dtype: str, rows: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(5)
    return rng.normal(size=(rows, 4)).astype(dtype), (2 * rng.normal(size=(rows, 3))).astype(dtype)


def loss_and_gradients(p: dict[str, Array], bias: Array, x: Array, y: Array) -> tuple[float, dict[str, Array]]:
    """Of the network above: the mean squared error and the regularizers."""
    hidden = np.tanh(x @ p["first.kernel"] + bias)
    error = hidden @ p["last.kernel"] + p[BIAS] - y
    d_output = 2 * error / error.size
    d_hidden = (d_output @ p["last.kernel"].T) * (1 - hidden**2)
    first, d_first = training_step.regularized(p["first.kernel"], 0.02, 0.05)
    last, d_last = training_step.regularized(p[BIAS], 0.0, 0.01)
    gradients = {
        "first.kernel": x.T @ d_hidden + d_first,
        "last.kernel": hidden.T @ d_output + p["last.kernel"] ** 3,
        BIAS: d_output.sum(axis=0) + d_last,
    }
    return float((error**2).mean() + first + last + 0.25 * (p["last.kernel"] ** 4).sum()), gradients


def adam() -> Callable[[str, Array, Array, float], Array]:
    state: dict[str, tuple[Array, Array, int]] = {}

    def rule(name: str, p: Array, g: Array, rate: float) -> Array:
        m, v, step = state.get(name, (np.zeros_like(p), np.zeros_like(p), 0))
        new, m, v = ref_optimizers.adam(p, g, m, v, rate, *BETAS, 1e-3, step + 1)
        state[name] = m, v, step + 1
        return new

    return rule


@DTYPES
def test_all_together(dtype: str) -> None:
    rows, updates = 7, 8
    net = network(dtype)
    train = trainer(net)
    p = {name: net.parameters[name].astype("float64") for name in net.trainable}
    fixed = net.parameters["first.bias"].copy()
    options = training_step.Options(
        adam(),
        RATE,
        l2={"first.kernel": 0.1, "last.kernel": 0.1},
        clip=("global_clipnorm", 0.4),
        multipliers={"first.kernel": 1.5, "last.kernel": 0.5, BIAS: 2.0},
        weight_decay={"first.kernel": 0.3, "last.kernel": 0.3},
        constraints={
            "first.kernel": lambda w: training_step.limited_norms(w, 0, 0.0, 0.75, 1.0),
            BIAS: lambda w: np.maximum(w, 0),
        },
        ema_momentum=MOMENTUM,
    )
    x, y = data(dtype, rows * 2 * updates)
    average, clips, zeros, limited = None, 0, 0, 0
    for step in range(updates):
        gradients = []
        for batch in (2 * step, 2 * step + 1):
            own = slice(rows * batch, rows * batch + rows)
            loss, found = loss_and_gradients(p, fixed, x[own].astype("float64"), y[own].astype("float64"))
            gradients.append(found)
            got = train.train_on_batch(x[own], y[own])
            assert got == pytest.approx(loss, rel=200 * EPS[dtype])
            if batch % 2 == 0:  # the batches of an update see the same parameters
                for name in p:
                    np.testing.assert_allclose(net.parameters[name], p[name], atol=200 * EPS[dtype])
        mean = {name: (gradients[0][name] + gradients[1][name]) / 2 for name in p}
        clips += np.sqrt(sum((g**2).sum() for g in mean.values())) > 0.4
        p, average = training_step.update(p, gradients, average, options)
        assert average is not None
        zeros += np.count_nonzero(p[BIAS] == 0)
        limited += np.count_nonzero((p["first.kernel"] ** 2).sum(axis=0) > 0.749**2)
        if (step + 1) % 3 == 0:
            p = dict(average)
        with train.averaged_weights():
            for name, value in average.items():
                np.testing.assert_allclose(net.parameters[name], value, atol=400 * EPS[dtype])
    for name, value in p.items():
        np.testing.assert_allclose(net.parameters[name], value, atol=400 * EPS[dtype])
    assert net.parameters["first.bias"].tobytes() == fixed.tobytes()
    # Every stage has done something.
    assert clips
    assert zeros
    assert limited
    assert train.iteration == 2 * updates


@DTYPES
@pytest.mark.usefixtures("threads")
def test_bits_for_any_number_of_threads(dtype: str) -> None:
    x, y = data(dtype, 96)
    found = set()
    for threads in (1, 2, 3, 8):
        nf.set_num_threads(threads)
        net = network(dtype, size=20_000)  # enough that parameters are shared among threads
        train = trainer(net)
        losses = tuple(train.train_on_batch(x[i : i + 16], y[i : i + 16]) for i in range(0, 96, 16))
        score = train.evaluate(x, y)["loss"]
        found.add((losses, score, net.flat().tobytes(), *(part.tobytes() for part in train.plan.state().values())))
    assert len(found) == 1


@DTYPES
@pytest.mark.parametrize("batches", [3, 4])
def test_a_resumed_run_has_the_same_bits(batches: int, dtype: str, tmp_path: Path) -> None:
    """Also from between two batches of one update."""
    x, y = data(dtype, 40)
    whole, half = trainer(network(dtype)), trainer(network(dtype))
    parts = [slice(i, i + 8) for i in range(0, 40, 8)]
    for part in parts:
        whole.train_on_batch(x[part], y[part])
    for part in parts[:batches]:
        half.train_on_batch(x[part], y[part])
    half.save_checkpoint(tmp_path / "run.safetensors")
    own = {"fourth_powers": fourth_powers}
    resumed = nf.Trainer.resume(tmp_path / "run.safetensors", custom_objects=own)
    assert repr(resumed.optimizer) == repr(whole.optimizer)
    assert [repr(layer) for layer in resumed.network.layers[1:2]] == [
        repr(layer) for layer in whole.network.layers[1:2]
    ]
    for part in parts[batches:]:
        resumed.train_on_batch(x[part], y[part])
    assert resumed.network.flat().tobytes() == whole.network.flat().tobytes()
    for name, vector in whole.plan.state().items():
        assert resumed.plan.state()[name].tobytes() == vector.tobytes(), name


def test_a_step_that_fails_changes_nothing() -> None:
    x, y = data("float32", 8)
    net = network("float32")
    train = trainer(net)
    for _ in range(3):
        train.train_on_batch(x, y)
    before = [part.tobytes() for part in (net.flat(), *train.plan.state().values())]
    with pytest.raises(RuntimeError, match="expected"):
        train.train_on_batch(x, np.full_like(y, 1e38))
    assert [part.tobytes() for part in (net.flat(), *train.plan.state().values())] == before
    assert train.iteration == 3
    assert np.isfinite(train.train_on_batch(x, y))
