"""Metrics of regressions: against their definitions in NumPy and scikit-learn."""

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

import nnfast as nf
from nnfast import layers, metrics
from nnfast.core.typing import Array
from tests.reference import metrics as reference


def values(metric: Any, t: Array, p: Array, weight: Array, dtype: str = "float64") -> tuple[Any, Any]:
    network = nf.Network([layers.Input(t.shape[1:]), layers.Activation("identity")], dtype=dtype)
    trainer = nf.Trainer(network, loss="mse", metrics=[metric], weighted_metrics=[metric])
    logs = trainer.evaluate(p, t, sample_weight=weight)
    return list(logs.values())[1], list(logs.values())[2]


@pytest.mark.parametrize("outputs", [1, 3, 17])
@pytest.mark.parametrize("rows", [1, 2, 97])
@pytest.mark.parametrize(
    ("metric", "function"),
    [
        ("mae", sk.mean_absolute_error),
        ("mse", sk.mean_squared_error),
        ("rmse", lambda t, p, sample_weight: sk.mean_squared_error(t, p, sample_weight=sample_weight) ** 0.5),
        (
            "mape",
            lambda t, p, sample_weight: 100 * sk.mean_absolute_percentage_error(t, p, sample_weight=sample_weight),
        ),
        ("mape", lambda t, p, sample_weight: reference.percentage_error(t, p, sample_weight)),
        ("cosine_similarity", lambda t, p, sample_weight: reference.cosine_similarity(t, p, sample_weight)),
    ],
)
def test_means(metric: str, function: Any, rows: int, outputs: int, rng: np.random.Generator) -> None:
    """Sums of at most 97 * 17 terms."""
    t, p, weight = rng.normal(size=(rows, outputs)), rng.normal(size=(rows, outputs)), rng.random(rows)
    plain, weighted = values(metric, t, p, weight)
    assert plain == pytest.approx(function(t, p, sample_weight=np.ones(rows)), rel=1e-12)
    assert weighted == pytest.approx(function(t, p, sample_weight=weight), rel=1e-12)


@pytest.mark.parametrize("mean", [0.0, 1e6])
@pytest.mark.parametrize("outputs", [1, 3])
def test_r2(outputs: int, mean: float, rng: np.random.Generator) -> None:
    """A mean of 1e6 costs the squares of 1e-16 * 1e6 at most."""
    t = mean + rng.normal(size=(97, outputs)) * np.arange(1, outputs + 1)
    p, weight = t + rng.normal(size=t.shape), rng.random(97)
    for aggregation, multioutput in (
        ("uniform_average", "uniform_average"),
        ("variance_weighted_average", "variance_weighted"),
        (None, "raw_values"),
    ):
        plain, weighted = values(metrics.R2Score(aggregation), t, p, weight)
        np.testing.assert_allclose(plain, sk.r2_score(t, p, multioutput=multioutput), atol=1e-9)
        np.testing.assert_allclose(
            weighted, sk.r2_score(t, p, sample_weight=weight, multioutput=multioutput), atol=1e-9
        )
    np.testing.assert_allclose(plain, reference.r2(t, p, np.ones(97)), atol=1e-9)


def test_r2_of_constant_targets_is_that_of_scikit_learn() -> None:
    t, p = np.full((5, 2), 3.0), np.array([[3.0, 2.0]] * 5)
    np.testing.assert_array_equal(metrics.R2Score(None).evaluate(t, p), [1.0, 0.0])
    np.testing.assert_array_equal(sk.r2_score(t, p, multioutput="raw_values"), [1.0, 0.0])
    assert metrics.R2Score("variance_weighted_average").evaluate(t, p) == 0.5


def test_r2_in_parts_is_that_of_the_whole(rng: np.random.Generator) -> None:
    """50 merged parts of 1 to 20 rows; a few roundings of each."""
    t = 100 + rng.normal(size=(500, 2))
    p = t + rng.normal(size=t.shape)
    trainer = nf.Trainer(
        nf.Network([layers.Input((2,)), layers.Activation("identity")], dtype="float64"), loss="mse", metrics=["r2"]
    )
    totals, first = np.zeros(trainer.plan.totals_size), 0
    while first < 500:
        part = slice(first, first + int(rng.integers(1, 20)))
        trainer.plan.merge_totals(totals, trainer.plan.evaluate(p[part], t[part], None))
        first = part.stop
    assert trainer.core_logs(totals, 500)["r2_score"] == pytest.approx(sk.r2_score(t, p), rel=1e-11)


def test_zeros_and_nan() -> None:
    zero, one = np.zeros((2, 3)), np.ones((2, 3))
    assert metrics.CosineSimilarity().evaluate(zero, one) == 0
    assert metrics.MeanAbsolutePercentageError().evaluate(zero, 1e-7 * one) == pytest.approx(100)
    overflow = nf.Network([layers.Input((1,)), layers.Rescaling(1e30), layers.Dense(1, kernel_initializer=[[1e30]])])
    trainer = nf.Trainer(overflow, loss="mse", metrics=["r2", "mape", "rmse", "cosine_similarity"])
    logs = trainer.evaluate([[1.0], [0.0]], [[1.0], [2.0]])
    assert logs["r2_score"] == -np.inf
    assert logs["rmse"] == logs["mape"] == np.inf
    assert np.isnan(logs["cosine_similarity"])


@pytest.mark.parametrize("name", ["r2", "mape", "cosine_similarity", "mae"])
def test_class_numbers_are_refused(name: str) -> None:
    network = nf.Network([layers.Input((3,)), layers.Softmax()])
    trainer = nf.Trainer(network, loss="cross_entropy", metrics=[name])
    with pytest.raises(ValueError, match=r"y: expected one-hot targets because of the metric .*np\.eye\(3\)\[y\]"):
        trainer.evaluate(np.eye(3), [0, 1, 2])
