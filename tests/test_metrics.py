"""Metrics: accuracy of every kind of output, and what it refuses; losses among the metrics."""

from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

LOGITS = nf.losses.BinaryCrossEntropy(from_logits=True)


def outputs(shape: tuple[int, ...], *last: layers.Layer, dtype: str = "float64") -> nf.Network:
    """A network whose output is its input, but for the last layers."""
    return nf.Network([layers.Input(shape), *(last or [layers.Activation("identity")])], dtype=dtype)


def accuracy(network: nf.Network, loss: Any, x: Any, y: Any) -> float:
    return nf.Trainer(network, loss=loss, metrics=["accuracy"]).evaluate(x, y)["accuracy"]


# ---- what is right -----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3,), (4, 2)])
def test_several_sigmoids_are_as_many_answers(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    """Keras's binary accuracy: the mean over all outputs, each right or wrong on its own."""
    z = rng.normal(size=(50, *shape))
    y = (rng.random((50, *shape)) < 0.5).astype("float64")
    wanted = ((z > 0) == (y > 0.5)).mean()
    assert 0.3 < wanted < 0.7
    for network, loss in (
        (outputs(shape, layers.Activation("sigmoid")), "binary_cross_entropy"),
        (outputs(shape), LOGITS),
    ):
        assert accuracy(network, loss, z, y) == pytest.approx(wanted, rel=1e-12)
    network = outputs(shape, layers.Activation("sigmoid"))
    trainer = nf.Trainer(network, loss="binary_cross_entropy", metrics=["accuracy"])
    assert trainer.fit(z, y, epochs=1, batch_size=7).history["accuracy"] == [pytest.approx(wanted, rel=1e-12)]


def test_sigmoids_beside_a_squared_error_answer_together() -> None:
    """One-hot rows: the largest output counts, though none or several are more than .5."""
    z = np.array([[-1.0, -2.0, -3.0], [1.0, 2.0, 3.0], [-3.0, 1.0, -3.0], [1.0, 2.0, 3.0]])
    y = np.eye(3)[[0, 2, 0, 1]]
    for loss in ("mse", "half_squared_error"):
        assert accuracy(outputs((3,), layers.Activation("sigmoid")), loss, z, y) == 0.5


@pytest.mark.parametrize("target", [0.0, 0.5, 1.0])
def test_exactly_one_half_means_no(target: float) -> None:
    """For the output and for the target: Keras's threshold is "more than .5"."""
    z, y = np.zeros((1, 1)), np.array([[target]])
    right = float(target <= 0.5)
    assert accuracy(outputs((1,), layers.Activation("sigmoid")), "binary_cross_entropy", z, y) == right
    assert accuracy(outputs((1,)), LOGITS, z, y) == right
    above = np.full((1, 1), 1e-12)
    assert accuracy(outputs((1,)), LOGITS, above, y) == 1 - right
    two = np.zeros((1, 2))
    assert accuracy(outputs((2,)), LOGITS, two, np.array([[target, 0.0]])) == (right + 1) / 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bad", range(3))
def test_the_accuracy_of_nan_is_nan(bad: int, dtype: str) -> None:
    """An output that is no number is no answer, whatever the target: first, in the middle, last."""
    x = np.ones((3, 2), dtype)
    x[bad] = 2
    step = 0.9 * float(np.finfo(dtype).max) ** 0.5  # squared and doubled it is infinite, and minus itself NaN
    spread = [[1.0, 1.0], [-1.0, -1.0]]
    for last, loss, y in (
        ([layers.Dense(2, kernel_initializer=spread), layers.Softmax()], "cross_entropy", np.zeros(3, int)),
        ([layers.Dense(2, "sigmoid", kernel_initializer=spread)], "binary_cross_entropy", np.zeros((3, 2), dtype)),
        (
            [layers.Dense(1, "sigmoid", kernel_initializer=[[1.0], [-1.0]])],
            "binary_cross_entropy",
            np.zeros((3, 1), dtype),
        ),
    ):
        overflow = [layers.Rescaling(step), layers.Rescaling(step)]
        network = nf.Network([layers.Input((2,)), *overflow, *last], dtype=dtype)
        wanted = np.isnan(network.predict(x)).any(axis=1)
        np.testing.assert_array_equal(wanted, np.arange(3) == bad)
        assert np.isnan(accuracy(network, loss, x, y))
        good = np.delete(x, bad, axis=0)
        assert np.isfinite(accuracy(network, loss, good, y[:2]))


# ---- what it refuses ---------------------------------------------------------------------------

X = np.linspace(-1, 1, 12).reshape(4, 3)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "half_squared_error", "sum_absolute_error"])
@pytest.mark.parametrize(
    "y",
    [[[0.1], [0.7], [2.5], [-1.0]], [0, 1, 2, 3], [0.0, 0.25, 0.5, 1.0], [[0.9998], [1.0], [1.0002], [1.0]]],
    ids=["numbers", "counts", "from 0 to 1", "near 1"],
)
def test_a_regression_has_no_accuracy(loss: str, y: Any) -> None:
    network = nf.Network([layers.Input((3,)), layers.Dense(1)], seed=0)
    trainer = nf.Trainer(network, loss=loss, metrics=["accuracy"])
    before = network.flat().copy()
    for call in (trainer.evaluate, lambda x, y: trainer.fit(x, y, epochs=1, batch_size=4)):
        with pytest.raises(ValueError, match=r'accuracy: expected classes, .*for a regression pass metrics=\["mae"\]'):
            call(X, y)
    np.testing.assert_array_equal(network.flat(), before)
    metric = "mse" if loss == "mae" else "mae"
    assert set(nf.Trainer(network, loss=loss, metrics=[metric]).evaluate(X, y)) == {"loss", metric}


def test_a_regression_of_several_numbers_has_no_accuracy() -> None:
    network = nf.Network([layers.Input((3,)), layers.Dense(3)], seed=0)
    trainer = nf.Trainer(network, loss="mse", metrics=["accuracy"])
    with pytest.raises(ValueError, match="accuracy: expected classes"):
        trainer.evaluate(X, X)


@pytest.mark.parametrize(
    ("y", "last"),
    [
        (np.eye(3)[[0, 1, 2, 1]], layers.Dense(3)),
        (np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.0, 0.25, 0.75]]), layers.Dense(3, "softmax")),
        (np.array([[0.01, 0.99], [0.99, 0.01]] * 2), layers.Dense(2, "sigmoid")),
        (np.array([-1.0, 1, 1, -1]), layers.Dense(1, "tanh")),
        (np.array([0, 1, 1, 0]), layers.Dense(1)),
        (np.ones(4), layers.Dense(1)),
    ],
    ids=["one-hot", "soft", "two values", "signs", "integers", "one value"],
)
def test_classes_of_any_kind_have_an_accuracy_beside_a_squared_error(y: Array, last: layers.Layer) -> None:
    network = nf.Network([layers.Input((3,)), last], seed=0, dtype="float64")
    p = network.predict(X)
    right = p.argmax(axis=1) == y.argmax(axis=1) if p.shape[1] > 1 else (p[:, 0] > 0.5) == (y > 0.5)
    assert accuracy(network, "mse", X, y) == right.mean()


# ---- totals of several passes --------------------------------------------------------------------

BINARY = nf.losses.BinaryCrossEntropy(from_logits=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cut", [1, 13, 49])
@pytest.mark.parametrize(
    ("loss", "names"),
    [("mse", ["accuracy", "mae", "huber"]), (BINARY, ["mse", "accuracy"]), ("mae", []), ("huber", ["accuracy"])],
    ids=["three", "two", "none", "one"],
)
def test_merged_totals_are_those_of_one_pass(
    loss: Any, names: list[str], cut: int, dtype: str, rng: np.random.Generator
) -> None:
    """Weights included. Sums of at most 50 numbers, in another order: 50 eps of the sum of magnitudes."""
    x = rng.normal(size=(50, 3)).astype(dtype)
    y = (rng.random((50, 3)) < 0.5).astype(dtype)
    weight = rng.random(50).astype(dtype)
    trainer = nf.Trainer(outputs((3,), dtype=dtype), loss=loss, metrics=names)
    plan = trainer.plan
    whole = plan.evaluate(x, y, weight)
    first, second = plan.evaluate(x[:cut], y[:cut], weight[:cut]), plan.evaluate(x[cut:], y[cut:], weight[cut:])
    assert whole.shape == (plan.totals_size,)
    plan.merge_totals(first, second)
    tolerance = 50 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(first, whole, rtol=tolerance)
    wanted = trainer.evaluate(x, y, weight)
    assert list(wanted) == ["loss", *names]
    assert trainer.core_logs(whole, 50) == wanted
    np.testing.assert_allclose(list(trainer.core_logs(first, 50).values()), list(wanted.values()), rtol=tolerance)


def test_totals_of_another_plan_are_refused() -> None:
    plan = nf.Trainer(outputs((3,)), loss="mse", metrics=["accuracy"]).plan
    assert plan.totals_size == 3
    for wrong in (np.zeros(2), np.zeros(4), np.zeros((1, 2))):
        with pytest.raises(ValueError, match=r"totals: expected shape \(3,\), got"):
            plan.merge_totals(np.zeros(3), wrong)
        with pytest.raises(ValueError, match=r"totals: expected shape \(3,\), got"):
            plan.merge_totals(wrong, np.zeros(3))


# ---- losses among the metrics --------------------------------------------------------------------


def test_a_cross_entropy_of_logits_is_in_the_logs_of_training(rng: np.random.Generator) -> None:
    """With steps of size 0 the logs of training are the values of the network as it is."""
    z, labels = rng.normal(size=(20, 4)), rng.integers(0, 4, 20)
    metric = nf.losses.CrossEntropy(from_logits=True, label_smoothing=0.25)
    network = nf.Network([layers.Input((4,)), layers.Dense(4, kernel_initializer=np.eye(4))], dtype="float64")
    loss = nf.losses.CrossEntropy(from_logits=True)
    trainer = nf.Trainer(network, loss=loss, metrics=[metric], optimizer=nf.optimizers.SGD(0.0))
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    smooth = 0.75 * np.eye(4)[labels] + 0.25 / 4
    wanted = {"loss": -log_p[np.arange(20), labels].mean(), "cross_entropy": -(smooth * log_p).sum(axis=1).mean()}
    for y in (labels, np.eye(4)[labels]):
        history = trainer.fit(z, y, epochs=1, batch_size=8, validation_data=(z, y)).history
        assert set(history) == {*wanted, *(f"val_{name}" for name in wanted)}
        for name, value in wanted.items():
            assert history[name] == [pytest.approx(value, rel=1e-12)], name
            assert history[f"val_{name}"] == [pytest.approx(value, rel=1e-12)], name


def test_a_cross_entropy_of_probabilities_is_in_the_logs_of_validation_alone(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(8, 3)), np.eye(3)[rng.integers(0, 3, 8)]
    trainer = nf.Trainer(outputs((3,), layers.Softmax()), loss="mse", metrics=["cross_entropy"])
    assert set(trainer.fit(x, y, epochs=1, validation_data=(x, y), batch_size=8).history) == {
        "loss",
        "val_loss",
        "val_cross_entropy",
    }


def test_classes_are_no_metrics() -> None:
    with pytest.raises(TypeError, match=r"metric: expected a metric, got the class Accuracy; write Accuracy\(\)"):
        nf.metrics.get(nf.metrics.Accuracy)
