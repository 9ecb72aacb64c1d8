"""Metrics of classifiers: against their definitions in NumPy and against scikit-learn, of every kind of output."""

import math
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

import nnfast as nf
from nnfast import layers, metrics
from nnfast.core.typing import Array
from tests.reference import metrics as reference

N, K = 211, 4
AVERAGES = ["macro", "micro", "weighted", None]


class Task:
    """Outputs, targets and weights of some kind, and what they mean."""

    def __init__(self, kind: str, rng: np.random.Generator, rows: int = N) -> None:
        self.kind = kind
        k = {"sigmoid": 1, "two": 2}.get(kind, K)
        self.z = rng.normal(size=(rows, k))
        self.weight = rng.integers(0, 4, rows).astype(float) / 2
        if kind in ("sigmoid", "labels"):
            self.p = 1 / (1 + np.exp(-self.z))
            self.y: Array = (rng.random((rows, k)) < 0.2 + 0.6 * self.p).astype(float)
            self.loss: Any = "binary_cross_entropy"
            self.last = "sigmoid"
        else:
            powers = np.exp(self.z)
            self.p = powers / powers.sum(axis=1, keepdims=True)
            classes = (self.p + 0.3 * rng.random((rows, k))).argmax(axis=1)
            self.y = np.eye(k)[classes] if kind == "one-hot" else classes
            self.loss, self.last = "cross_entropy", "softmax"

    @property
    def true(self) -> Array:
        """As scikit-learn takes them."""
        if self.kind in ("sigmoid", "labels"):
            return self.y.astype(int)[:, 0] if self.kind == "sigmoid" else self.y.astype(int)
        return self.y.argmax(axis=1) if self.kind == "one-hot" else self.y

    @property
    def predicted(self) -> Array:
        if self.kind in ("sigmoid", "labels"):
            yes = (self.z > 0).astype(int)
            return yes[:, 0] if self.kind == "sigmoid" else yes
        return self.p.argmax(axis=1)

    def trainer(self, measured: Any, weighted: Any = (), on_logits: bool = False, dtype: str = "float64") -> nf.Trainer:
        loss = {"sigmoid": nf.losses.BinaryCrossEntropy, "softmax": nf.losses.CrossEntropy}[self.last](on_logits)
        last = "identity" if on_logits else self.last
        network = nf.Network([layers.Input(self.z.shape[1:]), layers.Activation(last)], dtype=dtype)
        return nf.Trainer(network, loss=loss, metrics=measured, weighted_metrics=weighted)

    def both(self, metric: metrics.Metric, on_logits: bool = False) -> tuple[Any, Any]:
        """The value without and with weights."""
        trainer = self.trainer([metric], [metric], on_logits)
        logs = trainer.evaluate(self.z, self.y, sample_weight=self.weight)
        return logs[metric.name], logs[f"weighted_{metric.name}"]


@pytest.fixture(params=["sigmoid", "two", "classes", "one-hot", "labels"])
def task(request: pytest.FixtureRequest, rng: np.random.Generator) -> Task:
    return Task(request.param, rng)


# ---- precision and its relatives -----------------------------------------------------------------


@pytest.mark.parametrize("on_logits", [False, True])
@pytest.mark.parametrize("average", ["auto", *AVERAGES])
@pytest.mark.parametrize(
    ("kind", "function"),
    [
        (metrics.Precision, sk.precision_score),
        (metrics.Recall, sk.recall_score),
        (metrics.F1Score, sk.f1_score),
        (metrics.FBetaScore, lambda *args, **options: sk.fbeta_score(*args, beta=2.0, **options)),
    ],
)
def test_figures_of_scikit_learn(task: Task, kind: Any, function: Any, average: Any, on_logits: bool) -> None:
    """Quotients of exact counts: a few roundings."""
    options = {"beta": 2.0} if kind is metrics.FBetaScore else {}
    name = ("binary" if task.kind in ("sigmoid", "two") else "macro") if average == "auto" else average
    if task.kind == "sigmoid":
        name = "binary"  # a single label: scikit-learn would average over both classes
    plain, weighted = task.both(kind(average=average, **options), on_logits)
    for value, weight in ((plain, None), (weighted, task.weight)):
        wanted = function(task.true, task.predicted, average=name, sample_weight=weight, zero_division=0)
        np.testing.assert_allclose(np.squeeze(value), wanted, rtol=1e-12)


def test_one_class_alone(task: Task) -> None:
    each = task.both(metrics.F1Score(average=None))
    for k in range(task.z.shape[1]):
        one = task.both(metrics.F1Score(class_id=k))
        assert one == (each[0][k], each[1][k])


def test_a_threshold_makes_answers_of_classes(rng: np.random.Generator) -> None:
    """As in Keras: every output above the threshold is a yes."""
    task = Task("classes", rng)
    yes, true = task.p > 0.3, np.eye(K)[task.y] > 0.5
    wanted = (yes & true).sum() / yes.sum()
    assert task.both(metrics.Precision("micro", threshold=0.3))[0] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.85])
def test_thresholds_of_logits_are_those_of_probabilities(threshold: float, rng: np.random.Generator) -> None:
    task = Task("labels", rng)
    for metric in (metrics.Recall("micro", threshold=threshold), metrics.BinaryAccuracy(threshold)):
        assert task.both(metric) == task.both(metric, on_logits=True)
    accuracy = ((task.p > threshold) == (task.y > 0.5)).mean()
    assert task.both(metrics.BinaryAccuracy(threshold))[0] == pytest.approx(accuracy, rel=1e-12)


@pytest.mark.parametrize("otherwise", [0.0, 1.0, math.nan])
def test_zero_division(otherwise: float) -> None:
    """Class 2 is never predicted, class 3 neither predicted nor true."""
    true, p = np.array([0, 1, 2, 2]), np.eye(4)[[0, 1, 0, 1]]
    for average in ("macro", "weighted", None):
        value = metrics.Precision(average, zero_division=otherwise).evaluate(true, p)
        wanted = sk.precision_score(true, p.argmax(axis=1), average=average, zero_division=otherwise)
        np.testing.assert_allclose(value[:3] if average is None else value, wanted, rtol=1e-12)
    nothing = np.zeros((3, 1))
    for kind in (metrics.Precision, metrics.Recall, metrics.F1Score):
        np.testing.assert_equal(kind(zero_division=otherwise).evaluate(nothing, nothing), otherwise)


@pytest.mark.parametrize(
    ("metric", "function"),
    [
        (metrics.BalancedAccuracy(), sk.balanced_accuracy_score),
        (metrics.MatthewsCorrelation(), sk.matthews_corrcoef),
        (metrics.CohenKappa(), sk.cohen_kappa_score),
        (metrics.Accuracy(), sk.accuracy_score),
        (metrics.ConfusionMatrix(), sk.confusion_matrix),
        (metrics.ConfusionMatrix(normalize="true"), lambda *a, **o: sk.confusion_matrix(*a, **o, normalize="true")),
        (metrics.ConfusionMatrix(normalize="pred"), lambda *a, **o: sk.confusion_matrix(*a, **o, normalize="pred")),
        (metrics.ConfusionMatrix(normalize="all"), lambda *a, **o: sk.confusion_matrix(*a, **o, normalize="all")),
    ],
    ids=lambda value: repr(value) if isinstance(value, metrics.Metric) else "",
)
@pytest.mark.parametrize("kind", ["sigmoid", "two", "classes", "one-hot"])
def test_figures_of_classes(metric: metrics.Metric, function: Any, kind: str, rng: np.random.Generator) -> None:
    task = Task(kind, rng)
    plain, weighted = task.both(metric)
    np.testing.assert_allclose(plain, function(task.true, task.predicted), rtol=1e-12)
    wanted = function(task.true, task.predicted, sample_weight=task.weight)
    np.testing.assert_allclose(weighted, wanted, rtol=1e-12)


def test_definitions(rng: np.random.Generator) -> None:
    task = Task("classes", rng)
    matrix = reference.confusion_matrix(task.true, task.predicted, K, task.weight)
    np.testing.assert_array_equal(task.both(metrics.ConfusionMatrix())[1], matrix)
    for metric, figure in (
        (metrics.Precision(None), reference.precision),
        (metrics.Recall(None), reference.recall),
        (metrics.F1Score(None), reference.f_beta),
    ):
        np.testing.assert_allclose(task.both(metric)[1], [figure(matrix, k) for k in range(K)], rtol=1e-14)
    assert task.both(metrics.MatthewsCorrelation())[1] == pytest.approx(reference.matthews(matrix), rel=1e-13)
    assert task.both(metrics.CohenKappa())[1] == pytest.approx(reference.cohen_kappa(matrix), rel=1e-13)


# ---- labels --------------------------------------------------------------------------------------


def test_several_labels(rng: np.random.Generator) -> None:
    task = Task("labels", rng)
    true, predicted, weight = task.true, task.predicted, task.weight
    plain, weighted = task.both(metrics.ConfusionMatrix())
    np.testing.assert_array_equal(plain, sk.multilabel_confusion_matrix(true, predicted))
    np.testing.assert_array_equal(weighted, sk.multilabel_confusion_matrix(true, predicted, sample_weight=weight))
    plain, weighted = task.both(metrics.ExactMatch())
    assert plain == pytest.approx(sk.accuracy_score(true, predicted), rel=1e-14)
    assert weighted == pytest.approx(sk.accuracy_score(true, predicted, sample_weight=weight), rel=1e-14)
    right = true == predicted
    plain, weighted = task.both(metrics.LabelAccuracy())
    np.testing.assert_allclose(plain, right.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(weighted, np.average(right, axis=0, weights=weight), rtol=1e-14)
    for metric in (metrics.MatthewsCorrelation(), metrics.CohenKappa(), metrics.BalancedAccuracy()):
        with pytest.raises(
            ValueError, match=f"{metric.name}: expected an output with one number for each class, got 4"
        ):
            task.trainer([metric])


# ---- the largest k -------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("kind", ["classes", "one-hot"])
def test_the_k_largest(kind: str, k: int, rng: np.random.Generator) -> None:
    task = Task(kind, rng)
    plain, weighted = task.both(metrics.TopKCategoricalAccuracy(k))
    assert plain == pytest.approx(reference.top_k(task.true, task.p, k, np.ones(N)), rel=1e-14)
    assert weighted == pytest.approx(reference.top_k(task.true, task.p, k, task.weight), rel=1e-14)
    if k < K:
        wanted = sk.top_k_accuracy_score(task.true, task.p, k=k, sample_weight=task.weight)
        assert weighted == pytest.approx(wanted, rel=1e-14)
    if k == 1:
        assert plain == task.both(metrics.Accuracy())[0]


def test_equal_outputs_are_in_the_order_of_classes() -> None:
    same = np.full((K, K), 0.25)
    for k in range(1, K + 1):
        assert metrics.TopKCategoricalAccuracy(k).evaluate(np.arange(K), same) == k / K


# ---- log loss ------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_logits", [False, True])
def test_log_loss(task: Task, on_logits: bool) -> None:
    """Sums of at most 211 terms in double precision."""
    for value, weight in zip(task.both(metrics.LogLoss(), on_logits), (None, task.weight), strict=True):
        if task.kind == "labels":
            columns = zip(task.true.T, task.p.T, strict=True)
            wanted = np.mean([sk.log_loss(t, p, sample_weight=weight) for t, p in columns])
        else:
            wanted = sk.log_loss(task.true, task.p.squeeze(), sample_weight=weight)
        assert value == pytest.approx(wanted, rel=1e-12)
    history = task.trainer(["log_loss"], on_logits=on_logits).fit(task.z, task.y, epochs=1, progress=False).history
    assert history["log_loss"] == pytest.approx(history["loss"], rel=1e-12)


# ---- positions and masks -------------------------------------------------------------------------


def positions(rng: np.random.Generator) -> tuple[nf.Network, Array, Array, Array]:
    """Sequences of at most 5 steps with 3 classes, which steps count, and their classes."""
    x = layers.Input((5, 3))
    network = nf.Network(inputs=x, outputs=layers.Activation("softmax")(layers.Masking()(x)), dtype="float64")
    z = rng.normal(size=(40, 5, 3))
    counted = np.arange(5) < rng.integers(1, 6, 40)[:, None]
    z[~counted] = 0
    return network, z, counted, rng.integers(0, 3, (40, 5))


def test_masked_positions_do_not_count(rng: np.random.Generator) -> None:
    network, z, counted, y = positions(rng)
    weight = rng.random(40)
    measured = [metrics.F1Score("macro"), metrics.ConfusionMatrix(), metrics.AUC(), metrics.TopKCategoricalAccuracy(2)]
    trainer = nf.Trainer(network, loss="cross_entropy", metrics=measured, weighted_metrics=measured)
    logs = trainer.evaluate(z, y, sample_weight=weight)
    true, predicted = y[counted], z.argmax(axis=-1)[counted]
    each = np.broadcast_to(weight[:, None], counted.shape)[counted]
    assert logs["f1_score"] == pytest.approx(sk.f1_score(true, predicted, average="macro"), rel=1e-12)
    wanted = sk.f1_score(true, predicted, average="macro", sample_weight=each)
    assert logs["weighted_f1_score"] == pytest.approx(wanted, rel=1e-12)
    np.testing.assert_array_equal(logs["confusion_matrix"], sk.confusion_matrix(true, predicted))
    p = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    wanted = sk.roc_auc_score(true, p[counted], multi_class="ovr", sample_weight=None)
    assert logs["auc"] == pytest.approx(wanted, abs=2e-3)
    rows = [reference.top_k(y[i][c], z[i][c], 2, np.ones(c.sum())) for i, c in enumerate(counted)]
    assert logs["top_k_categorical_accuracy"] == pytest.approx(np.mean(rows), rel=1e-12)
    wanted = np.average(rows, weights=weight)
    assert logs["weighted_top_k_categorical_accuracy"] == pytest.approx(wanted, rel=1e-12)


# ---- degenerate data -----------------------------------------------------------------------------


def test_a_single_class() -> None:
    true, p = np.zeros(5, int), np.eye(2)[[0, 0, 0, 0, 0]]
    assert metrics.BalancedAccuracy().evaluate(true, p) == 1
    assert metrics.MatthewsCorrelation().evaluate(true, p) == 0
    assert math.isnan(metrics.CohenKappa().evaluate(true, p))
    assert math.isnan(metrics.AUC().evaluate(true, p))
    assert math.isnan(metrics.AUC("PR").evaluate(true, p))


@pytest.mark.parametrize(
    "metric",
    [
        metrics.Precision("macro"),
        metrics.F1Score("micro"),
        metrics.Recall(None),
        metrics.BalancedAccuracy(),
        metrics.MatthewsCorrelation(),
        metrics.CohenKappa(),
        metrics.ConfusionMatrix(),
        metrics.TopKCategoricalAccuracy(2),
        metrics.AUC(),
        metrics.AUC("PR", average=None),
        metrics.LabelAccuracy(),
    ],
    ids=repr,
)
def test_nan_among_the_outputs(metric: metrics.Metric, rng: np.random.Generator) -> None:
    """All is NaN, unless the row has the weight 0."""
    task = Task("classes", rng, 20)
    large = [layers.Rescaling(1e30), layers.Rescaling(1e30)]
    spread = layers.Dense(K, kernel_initializer=[[1.0] * K, [-1.0] * K])
    overflow = nf.Network([layers.Input((2,)), *large, spread, layers.Softmax()])
    z = np.zeros((20, 2))
    z[3] = 1.0  # infinity minus infinity
    weight = np.where(np.arange(20) == 3, 0.0, 1.0)
    trainer = nf.Trainer(overflow, loss="cross_entropy", metrics=[metric], weighted_metrics=[metric])
    logs = trainer.evaluate(z, task.y, sample_weight=weight)
    assert np.isnan(logs[metric.name]).all()
    assert not np.isnan(logs[f"weighted_{metric.name}"]).all()


def test_without_any_weight(task: Task) -> None:
    for metric in (metrics.Accuracy(), metrics.AUC(), metrics.MatthewsCorrelation() if task.kind != "labels" else None):
        if metric is not None:
            logs = task.trainer([], [metric]).evaluate(task.z, task.y, sample_weight=np.zeros(N))
            assert math.isnan(logs[metric.name])
    for average in AVERAGES:
        for metric in (metrics.F1Score(average), metrics.Precision(average), metrics.Recall(average, zero_division=1)):
            logs = task.trainer([], [metric]).evaluate(task.z, task.y, sample_weight=np.zeros(N))
            assert np.isnan(logs[metric.name]).all()


# ---- targets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["log_loss", "binary_cross_entropy", "accuracy", "mse", "rmse", "huber", "f1", "auc"])
def test_a_single_axis_is_one_output(name: str) -> None:
    true, p, weight = [0, 1, 1, 0], [0.9, 0.8, 0.1, 0.2], [1.0, 2.0, 3.0, 4.0]
    metric = metrics.get(name)
    column = metric.evaluate(np.reshape(true, (4, 1)), np.reshape(p, (4, 1)), weight)
    assert metric.evaluate(true, p, weight) == metric.evaluate(true, np.reshape(p, (4, 1)), weight) == column
    if name in ("log_loss", "binary_cross_entropy"):
        assert column == pytest.approx(sk.log_loss(true, p, sample_weight=weight), rel=1e-12)


OF_ANSWERS = ["auc", "pr_auc", "precision", "recall", "f1", "balanced_accuracy", "mcc", "kappa"]


@pytest.mark.parametrize("name", [*OF_ANSWERS, "confusion_matrix", "label_accuracy"])
def test_other_targets_than_0_and_1(name: str) -> None:
    metric, p = metrics.get(name), [0.1, 0.9, 0.8]
    net = nf.Network([layers.Input((1,)), layers.Activation("sigmoid")])
    trainer = nf.Trainer(net, loss="mse", metrics=[name])
    for wrong, remedy in [([0, 1, 2], "classes from 0 to 2 need 3 outputs"), ([-1, 1, 1], "make classes 0 and 1")]:
        with pytest.raises(ValueError, match=f"expected targets 0 and 1, or probabilities between them.*{remedy}"):
            metric.evaluate(wrong, p)
        with pytest.raises(ValueError, match=f"expected targets 0 and 1, or probabilities between them.*{remedy}"):
            trainer.evaluate(np.reshape(p, (3, 1)), wrong)
    np.testing.assert_array_equal(metric.evaluate([0.2, 0.7, 0.3], p), metric.evaluate([0, 1, 0], p))
    with pytest.raises(ValueError, match="accuracy: expected classes, as one-hot rows or as 0 and 1"):
        metrics.get("accuracy").evaluate([0, 1, 2], p)
