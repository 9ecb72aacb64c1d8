"""Losses in networks: rows that are left out, losses written in NumPy, options at their limits."""

from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers, losses
from nnfast.core.typing import Array

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def line(dtype: str = "float64") -> nf.Network:
    return nf.Network([layers.Input((1,)), layers.Dense(1, kernel_initializer="ones")], dtype=dtype)


class Quartic(losses.CustomLoss):
    def value(self, target: Array, prediction: Array) -> Array:
        return np.asarray(((prediction - target) ** 4).sum(axis=1))

    def gradient(self, target: Array, prediction: Array) -> Array:
        return np.asarray(4 * (prediction - target) ** 3)


# ---- rows of weight 0 ----------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("loss", ["mse", "half_squared_error", Quartic()], ids=str)
def test_a_row_of_weight_zero_may_hold_anything(loss: Any, dtype: str) -> None:
    """Its loss overflows: sum_i w_i v_i / N is (1 * 1 + 0) / 2, and the step is that of the other row."""
    most = float(np.finfo(dtype).max)
    x, weight = np.array([[1.0], [1.0]], dtype), np.array([1.0, 0.0], dtype)
    y = np.array([[0.0], [-most]], dtype)
    wanted = 0.25 if loss == "half_squared_error" else 0.5
    slope = {"mse": 2, "half_squared_error": 1}.get(loss if isinstance(loss, str) else "", 4)
    network = line(dtype)
    trainer = nf.Trainer(network, loss=loss, optimizer=nf.optimizers.SGD(0.125))
    with np.errstate(over="ignore"):
        assert trainer.evaluate(x, y, weight)["loss"] == wanted
        assert network.loss_and_gradients(x, y, loss, weight)[0] == wanted
        assert trainer.train_on_batch(x, y, weight) == wanted
    assert network.parameters["dense.kernel"][0, 0] == 1 - 0.125 * slope / 2
    assert network.parameters["dense.bias"][0] == -0.125 * slope / 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_of_weight_zero_may_have_no_value(bad: float) -> None:
    """Called on arrays, and in evaluation."""

    class Broken(losses.CustomLoss):
        def value(self, target: Array, prediction: Array) -> Array:
            return np.where(target[:, 0] > 0, bad, target[:, 1])

    t, weight = np.array([[0.0, 3.0], [1.0, 5.0]]), [2.0, 0.0]
    assert Broken()(t, t, weight) == 3
    assert not np.isfinite(Broken()(t, t))
    network = nf.Network([layers.Input((2,)), layers.Activation("identity")], dtype="float64")
    assert nf.Trainer(network, loss=Broken()).evaluate(t, t, weight)["loss"] == 3


def test_a_cross_entropy_of_weight_zero() -> None:
    huge, label = [[0.0, 0.0], [-3e38, 3e38]], [0, 0]
    for loss in (losses.CrossEntropy(from_logits=True), losses.CrossEntropy(from_logits=True, label_smoothing=0.5)):
        assert loss(label, huge, [2.0, 0.0]) == pytest.approx(np.log(2))
    assert losses.CrossEntropy()([0, 0], [[0.5, 0.5], [0.0, 1.0]], [2, 0]) == pytest.approx(np.log(2))


# ---- losses written in NumPy -----------------------------------------------------------------------


def test_a_custom_loss_called_with_weights(rng: np.random.Generator) -> None:
    t, p, weight = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.random(4)
    values = ((p - t) ** 4).sum(axis=1)
    assert Quartic()(t, p, weight) == pytest.approx((weight * values).sum() / 4, rel=1e-14)
    assert Quartic()(t, p) == pytest.approx(values.mean(), rel=1e-14)
    with pytest.raises(ValueError, match="sample_weight: expected one for each of the 4 rows"):
        Quartic()(t, p, weight[:3])


@DTYPES
def test_the_gradient_of_a_custom_loss_has_the_weights(dtype: str, rng: np.random.Generator) -> None:
    """sum_i w_i v_i / N, by a step and by loss_and_gradients: against the formula."""
    x, y, weight = rng.normal(size=(6, 3)), rng.normal(size=(6, 2)), rng.uniform(0.5, 3, size=6)
    network = nf.Network([layers.Input((3,)), layers.Dense(2)], seed=0, dtype=dtype)
    w, b = (part.astype("float64") for part in network.get_weights())
    error = 4 * (x @ w + b - y) ** 3 * weight[:, None] / 6
    wanted = [x.T @ error, error.sum(axis=0)]
    scale = float(np.abs(x).T.max() * np.abs(error).sum() + 1)
    tolerance = 100 * scale * float(np.finfo(dtype).eps)
    _, gradients = network.loss_and_gradients(x, y, Quartic(), weight)
    nf.Trainer(network, loss=Quartic(), optimizer=nf.optimizers.SGD(0.5)).train_on_batch(x, y, weight)
    for (name, value), before, slope in zip(network.parameters.items(), (w, b), wanted, strict=True):
        np.testing.assert_allclose(gradients[name], slope, rtol=0, atol=tolerance)
        np.testing.assert_allclose(value, before - 0.5 * slope, rtol=0, atol=tolerance)


@pytest.mark.parametrize("shape", [(), (1,), (4, 1), (1, 4), (3,)])
def test_values_of_a_shape_that_broadcasts_are_refused(shape: tuple[int, ...]) -> None:
    class Shaped(Quartic):
        def value(self, target: Array, prediction: Array) -> Array:
            return np.ones(shape)

    x, y = np.ones((4, 1)), np.ones((4, 1))
    trainer = nf.Trainer(line(), loss=Shaped())
    for call in (lambda: Shaped()(x, y), lambda: trainer.evaluate(x, y), lambda: trainer.train_on_batch(x, y)):
        with pytest.raises(ValueError, match=r"Shaped.value: expected shape \(4,\), got"):
            call()


@pytest.mark.parametrize("shape", [(), (1,), (2,), (4, 1), (1, 2), (4, 2, 1)])
def test_gradients_of_a_shape_that_broadcasts_are_refused(shape: tuple[int, ...]) -> None:
    class Shaped(Quartic):
        def gradient(self, target: Array, prediction: Array) -> Array:
            return np.ones(shape)

    network = nf.Network([layers.Input((3,)), layers.Dense(2)], seed=0)
    x, y, before = np.ones((4, 3)), np.ones((4, 2)), network.flat().copy()
    trainer = nf.Trainer(network, loss=Shaped())
    for call in (lambda: trainer.train_on_batch(x, y), lambda: network.loss_and_gradients(x, y, Shaped())):
        with pytest.raises(ValueError, match=r"Shaped.gradient: expected shape \(4, 2\), got"):
            call()
    np.testing.assert_array_equal(network.flat(), before)


# ---- options at their limits -------------------------------------------------------------------------


@pytest.mark.parametrize("delta", [0, 0.0, -0.0, -1.0, 1e-45, np.inf, np.nan])
def test_huber_wants_a_delta_above_zero(delta: float) -> None:
    with pytest.raises(ValueError, match=r"Huber: expected .*delta"):
        losses.Huber(delta)


@DTYPES
def test_huber_at_the_limits_of_delta(dtype: str) -> None:
    """With the smallest delta it is delta abs(e), with a huge one e^2 / 2, though delta^2 is no float32."""
    least = float(np.finfo(np.float32).tiny)
    e = np.array([[3.0], [-2.0], [0.0]], dtype)
    zero = np.zeros_like(e)
    got = nf.kernels.loss_forward("huber", e, zero, delta=least)
    np.testing.assert_allclose(got, least * np.array([3.0, 2.0, 0.0]), rtol=1e-6, atol=0)
    for huge in (1e30, 1e300):
        np.testing.assert_array_equal(nf.kernels.loss_forward("huber", e, zero, delta=huge), [4.5, 2.0, 0.0])
        np.testing.assert_allclose(3 * nf.kernels.loss_backward("huber", e, zero, delta=huge), e, rtol=1e-6)
    assert losses.Huber(least)([[0.0]], [[1.0]]) == pytest.approx(least, rel=1e-12)
