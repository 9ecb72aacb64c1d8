"""L-BFGS against SciPy, Wolfe's conditions and dense BFGS matrices; what it refuses; interruptions, and bits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optimizer_cases import DTYPES, parts
from scipy.optimize import minimize

import nnfast as nf
from nnfast import kernels, layers, losses, optimizers
from nnfast.core.typing import Array


def regression(rng: np.random.Generator) -> tuple[Array, Array]:
    x = rng.uniform(-2, 2, (40, 2))
    return x, np.sin(x[:, :1]) * np.cos(x[:, 1:]) + 0.05 * rng.normal(size=(40, 1))


def network(dtype: str = "float64", seed: int = 1) -> nf.Network:
    return nf.Network(
        [layers.Input((2,)), layers.Dense(5, activation="tanh", name="a"), layers.Dense(1, name="b")],
        seed=seed,
        dtype=dtype,
    )


def trainer_of(net: nf.Network, **options: Any) -> nf.Trainer:
    return nf.Trainer(net, loss="mse", optimizer=optimizers.LBFGS(**options))


def of_trained(net: nf.Network, vectors: Any) -> Array:
    """Parameters, or gradients by name, of all that is trained, in one vector."""
    return np.concatenate([np.asarray(vectors[name], np.float64).reshape(-1) for name in net.trainable])


def pairs_of(trainer: nf.Trainer) -> list[tuple[Array, Array]]:
    net, state = trainer.network, trainer.plan.state()
    flat = net.flat()

    def part(vector: Array) -> Array:
        found = []
        for name in net.trainable:
            value = net.parameters[name]
            first = (value.ctypes.data - flat.ctypes.data) // flat.itemsize
            found.append(vector[first : first + value.size])
        return np.concatenate(found)

    stored = [(part(state[f"s_{i}"]), part(state[f"y_{i}"])) for i in range(len(state) // 2)]
    return [(s, y) for s, y in stored if s.any()]


# ---- minima -----------------------------------------------------------------------------------------


def test_logistic_regression_has_scipy_s_minimum(rng: np.random.Generator) -> None:
    x = rng.normal(size=(200, 4))
    y = (x @ [1.0, -2.0, 0.5, 0.0] + rng.logistic(size=200) > 0.3).astype(float)[:, None]
    net = nf.Network([layers.Input((4,)), layers.Dense(1)], seed=0, dtype="float64")
    trainer = nf.Trainer(net, loss=losses.BinaryCrossEntropy(from_logits=True), optimizer="lbfgs")
    trainer.fit(x, y, epochs=30, batch_size=200, progress=False)

    def loss(p: Array) -> tuple[float, Array]:
        z = x @ p[:4] + p[4]
        d = (1 / (1 + np.exp(-z)) - y[:, 0]) / len(x)
        return np.mean(np.logaddexp(0, z) - y[:, 0] * z), np.append(x.T @ d, d.sum())

    best = minimize(loss, np.zeros(5), jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-10})
    found = np.append(net.parameters["dense.kernel"], net.parameters["dense.bias"])
    assert loss(found)[0] <= best.fun + 1e-13
    np.testing.assert_allclose(found, best.x, rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_small_network_reaches_scipy_s_minimum(seed: int, rng: np.random.Generator) -> None:
    """As small a loss after as many iterations; which of its minima a network ends in, rounding decides."""
    x, y = regression(rng)
    net, other = network(seed=seed), network(seed=seed)
    trainer_of(net).fit(x, y, epochs=300, batch_size=40, progress=False)

    def loss(p: Array) -> tuple[float, Array]:
        other.flat()[...] = p
        value, gradients = other.loss_and_gradients(x, y, "mse")
        flat = np.zeros_like(p)
        for name, gradient in gradients.items():
            first = (other.parameters[name].ctypes.data - other.flat().ctypes.data) // 8
            flat[first : first + gradient.size] = gradient.reshape(-1)
        return value, flat

    options = {"maxiter": 300, "maxfun": 10_000, "ftol": 0, "gtol": 1e-12}
    best = minimize(loss, other.flat().copy(), jac=True, method="L-BFGS-B", options=options)
    here = net.loss_and_gradients(x, y, "mse")[0]
    start = network(seed=seed).loss_and_gradients(x, y, "mse")[0]
    assert here < start / 20
    assert here < 1.5 * best.fun


def test_least_squares_are_exact(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(30, 5)), rng.normal(size=(30, 2))
    net = nf.Network([layers.Input((5,)), layers.Dense(2)], seed=0, dtype="float64")
    trainer_of(net, history_size=12).fit(x, y, epochs=40, batch_size=30, progress=False)
    solution = np.linalg.lstsq(np.c_[x, np.ones(30)], y, rcond=None)[0]
    np.testing.assert_allclose(net.parameters["dense.kernel"], solution[:5], rtol=0, atol=1e-9)
    np.testing.assert_allclose(net.parameters["dense.bias"], solution[5], rtol=0, atol=1e-9)


def test_float32_converges_to_its_rounding(rng: np.random.Generator) -> None:
    x, y = (part.astype("float32") for part in (rng.normal(size=(30, 5)), rng.normal(size=(30, 2))))
    net = nf.Network([layers.Input((5,)), layers.Dense(2)], seed=0)
    trainer = trainer_of(net)
    history = trainer.fit(x, y, epochs=40, batch_size=30, progress=False)
    solution = np.linalg.lstsq(np.c_[x, np.ones(30)], y, rcond=None)[0]
    np.testing.assert_allclose(net.parameters["dense.kernel"], solution[:5], rtol=0, atol=2e-3)
    assert (np.diff(history["loss"]) <= 1e-6).all()


# ---- single steps --------------------------------------------------------------------------------------


def test_every_step_satisfies_the_strong_wolfe_conditions(rng: np.random.Generator) -> None:
    x, y = regression(rng)
    net = network()
    trainer = trainer_of(net)
    for _ in range(60):
        before, start = net.loss_and_gradients(x, y, "mse"), of_trained(net, net.parameters)
        assert trainer.train_on_batch(x, y) == pytest.approx(before[0], rel=1e-14)
        after, move = net.loss_and_gradients(x, y, "mse"), of_trained(net, net.parameters) - start
        slope, slope_after = (of_trained(net, found[1]) @ move for found in (before, after))
        assert slope < 0
        assert after[0] <= before[0] + 1e-4 * slope + 1e-14
        assert abs(slope_after) <= 0.9 * abs(slope) + 1e-14


def dense_inverse_hessian(pairs: list[tuple[Array, Array]]) -> Array:
    """Nocedal & Wright (2006), equation 6.17, from the oldest pair on; the start is scaled by equation 7.20."""
    s, y = pairs[0]
    h = np.eye(len(s)) * (s @ y) / (y @ y)
    for s, y in reversed(pairs):
        v = np.eye(len(s)) - np.outer(y, s) / (y @ s)
        h = v.T @ h @ v + np.outer(s, s) / (y @ s)
    return h


def test_directions_are_those_of_dense_matrices(rng: np.random.Generator) -> None:
    x, y = regression(rng)
    net = network()
    trainer = trainer_of(net, history_size=4)
    for step in range(12):
        pairs = pairs_of(trainer)
        assert len(pairs) == min(step, 4)
        gradient, start = of_trained(net, net.loss_and_gradients(x, y, "mse")[1]), of_trained(net, net.parameters)
        trainer.train_on_batch(x, y)
        move = of_trained(net, net.parameters) - start
        wanted = -(dense_inverse_hessian(pairs) if pairs else np.eye(len(move))) @ gradient
        cosine = move @ wanted / np.linalg.norm(move) / np.linalg.norm(wanted)
        assert cosine == pytest.approx(1, abs=1e-9)
        newest = pairs_of(trainer)[0]
        np.testing.assert_array_equal(newest[0], move)
        change = of_trained(net, net.loss_and_gradients(x, y, "mse")[1]) - gradient
        np.testing.assert_allclose(newest[1], change, rtol=0, atol=1e-15)


def test_dropout_keeps_its_random_numbers_within_a_step(rng: np.random.Generator) -> None:
    """y is the change of the gradient with the same mask; SGD with a rate of 1 shows the gradient of the first step."""
    x, y = regression(rng)

    def make() -> nf.Network:
        return nf.Network(
            [layers.Input((2,)), layers.Dense(9, name="a"), layers.Dropout(0.5), layers.Dense(1, name="b")],
            seed=4,
            dtype="float64",
        )

    def gradient(start: Array) -> Array:
        net = make()
        net.flat()[...] = start
        before = of_trained(net, net.parameters)
        nf.Trainer(net, loss="mse", optimizer=optimizers.SGD(1.0)).train_on_batch(x, y)
        return before - of_trained(net, net.parameters)

    net = make()
    trainer, start = trainer_of(net), net.flat().copy()
    trainer.train_on_batch(x, y)
    np.testing.assert_allclose(pairs_of(trainer)[0][1], gradient(net.flat()) - gradient(start), rtol=0, atol=1e-13)


def test_statistics_are_those_of_the_last_parameters(rng: np.random.Generator) -> None:
    x, y = regression(rng)
    net = nf.Network(
        [layers.Input((2,)), layers.Dense(3, name="a"), layers.BatchNormalization(name="norm"), layers.Dense(1)],
        seed=0,
        dtype="float64",
    )
    trainer = trainer_of(net)
    mean = net.parameters["norm.moving_mean"].copy()
    for _ in range(4):
        trainer.train_on_batch(x, y)
        momentum = net.layers[2].momentum  # type: ignore[attr-defined]
        mean = momentum * mean + (1 - momentum) * net.trace(x)["a"].mean(0)
        np.testing.assert_allclose(net.parameters["norm.moving_mean"], mean, rtol=0, atol=1e-12)


def test_regularizers_are_part_of_the_loss(rng: np.random.Generator) -> None:
    """Ridge regression: the mean of squares of the rows and .25 of the kernel's squares."""
    x, y = rng.normal(size=(30, 5)), rng.normal(size=(30, 1))
    net = nf.Network(
        [layers.Input((5,)), layers.Dense(1, use_bias=False, kernel_regularizer=nf.regularizers.L2(0.25))],
        seed=0,
        dtype="float64",
    )
    trainer_of(net).fit(x, y, epochs=30, batch_size=30, progress=False)
    solution = np.linalg.solve(x.T @ x / 30 + 0.25 * np.eye(5), x.T @ y / 30)
    np.testing.assert_allclose(net.parameters["dense.kernel"], solution, rtol=0, atol=1e-8)


@pytest.mark.parametrize("options", [{"shards": 3}, {"micro_batch_size": 7}])
def test_parts_of_a_batch_make_the_same_moves(options: dict[str, int], rng: np.random.Generator) -> None:
    x, y = regression(rng)
    nets = network(), network()
    for net, parts_of_batch in zip(nets, ({}, options), strict=True):
        nf.Trainer(net, loss="mse", optimizer="lbfgs", **parts_of_batch).fit(
            x, y, epochs=6, batch_size=40, shuffle=False, progress=False
        )
    np.testing.assert_allclose(nets[0].flat(), nets[1].flat(), rtol=0, atol=1e-9)


def test_what_is_frozen_stays(rng: np.random.Generator) -> None:
    x, y = regression(rng)
    net = network()
    trainer = trainer_of(net)
    trainer.train_on_batch(x, y)
    net.freeze("a.kernel")
    before = net.parameters["a.kernel"].copy()
    losses_of_steps = [trainer.train_on_batch(x, y) for _ in range(5)]
    assert (net.parameters["a.kernel"] == before).all()
    net.unfreeze()
    losses_of_steps += [trainer.train_on_batch(x, y) for _ in range(5)]
    assert (net.parameters["a.kernel"] != before).all()
    assert (np.diff(losses_of_steps) < 0).all()
    assert trainer.plan.steps == {"a.kernel": 6, "a.bias": 11, "b.kernel": 11, "b.bias": 11}


@DTYPES
def test_a_rate_that_is_too_large_or_zero_moves_nothing(dtype: str, rng: np.random.Generator) -> None:
    """Where no trial has a finite loss, as where none has a smaller one."""
    x, y = (part.astype(dtype) for part in regression(rng))
    for rate in (0.0, 0.9 * float(np.finfo(dtype).max)):
        net = network(dtype)
        before = net.flat().copy()
        trainer_of(net, learning_rate=rate).train_on_batch(x, y)
        assert net.flat().tobytes() == before.tobytes()


def test_at_the_minimum_nothing_moves() -> None:
    net = nf.Network([layers.Input((1,)), layers.Dense(1, kernel_initializer="ones")], dtype="float64")
    trainer = trainer_of(net)
    x = np.arange(3.0)[:, None]
    assert [trainer.train_on_batch(x, x) for _ in range(3)] == [0, 0, 0]
    assert net.parameters["dense.kernel"] == 1


# ---- interruptions and bits ------------------------------------------------------------------------------


class Fails(losses.CustomLoss):
    """The mean of squares, which raises an error in the evaluation of a given number."""

    def __init__(self) -> None:
        self.left = -1

    def value(self, target: Array, prediction: Array) -> Array:
        self.left -= 1
        if self.left == 0:
            raise KeyError("enough")
        return np.square(prediction - target).mean(1)

    def gradient(self, target: Array, prediction: Array) -> Array:
        return 2 * (prediction - target) / prediction.shape[1]


@pytest.mark.parametrize("number", [1, 2])
def test_an_error_during_a_search_changes_nothing(number: int, rng: np.random.Generator) -> None:
    x, y = regression(rng)
    loss = Fails()
    trainer = nf.Trainer(network(), loss=loss, optimizer="lbfgs")
    for _ in range(3):
        trainer.train_on_batch(x, y)
    before = parts(trainer)
    loss.left = number
    with pytest.raises(KeyError, match="enough"):
        trainer.train_on_batch(x, y)
    assert parts(trainer) == before
    trainer.train_on_batch(x, y)
    assert parts(trainer) != before


@DTYPES
def test_a_resumed_run_has_the_bits_of_one_without_interruption(
    dtype: str, rng: np.random.Generator, tmp_path: Path
) -> None:
    x, y = (part.astype(dtype) for part in regression(rng))
    one, other = (trainer_of(network(dtype), history_size=3) for _ in range(2))
    one.fit(x, y, epochs=8, batch_size=40, progress=False)
    other.fit(x, y, epochs=5, batch_size=40, progress=False)
    other.save_checkpoint(tmp_path / "run")
    resumed = nf.Trainer.resume(tmp_path / "run")
    assert repr(resumed.optimizer) == "LBFGS(history_size=3)"
    resumed.fit(x, y, epochs=8, batch_size=40, progress=False, initial_epoch=5)
    assert parts(resumed) == parts(one)


@DTYPES
@pytest.mark.usefixtures("threads")
def test_the_number_of_threads_changes_no_bit(dtype: str, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(64, 100)).astype(dtype), rng.normal(size=(64, 3)).astype(dtype)
    results = set()
    for count in (1, 2, 3, 8):
        nf.set_num_threads(count)
        net = nf.Network(
            [layers.Input((100,)), layers.Dense(500, activation="tanh"), layers.Dense(3)], seed=0, dtype=dtype
        )
        trainer = trainer_of(net)
        for _ in range(4):
            trainer.train_on_batch(x, y)
        results.add(b"".join(parts(trainer)))
    assert len(results) == 1


# ---- what is refused ---------------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused(rng: np.random.Generator) -> None:
    x, y = regression(rng)
    net = network()
    trainer = trainer_of(net)
    before = parts(trainer)
    gradients = net.loss_and_gradients(x, y, "mse")[1]
    calls: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (
            lambda: trainer.fit(x, y, epochs=1, batch_size=20),
            ValueError,
            "all rows in one batch with LBFGS, got batches of 20 of 40; pass batch_size=40",
        ),
        (lambda: trainer.fit(x, y, epochs=1), ValueError, "batches of 32"),
        (lambda: trainer.fit(iter([(x, y), (x, y)]), epochs=1), ValueError, "got an iterable of batches; pass arrays"),
        (lambda: trainer.apply_gradients(gradients), RuntimeError, "LBFGS: expected a step that can evaluate the loss"),
        (
            lambda: nf.Trainer(net, loss="mse", optimizer="lbfgs", gradient_callback=print),
            ValueError,
            "LBFGS: expected neither a gradient_callback",
        ),
        (lambda: optimizers.LBFGS(clipnorm=1.0), TypeError, "unknown argument 'clipnorm'"),  # type: ignore[call-arg]
        (lambda: optimizers.LBFGS(history_size=0), ValueError, "history_size >= 1"),
    ]
    for call, error, match in calls:
        with pytest.raises(error, match=match):
            call()
    assert parts(trainer) == before
    p = np.ones(2)
    state = {f"{kind}_0": np.zeros(2) for kind in "sy"}
    with pytest.raises((RuntimeError, ValueError), match="LBFGS: expected"):
        kernels.optimizer_update(optimizers.LBFGS(history_size=1), p, p.copy(), state)
