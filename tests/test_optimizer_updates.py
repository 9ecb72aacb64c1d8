"""One update of arrays: the bits of a trainer, what is refused, and RMSprop by closed forms."""

from typing import Any

import numpy as np
import pytest
from optimizer_cases import DTYPES, EVERY, Given, chain, data

import nnfast as nf
from nnfast import _core, kernels, optimizers
from nnfast.core.typing import Array

# ---- the update of arrays ------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("name", [name for name in EVERY if name != "adamw"])  # decay is no part of the rule
def test_an_update_of_arrays_has_the_bits_of_a_trainer(name: str, dtype: str, rng: np.random.Generator) -> None:
    x, y = data(rng)
    network = chain(dtype)
    optimizer = EVERY[name](0.05)
    trainer = nf.Trainer(network, loss="mse", optimizer=optimizer)
    flat, vectors = network.flat(), trainer.plan.state()

    def of(parameter: str, vector: Array) -> Array:
        value = network.parameters[parameter]
        first = (value.ctypes.data - flat.ctypes.data) // flat.itemsize
        return vector[first : first + value.size].reshape(value.shape)

    arrays = {
        parameter: (value.copy(), {kind: of(parameter, vector).copy() for kind, vector in vectors.items()})
        for parameter, value in network.parameters.items()
    }
    for step in range(1, 6):
        for parameter, gradient in network.loss_and_gradients(x, y, "mse")[1].items():
            kernels.optimizer_update(optimizer, arrays[parameter][0], gradient, arrays[parameter][1], step)
        trainer.train_on_batch(x, y)
        for parameter, (p, state) in arrays.items():
            assert p.tobytes() == network.parameters[parameter].tobytes(), (step, parameter)
            for kind, vector in state.items():
                assert vector.tobytes() == of(parameter, trainer.plan.state()[kind]).tobytes(), (step, parameter)


def test_an_update_of_arrays_asks_a_schedule_for_its_step() -> None:
    p = np.zeros(1)
    kernels.optimizer_update(optimizers.SGD(lambda step: float(10**step)), p, np.ones(1), step=3)
    assert p == [-100]


@pytest.mark.parametrize(
    ("state", "error", "match"),
    [
        ({}, ValueError, "state: expected the vectors v, m, velocity, got no v"),
        (("v", "m"), ValueError, "got no velocity"),
        (("v", "m", "velocity", "w"), ValueError, "no vectors but v, m, velocity, got 4"),
        ({"v": np.zeros(2), "m": np.zeros(3), "velocity": np.zeros(3)}, ValueError, "v: .*gradients"),
        ({"v": np.zeros(3, "float32"), "m": np.zeros(3), "velocity": np.zeros(3)}, TypeError, "v: expected float64"),
        ([np.zeros(3)], TypeError, "state as a dict"),
    ],
)
def test_state_that_does_not_fit_is_refused(state: Any, error: type[Exception], match: str) -> None:
    given = {name: np.zeros(3) for name in state} if isinstance(state, tuple) else state
    p = np.ones(3)
    with pytest.raises(error, match=match):
        kernels.optimizer_update(optimizers.RMSprop(momentum=0.5, centered=True), p, np.ones(3), given)
    assert (p == 1).all()


def test_state_that_shares_memory_is_refused() -> None:
    v = np.zeros(3)
    for p, state in ((np.ones(3), {"v": v, "m": v}), (v, {"v": v, "m": np.zeros(3)})):
        with pytest.raises(ValueError, match="memory"):
            kernels.optimizer_update(optimizers.RMSprop(centered=True), p, np.ones(3), state)


def test_the_core_refuses_what_python_would() -> None:
    """A description that does not come from a class of nnfast's."""
    one = np.ones(1)
    for spec, match in (
        ({"name": "rmsprop", "rho": 1.0}, "rmsprop: expected 0 <= rho < 1, got 1"),
        ({"name": "rmsprop", "epsilon": 1e-40}, r"rmsprop: expected a finite epsilon >= 2\^-126, got 1e-40"),
        ({"name": "rmsprop", "beta_1": 0.5}, "beta_1"),
        ({"name": "sgd", "nesterov": 1}, "sgd: expected a momentum above 0"),
        ({"name": "rprop"}, "optimizer: expected one of adadelta, adagrad, .*, sgd; got 'rprop'"),
        ({"name": "adam", "epsilon": 0.0}, r"adam: expected a finite epsilon >= 2\^-126, got 0"),
        ({"name": "nadam", "momentum_decay": -1.0}, "nadam: expected a finite momentum_decay of 0 or more"),
        ({"name": "adagrad", "initial_accumulator_value": -1.0}, "initial_accumulator_value .* got -1"),
        ({"name": "muon", "ns_steps": 0}, "muon: expected an ns_steps from 1 to 100, got 0"),
        ({"name": "muon", "rms_rate": 0.0}, "muon: expected a finite rms_rate above 0, got 0"),
        ({"name": "muon", "exclude": ["a"]}, "names of layers or parameters in exclude, got 'a'"),
    ):
        with pytest.raises(ValueError, match=match):
            _core.optimizer_update(spec, one, one.copy(), {}, 0.1, 1)


# ---- RMSprop by closed forms ---------------------------------------------------------------------


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.75])
@pytest.mark.parametrize("slope", [2.0, -0.125])
def test_rmsprop_of_a_constant_gradient(slope: float, momentum: float, centered: bool) -> None:
    """v_t = (1 - rho^t) g^2 and m_t = (1 - rho^t) g, so that the variance is rho^t (1 - rho^t) g^2."""
    rate, rho, epsilon, steps = 0.01, 0.75, 1e-3, 12
    network = chain()
    optimizer = optimizers.RMSprop(rate, rho, momentum, epsilon, centered)
    trainer = nf.Trainer(network, loss=Given(slope), optimizer=optimizer)
    start = network.parameters["b.bias"].copy()
    for _ in range(steps):
        trainer.train_on_batch(np.ones((1, 3)), np.zeros((1, 2)))
    t = np.arange(1, steps + 1)
    rest = 1 - rho**t
    variance = (rho**t if centered else 1) * rest * slope**2
    moves = rate * slope / np.sqrt(variance + epsilon)
    # Each move is repeated, times the momentum, in every later step.
    shares = (1 - momentum ** (steps - t + 1)) / (1 - momentum)
    np.testing.assert_allclose(network.parameters["b.bias"], start - (moves * shares).sum(), rtol=0, atol=1e-13)


@DTYPES
def test_a_variance_that_rounding_takes_below_zero_counts_as_zero(dtype: str) -> None:
    """After some hundred equal gradients v - m^2 is a few units in the last place of g^2, of either sign."""
    rate, epsilon = 1e-6, 1e-7
    g = np.linspace(1e5, 2e5, 201, dtype=dtype)
    p, v, m = (np.zeros_like(g) for _ in range(3))
    optimizer = optimizers.RMSprop(rate, rho=0.8, epsilon=epsilon, centered=True)
    for step in range(1, 301):
        kernels.optimizer_update(optimizer, p, g, {"v": v, "m": m}, step)
    square = m.astype("longdouble") ** 2
    assert (v < square).any()
    assert (v > square).any()
    p[...] = 0
    kernels.optimizer_update(optimizer, p, g, {"v": v, "m": m}, step)
    # The kernel rounds m^2 at most once more; where the variance is then 0 the move is the longest there is.
    assert (np.abs(p) <= 1.001 * rate * g / np.sqrt(epsilon)).all()
    assert (np.abs(p[v < square]) >= 0.999 * rate * g[v < square] / np.sqrt(epsilon)).any()
