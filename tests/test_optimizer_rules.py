"""Update rules: many steps against NumPy, properties that they have by definition, and the bits of any thread count."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from optimizer_cases import DTYPES, EVERY, Given
from reference import optimizers as reference

import nnfast as nf
from nnfast import kernels, layers, optimizers
from nnfast.core.typing import Array

State = dict[str, Array]
Step = Callable[[Array, Array, State, int], tuple[Array, State]]
"""From a parameter, its gradient, the state and the number of the step to the new parameter and state."""

BETAS = (0.01, 0.8, 0.95, 1e-5)
"""Learning rate, beta_1, beta_2 and epsilon."""


def moments(step: Callable[..., Any], *names: str) -> Step:
    return lambda p, g, s, t: named(step(p, g, *(s[name] for name in names), *BETAS, t), *names)


def named(result: tuple[Array, ...], *names: str) -> tuple[Array, State]:
    return result[0], dict(zip(names, result[1:], strict=True))


RULES: dict[str, tuple[optimizers.Optimizer, Step]] = {
    "amsgrad": (optimizers.Adam(*BETAS, amsgrad=True), moments(reference.amsgrad, "m", "v", "largest_v")),
    "nadam": (
        optimizers.Nadam(*BETAS),
        lambda p, g, s, t: named(reference.nadam(p, g, s["m"], s["v"], *BETAS, 1.0, t), "m", "v"),
    ),
    "adamax": (optimizers.Adamax(*BETAS), moments(reference.adamax, "m", "u")),
    "lamb": (optimizers.Lamb(*BETAS), moments(reference.lamb, "m", "v")),
    "lion": (
        optimizers.Lion(0.01, 0.8, 0.95),
        lambda p, g, s, t: named(reference.lion(p, g, s["m"], 0.01, 0.8, 0.95), "m"),
    ),
    "adagrad": (
        optimizers.Adagrad(0.1, 0.3, 1e-5),
        lambda p, g, s, t: named(reference.adagrad(p, g, s["v"], 0.1, 1e-5), "v"),
    ),
    "adadelta": (
        optimizers.Adadelta(0.5, 0.9, 1e-5),
        lambda p, g, s, t: named(reference.adadelta(p, g, s["v"], s["u"], 0.5, 0.9, 1e-5), "v", "u"),
    ),
}


@pytest.mark.parametrize("size", [1, 37])
@pytest.mark.parametrize("name", RULES)
def test_many_steps(name: str, size: int, rng: np.random.Generator) -> None:
    """In float64, where 60 steps add up to some hundred roundings of numbers of about 1."""
    optimizer, step = RULES[name]
    start = 0.3 if name == "adagrad" else 0.0
    p = rng.normal(size=size)
    truth, state = p.copy(), {kind: np.full(size, start) for kind in step(p, p, _Zeros(size), 1)[1]}
    expected = {kind: vector.copy() for kind, vector in state.items()}
    for t in range(1, 61):
        g = rng.normal(size=size) * rng.choice([1e-3, 1.0, 30.0])
        kernels.optimizer_update(optimizer, p, g, state, t)
        truth, expected = step(truth, g, expected, t)
    np.testing.assert_allclose(p, truth, rtol=0, atol=1e-12)
    for kind, vector in state.items():
        np.testing.assert_allclose(vector, expected[kind], rtol=1e-12, atol=1e-13, err_msg=kind)


class _Zeros(dict[str, Array]):
    """A state of zeros, whatever its names."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __missing__(self, name: str) -> Array:
        return np.zeros(self.size)


def test_adagrad_starts_from_its_accumulator() -> None:
    """The first move is rate g / sqrt(start + g^2 + epsilon), of a network as of arrays."""
    net = nf.Network([layers.Input((1,)), layers.Dense(1, kernel_initializer="zeros")], dtype="float64")
    optimizer = optimizers.Adagrad(1.0, initial_accumulator_value=7.0)
    nf.Trainer(net, loss=Given(3.0), optimizer=optimizer).train_on_batch(np.zeros((1, 1)), np.zeros((1, 1)))
    np.testing.assert_allclose(net.parameters["dense.bias"], [-3 / np.sqrt(16 + 1e-7)], rtol=1e-15)


def test_nadam_counts_from_any_step() -> None:
    """The product of momenta is that of all steps, whatever was asked before; after some hundred steps it is 0."""
    for t in (500, 3, 4, 2, 1, 700, 6):
        p, g, m, v = np.ones(1), np.full(1, 2.0), np.full(1, 0.5), np.full(1, 3.0)
        truth = reference.nadam(p, g, m, v, *BETAS, 1.0, t)[0]
        kernels.optimizer_update(optimizers.Nadam(*BETAS), p, g, {"m": m, "v": v}, t)
        np.testing.assert_allclose(p, truth, rtol=1e-14)


def test_nadam_of_ranges_at_different_steps(rng: np.random.Generator) -> None:
    """A parameter that was frozen is at an earlier step, in turn with the others."""
    net = nf.Network([layers.Input((2,)), layers.Dense(2, name="a")], seed=0, dtype="float64")
    trainer = nf.Trainer(net, loss=Given(0.5), optimizer=optimizers.Nadam(*BETAS))
    x, y = rng.normal(size=(3, 2)), np.zeros((3, 2))
    truth = {name: (value.copy(), np.zeros_like(value), np.zeros_like(value)) for name, value in net.parameters.items()}
    steps = dict.fromkeys(truth, 0)
    for step in range(9):
        if step == 0:
            net.freeze("a.kernel")
        if step == 4:
            net.unfreeze()
        gradients = net.loss_and_gradients(x, y, Given(0.5))[1]
        trainer.train_on_batch(x, y)
        for name, g in gradients.items():
            steps[name] += 1
            truth[name] = reference.nadam(truth[name][0], g, *truth[name][1:], *BETAS, 1.0, steps[name])
    assert steps == {"a.kernel": 5, "a.bias": 9}
    for name, value in net.parameters.items():
        np.testing.assert_allclose(value, truth[name][0], rtol=0, atol=1e-13)


@DTYPES
def test_lion_of_no_direction_stays(dtype: str) -> None:
    p, m = np.ones(5, dtype), np.array([0, 1, -1, 0, 0], dtype)
    kernels.optimizer_update(optimizers.Lion(0.25, beta_1=0.5), p, np.array([0, -1, 1, 2, -2], dtype), {"m": m})
    assert p.tolist() == [1, 1, 1, 0.75, 1.25]


# ---- rules that look at whole parameters -----------------------------------------------------------


@DTYPES
def test_lamb_moves_each_parameter_by_its_own_norm(dtype: str, rng: np.random.Generator) -> None:
    net = nf.Network([layers.Input((5,)), layers.Dense(7, name="a"), layers.Dense(3, name="b")], seed=0, dtype=dtype)
    net.parameters["a.bias"][...] = rng.normal(size=7)
    x, y = rng.normal(size=(6, 5)).astype(dtype), rng.normal(size=(6, 3)).astype(dtype)
    before = {name: value.copy() for name, value in net.parameters.items()}
    nf.Trainer(net, loss="mse", optimizer=optimizers.Lamb(0.25)).train_on_batch(x, y)
    tolerance = 100 * float(np.finfo(dtype).eps)
    for name in ("a.kernel", "a.bias", "b.kernel"):
        moved, norm = np.linalg.norm(net.parameters[name] - before[name]), np.linalg.norm(before[name])
        assert moved == pytest.approx(0.25 * norm, rel=tolerance), name
    # A bias of 0 moves like Adam's: by the rate in the first step.
    np.testing.assert_allclose(np.abs(net.parameters["b.bias"]), 0.25, rtol=1e-4)


def matrices() -> nf.Network:
    return nf.Network(
        [
            layers.Input((6, 5, 2)),
            layers.Conv2D(4, (3, 2), activation="tanh", name="conv"),
            layers.DepthwiseConv2D(2, name="depthwise"),
            layers.Flatten(),
            layers.Dense(9, activation="tanh", name="wide"),
            layers.Dense(1, name="column"),
            layers.Dense(3, name="row"),
            layers.Dense(4, name="last"),
        ],
        seed=0,
        dtype="float64",
    )


@pytest.mark.parametrize("nesterov", [False, True])
def test_muon_by_singular_values(nesterov: bool, rng: np.random.Generator) -> None:
    """Kernels of convolutions as matrices; vectors, a single row or column and `exclude` by Adam."""
    net = matrices()
    optimizer = optimizers.Muon(
        0.02, 0.8, 0.95, 1e-5, adam_lr_ratio=0.5, momentum=0.7, nesterov=nesterov, ns_steps=3, exclude=["last"]
    )
    trainer = nf.Trainer(net, loss="mse", optimizer=optimizer)
    x, y = rng.normal(size=(8, 6, 5, 2)), rng.normal(size=(8, 4))
    orthogonal = {"conv.kernel", "wide.kernel"}
    truth = {name: (value.copy(), np.zeros_like(value), np.zeros_like(value)) for name, value in net.parameters.items()}
    assert orthogonal | {"column.kernel", "row.kernel", "last.kernel", "depthwise.kernel"} < set(truth)
    for step in range(1, 5):
        gradients = net.loss_and_gradients(x, y, "mse")[1]
        trainer.train_on_batch(x, y)
        for name, g in gradients.items():
            p, m, v = truth[name]
            if name in orthogonal:
                rows = (-1, p.shape[-1])
                p, m = reference.muon(
                    p.reshape(rows), g.reshape(rows), m.reshape(rows), 0.02, 0.7, nesterov, 3, rms_rate=0.2
                )
                truth[name] = p.reshape(g.shape), m.reshape(g.shape), v
            else:
                truth[name] = reference.adam(p, g, m, v, 0.01, 0.8, 0.95, 1e-5, step)
    for name, value in net.parameters.items():
        # Each iteration multiplies small singular values, and their errors, by up to 3.4.
        np.testing.assert_allclose(value, truth[name][0], rtol=0, atol=1e-11, err_msg=name)


@DTYPES
@pytest.mark.parametrize("shape", [(2, 2), (64, 48), (17, 130)])
def test_muon_makes_a_move_orthogonal(shape: tuple[int, int], dtype: str, rng: np.random.Generator) -> None:
    """Singular values from 0.7 to 1.2 by 5 iterations, if none is below some hundredth of the norm."""
    rows, columns = shape
    left = np.linalg.qr(rng.normal(size=(rows, rows)))[0][:, : min(shape)]
    right = np.linalg.qr(rng.normal(size=(columns, columns)))[0][: min(shape)]
    g = ((left * np.geomspace(1, 2, min(shape))) @ right).astype(dtype)
    p = np.zeros(shape, dtype)
    state = {"m": np.zeros_like(p), "v": np.zeros_like(p)}
    kernels.optimizer_update(optimizers.Muon(1.0, rms_rate=1.0), p, g, state)
    values = np.linalg.svd(-p / np.sqrt(max(shape)), compute_uv=False)
    assert 0.65 < values.min() <= values.max() < 1.25
    assert not state["v"].any()


def test_muon_of_a_gradient_of_zero_stays() -> None:
    p, state = np.ones((2, 3)), {"m": np.zeros((2, 3)), "v": np.zeros((2, 3))}
    kernels.optimizer_update("muon", p, np.zeros((2, 3)), state)
    assert (p == 1).all()


def test_muon_leaves_embeddings_to_adam() -> None:
    net = nf.Network([layers.Input((3,), dtype="int32"), layers.Embedding(5, 4), layers.Flatten(), layers.Dense(2)])
    trainer = nf.Trainer(net, loss="mse", optimizer="muon")
    trainer.train_on_batch(np.zeros((1, 3), "int32"), np.zeros((1, 2)))
    size = net.parameters["embedding.embeddings"].size
    assert trainer.plan.state()["v"][:size].any()


@pytest.mark.parametrize(
    ("exclude", "match"),
    [(["lost"], "exclude, got 'lost'"), (["wide", "kern"], "exclude, got 'kern'")],
)
def test_muon_refuses_names_that_are_none(exclude: list[str], match: str) -> None:
    with pytest.raises(ValueError, match=f"Muon: expected names of layers or parameters in {match}"):
        nf.Trainer(matrices(), loss="mse", optimizer=optimizers.Muon(exclude=exclude))
    with pytest.raises(TypeError, match="Muon: expected a list of names as exclude, got 'wide'"):
        optimizers.Muon(exclude="wide")


# ---- bits ------------------------------------------------------------------------------------------


@DTYPES
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("name", EVERY)
def test_the_number_of_threads_changes_no_bit(name: str, dtype: str, rng: np.random.Generator) -> None:
    start, gradients = rng.normal(size=(210, 331)).astype(dtype), rng.normal(size=(3, 210, 331)).astype(dtype)
    kinds = nf.Trainer(
        nf.Network([layers.Input((1,)), layers.Dense(1)], dtype=dtype), loss="mse", optimizer=EVERY[name](0.01)
    ).plan.state()
    results = set()
    for count in (1, 2, 3, 8):
        nf.set_num_threads(count)
        p, state = start.copy(), {kind: np.zeros_like(start) for kind in kinds}
        for step, g in enumerate(gradients, start=1):
            kernels.optimizer_update(EVERY[name](0.01), p, g, state, step)
        results.add(b"".join(part.tobytes() for part in (p, *state.values())))
    assert len(results) == 1


@pytest.mark.parametrize("name", EVERY)
def test_a_line_is_learned(name: str) -> None:
    x = np.linspace(-1, 1, 32)[:, None]
    net = nf.Network([layers.Input((1,)), layers.Dense(8, activation="tanh"), layers.Dense(1)], seed=1, dtype="float64")
    rate = {"adagrad": 0.3, "adadelta": 20.0, "adamax": 0.1, "lamb": 0.05, "sgd": 0.2}.get(name, 0.02)
    trainer = nf.Trainer(net, loss="mse", optimizer=EVERY[name](nf.schedules.Cosine(rate, steps=300)))
    trainer.fit(x, 2 * x + 1, epochs=300, batch_size=32, progress=False)
    assert trainer.evaluate(x, 2 * x + 1)["loss"] < 0.01
