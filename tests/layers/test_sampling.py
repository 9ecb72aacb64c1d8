"""layers.Sampling: the divergence against integrals, the noise and its gradient, and bad input."""

from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

ROWS = 5


def sampler(size: int, kl_weight: float, seed: int = 0) -> nf.Network:
    mean, log_variance = layers.Input((size,), name="mean"), layers.Input((size,), name="log_variance")
    code = layers.Sampling(kl_weight)([mean, log_variance])
    return nf.Network(inputs=[mean, log_variance], outputs=code, seed=seed, dtype="float64")


def vectors(size: int, rows: int = ROWS) -> list[Array]:
    rng = np.random.default_rng(1)
    return [rng.normal(size=(rows, size)), rng.normal(size=(rows, size))]


def divergence(mean: float, log_variance: float) -> float:
    """The integral of p log(p / q), for p with these parameters and q standard normal."""
    deviation = np.exp(log_variance / 2)
    z, dz = np.linspace(mean - 14 * deviation, mean + 14 * deviation, 20001, retstep=True)
    log_p = -((z - mean) ** 2) / (2 * deviation**2) - np.log(deviation)
    terms = np.exp(log_p) * (log_p + z**2 / 2) / np.sqrt(2 * np.pi)
    return float(terms.sum() * dz)


@pytest.mark.parametrize("kl_weight", [1.0, 0.3])
def test_divergence(kl_weight: float) -> None:
    mean, log_variance = vectors(3)
    each = np.vectorize(divergence)(mean, log_variance)
    loss = nf.Trainer(sampler(3, kl_weight)).evaluate([mean, log_variance])["loss"]
    assert loss == pytest.approx(kl_weight * each.sum(axis=1).mean(), rel=1e-10)


def test_small_divergences_keep_their_digits() -> None:
    """exp(v) - 1 - v is v^2 / 2 where v is small; rounded to 1, exp(v) would lose it."""
    small = np.full((2, 1), 1e-7)
    loss = nf.Trainer(sampler(1, 1.0)).evaluate([np.zeros((2, 1)), small])["loss"]
    assert loss == pytest.approx(1e-14 / 4, rel=1e-6)


def test_without_a_weight_nothing_is_added() -> None:
    mean, log_variance = vectors(2)
    assert nf.Trainer(sampler(2, 0.0), loss="mse").evaluate([mean, log_variance], mean)["loss"] == 0


def test_noise_is_standard_normal() -> None:
    """Its mean, variance and correlations lie within five of their standard deviations."""
    rows = 20_000
    mean, log_variance = vectors(3, rows)
    net = sampler(3, 1.0)
    z, _ = net.vjp([mean, log_variance], training=True)
    noise = (z - mean) / np.exp(log_variance / 2)
    assert np.abs(noise.mean(axis=0)).max() < 5 / np.sqrt(rows)
    assert np.abs(noise.var(axis=0) - 1).max() < 5 * np.sqrt(2 / rows)
    assert np.abs((noise**4).mean(axis=0) - 3).max() < 5 * np.sqrt(96 / rows)
    correlations = np.corrcoef(noise.T) - np.eye(3)
    assert np.abs(correlations).max() < 5 / np.sqrt(rows)
    assert abs(np.corrcoef(noise[1:, 0], noise[:-1, 0])[0, 1]) < 5 / np.sqrt(rows)
    again = net.vjp([mean, log_variance], training=True)[0]
    assert (again != z).all()
    assert np.array_equal(sampler(3, 1.0).vjp([mean, log_variance], training=True)[0], z)
    assert (sampler(3, 1.0, seed=1).vjp([mean, log_variance], training=True)[0] != z).all()


def test_gradient_passes_through_the_noise() -> None:
    """dz / d mean is 1, and dz / d log_variance half of the deviation from the mean."""
    mean, log_variance = vectors(3)
    z, pullback = sampler(3, 1.0).vjp([mean, log_variance], training=True)
    dz = np.random.default_rng(2).normal(size=z.shape)
    _, (d_mean, d_log_variance) = pullback(dz)
    np.testing.assert_allclose(d_mean, dz, rtol=1e-13)
    np.testing.assert_allclose(d_log_variance, dz * (z - mean) / 2, rtol=1e-12)


def test_prediction_is_the_mean() -> None:
    mean, log_variance = vectors(2)
    net = sampler(2, 1.0)
    assert np.array_equal(net.predict([mean, log_variance]), mean)
    assert np.array_equal(net.predict([mean[2:3], log_variance[2:3]]), mean[2:3])


def test_codes_of_several_axes() -> None:
    mean, log_variance = layers.Input((4, 3)), layers.Input((4, 3))
    net = nf.Network(
        inputs=[mean, log_variance], outputs=layers.Sampling(0.5)([mean, log_variance]), seed=0, dtype="float64"
    )
    rng = np.random.default_rng(3)
    m, v = rng.normal(size=(2, ROWS, 4, 3))
    wanted = 0.25 * (m**2 + np.exp(v) - v - 1).sum(axis=(1, 2)).mean()
    assert nf.Trainer(net).evaluate([m, v])["loss"] == pytest.approx(wanted, rel=1e-13)


def one_input() -> Any:
    return layers.Sampling(1.0)(layers.Input((2,)))


def other_shapes() -> Any:
    return layers.Sampling(1.0, name="code")([layers.Input((2,)), layers.Input((3,))])


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (one_input, ValueError, r"sampling: expected a mean and a log_variance of the same shape, got 1 with \(N, 2\)"),
        (other_shapes, ValueError, r"code: expected .* got 2 with \(N, 2\) and \(N, 3\)"),
        (lambda: layers.Sampling(-1.0), ValueError, "Sampling: expected a finite kl_weight >= 0"),
        (lambda: layers.Sampling("1"), TypeError, "Sampling: expected .* kl_weight"),  # type: ignore[arg-type]
    ],
)
def test_bad_input(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_a_variance_that_overflows_is_named() -> None:
    net = sampler(1, 1.0)
    x = [np.zeros((2, 1)), np.full((2, 1), 2000.0)]
    with pytest.raises(RuntimeError, match="sampling"):
        nf.Trainer(net, loss="mse").train_on_batch(x, np.zeros((2, 1)))
