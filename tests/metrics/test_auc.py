"""Areas under curves: exact where no bin has two different scores, close to scikit-learn elsewhere."""

import itertools
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

import nnfast as nf
from nnfast import layers, metrics
from nnfast.core.typing import Array
from tests.reference import metrics as reference


def scored(rng: np.random.Generator, rows: int, sharpness: float) -> tuple[Array, Array]:
    z = sharpness * rng.normal(size=rows)
    p = 1 / (1 + np.exp(-z))
    return (rng.random(rows) < 1 / (1 + np.exp(-rng.normal(size=rows) - z / sharpness))).astype(int), p


def binned(metric: metrics.AUC, true: Any, p: Any, weight: Any = None) -> Any:
    """With the core's bins, as in a trainer."""
    return metrics.Metric.evaluate(metric, true, p, weight)


@pytest.mark.parametrize("curve", ["ROC", "PR"])
@pytest.mark.parametrize("weighted", [False, True])
def test_few_scores_are_exact(curve: str, weighted: bool, rng: np.random.Generator) -> None:
    """On a grid, ties are ties, and no bin has two scores."""
    grid = np.linspace(0, 1, 101)
    for rows in (2, 3, 17, 400):
        p, true = rng.choice(grid, rows, replace=rows > len(grid)), np.arange(rows) % 2
        weight = rng.random(rows) + 0.5 if weighted else np.ones(rows)
        value = binned(metrics.AUC(curve), true, p, weight)
        if curve == "ROC":
            assert value == pytest.approx(reference.roc_auc(true, p, weight), rel=1e-12)
            assert value == pytest.approx(sk.roc_auc_score(true, p, sample_weight=weight), rel=1e-12)
        elif rows <= len(grid) and not weighted:
            assert value == pytest.approx(reference.average_precision(true, p, weight), rel=1e-12)
            assert value == pytest.approx(sk.average_precision_score(true, p), rel=1e-12)
        else:
            assert value == pytest.approx(sk.average_precision_score(true, p, sample_weight=weight), abs=0.02)


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 5.0, 20.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_many_scores(sharpness: float, weighted: bool, rng: np.random.Generator) -> None:
    true, p = scored(rng, 10000, sharpness)
    weight = rng.random(10000) if weighted else None
    wanted = sk.roc_auc_score(true, p, sample_weight=weight)
    assert binned(metrics.AUC(), true, p, weight) == pytest.approx(wanted, abs=2e-5)
    wanted = sk.average_precision_score(true, p, sample_weight=weight)
    assert binned(metrics.AUC("PR"), true, p, weight) == pytest.approx(wanted, abs=5e-4)


def test_more_bins_are_closer(rng: np.random.Generator) -> None:
    true, p = scored(rng, 3000, 3.0)
    wanted = sk.roc_auc_score(true, p)
    errors = [abs(binned(metrics.AUC(num_thresholds=bins), true, p) - wanted) for bins in (32, 1024, 65536)]
    assert errors[0] > 10 * errors[2]
    assert errors[2] < 1e-6


@pytest.mark.parametrize("curve", ["ROC", "PR"])
def test_bins_keep_the_order_of_any_numbers(curve: str) -> None:
    """Scores that are not probabilities, in steps of at least 10 % or .1: each has its own bin."""
    size = np.geomspace(1e-3, 1e3, 20)
    scores = np.concatenate([-size[::-1], [0.0, 0.25, 0.5, 0.75, 1.0], 1 + size, [np.inf]])
    true = np.arange(len(scores)) % 2
    wanted = sk.roc_auc_score if curve == "ROC" else sk.average_precision_score
    value = binned(metrics.AUC(curve, num_thresholds=65536), true[:-1], scores[:-1])
    assert value == pytest.approx(wanted(true[:-1], scores[:-1]), rel=1e-12)
    assert binned(metrics.AUC(), [0, 1, 0], [-np.finfo(float).max, np.finfo(float).max, 0.5]) == 1.0


@pytest.mark.parametrize(
    ("last", "loss"), [("softmax", nf.losses.CrossEntropy), ("sigmoid", nf.losses.BinaryCrossEntropy)]
)
@pytest.mark.parametrize("average", ["macro", "micro", "weighted", None])
def test_several_classes(last: str, loss: Any, average: Any, rng: np.random.Generator) -> None:
    """Outputs that are probabilities and logits; the tolerance is that of the bins on 500 rows."""
    z = rng.normal(size=(500, 3))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) if last == "softmax" else 1 / (1 + np.exp(-z))
    y = (rng.random((500, 3)) < p).astype(float)
    if last == "softmax":
        y = np.eye(3)[(p + 0.4 * rng.random(p.shape)).argmax(axis=1)]
    weight = rng.random(500)
    for on_logits, (curve, wanted) in itertools.product(
        (False, True), [("ROC", sk.roc_auc_score), ("PR", sk.average_precision_score)]
    ):
        network = nf.Network(
            [layers.Input((3,)), layers.Activation("identity" if on_logits else last)], dtype="float64"
        )
        metric = metrics.AUC(curve, average=average)
        trainer = nf.Trainer(network, loss=loss(on_logits), metrics=[metric], weighted_metrics=[metric])
        logs = trainer.evaluate(z, y, sample_weight=weight)
        np.testing.assert_allclose(logs["auc"], wanted(y, p, average=average), atol=2e-3)
        np.testing.assert_allclose(logs["weighted_auc"], wanted(y, p, average=average, sample_weight=weight), atol=2e-3)


def test_two_classes_are_one_question(rng: np.random.Generator) -> None:
    true, p = scored(rng, 200, 1.0)
    two = np.stack([1 - p, p], axis=1)
    for curve in ("ROC", "PR"):
        for value in (binned, metrics.AUC.evaluate):
            assert value(metrics.AUC(curve, 512), true, two) == value(metrics.AUC(curve, 512), true, p)
            alone = value(metrics.AUC(curve, 512, class_id=1), true, two)
            assert alone == value(metrics.AUC(curve, 512, average=None), true, two)[1]


@pytest.mark.parametrize(("curve", "function"), [("ROC", sk.roc_auc_score), ("PR", sk.average_precision_score)])
@pytest.mark.parametrize("weighted", [False, True])
def test_arrays_are_exact(curve: Any, function: Any, weighted: bool, rng: np.random.Generator) -> None:
    """Of rare classes, ties, any scores and several classes."""
    weight = rng.integers(0, 4, 1000) / 2 if weighted else None
    true = (rng.random(1000) < 0.05).astype(int)
    for scores in (true + rng.normal(size=1000), (true + rng.normal(size=1000)).round(1)):
        for moved in (scores, 1e4 + scores, 1e-5 * scores):
            value = metrics.AUC(curve).evaluate(true, moved, weight)
            assert value == pytest.approx(function(true, moved, sample_weight=weight), rel=1e-12)
    scores, y = rng.random((1000, 3)), np.eye(3)[rng.integers(0, 3, 1000)]
    for average in ("macro", "micro", "weighted", None):
        wanted = function(y, scores, average=average, sample_weight=weight)
        for targets in (y, y.argmax(axis=1)):
            value = metrics.AUC(curve, average=average).evaluate(targets, scores, weight)
            np.testing.assert_allclose(value, wanted, rtol=1e-12)
    assert np.isnan(metrics.AUC(curve).evaluate(true, np.where(np.arange(1000) == 3, np.nan, true), None))


def test_missing_classes_are_left_out() -> None:
    true, p = np.array([0, 1, 0, 1]), np.eye(3)[[0, 1, 1, 0]]
    for value in (binned, metrics.AUC.evaluate):
        np.testing.assert_array_equal(value(metrics.AUC(average=None), true, p), [0.5, 0.5, np.nan])
        assert value(metrics.AUC(), true, p) == 0.5
        for curve in ("ROC", "PR"):
            assert np.isnan(value(metrics.AUC(curve), [1, 1], [0.2, 0.4]))
            assert np.isnan(value(metrics.AUC(curve), [0, 0], [0.2, 0.4]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"curve": "PRC"}, 'AUC: expected curve as "ROC" or "PR"'),
        ({"num_thresholds": 31}, "num_thresholds >= 32"),
        ({"average": "mean"}, "AUC: expected average as one of"),
        ({"average": "macro", "class_id": 1}, "expected class_id or average, got both"),
    ],
)
def test_what_it_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.AUC(**arguments)


def test_classes_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match="auc: expected class_id below 3, got 3"):
        metrics.AUC(class_id=3).evaluate([0, 1], np.eye(3)[:2])
    with pytest.raises(ValueError, match='auc: expected one output or two classes because of average="binary", got 3'):
        metrics.AUC(average="binary").evaluate([0, 1], np.eye(3)[:2])
