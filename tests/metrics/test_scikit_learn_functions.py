"""Functions of scikit-learn as metrics, as they are."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

import nnfast as nf
from nnfast import layers, metrics
from nnfast.core.typing import Array

N = 60
macro = partial(sk.f1_score, average="macro")


def network(last: str, outputs: int) -> nf.Network:
    return nf.Network([layers.Input((outputs,)), layers.Activation(last)], dtype="float64")


def outcome(function: Any, loss: Any, last: str, z: Array, y: Any, weight: Array | None = None) -> Any:
    trainer = nf.Trainer(network(last, z.shape[1]), loss=loss, weighted_metrics=[function])
    return list(trainer.evaluate(z, y, sample_weight=weight).values())[1]


@pytest.fixture(params=[False, True])
def weight(request: pytest.FixtureRequest, rng: np.random.Generator) -> Any:
    return rng.random(N) if request.param else None


LABELS = [sk.accuracy_score, sk.f1_score, sk.balanced_accuracy_score, sk.matthews_corrcoef, sk.jaccard_score]
SCORES = [sk.roc_auc_score, sk.average_precision_score, sk.log_loss, sk.brier_score_loss]


@pytest.mark.parametrize("function", [*LABELS, *SCORES])
@pytest.mark.parametrize("kind", ["sigmoid", "logit", "two", "two logits"])
def test_two_classes(function: Any, kind: str, weight: Any, rng: np.random.Generator) -> None:
    z = rng.normal(size=(N, 2 if "two" in kind else 1))
    y = rng.integers(0, 2, N)
    on_logits = "logit" in kind
    if "two" in kind:
        loss, last, p = nf.losses.CrossEntropy(on_logits), "softmax", 1 / (1 + np.exp(z[:, 0] - z[:, 1]))
    else:
        loss, last, p = nf.losses.BinaryCrossEntropy(on_logits), "sigmoid", 1 / (1 + np.exp(-z[:, 0]))
    wanted = function(y, p if function in SCORES else (p > 0.5).astype(int), sample_weight=weight)
    value = outcome(function, loss, "identity" if on_logits else last, z, y, weight)
    assert value == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize(
    "function", [sk.accuracy_score, macro, sk.cohen_kappa_score, sk.roc_auc_score, sk.log_loss, sk.top_k_accuracy_score]
)
def test_several_classes(function: Any, one_hot: bool, weight: Any, rng: np.random.Generator) -> None:
    """Class 3 does not occur."""
    z, y = rng.normal(size=(N, 4)), rng.integers(0, 4 if function is sk.roc_auc_score else 3, N)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    options: dict[str, Any] = {"sample_weight": weight}
    scores = function in (sk.roc_auc_score, sk.log_loss, sk.top_k_accuracy_score)
    if scores:
        options["labels"] = np.arange(4)
    if function is sk.roc_auc_score:
        options["multi_class"] = "ovr"
    wanted = function(y, p if scores else p.argmax(axis=1), **options)
    assert outcome(function, "cross_entropy", "softmax", z, np.eye(4)[y] if one_hot else y, weight) == pytest.approx(
        wanted, rel=1e-9
    )


def test_arguments_of_the_partial_win(rng: np.random.Generator) -> None:
    z, y = rng.normal(size=(N, 3)), rng.integers(0, 3, N)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    one_to_one = partial(sk.roc_auc_score, multi_class="ovo")
    assert outcome(one_to_one, "cross_entropy", "softmax", z, y) == pytest.approx(
        sk.roc_auc_score(y, p, multi_class="ovo"), rel=1e-9
    )


@pytest.mark.parametrize("function", [sk.accuracy_score, macro, sk.roc_auc_score, sk.hamming_loss])
def test_several_labels(function: Any, weight: Any, rng: np.random.Generator) -> None:
    z, y = rng.normal(size=(N, 3)), rng.integers(0, 2, (N, 3))
    p = 1 / (1 + np.exp(-z))
    wanted = function(y, p if function is sk.roc_auc_score else (p > 0.5).astype(int), sample_weight=weight)
    assert outcome(function, "binary_cross_entropy", "sigmoid", z, y, weight) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize(
    "function", [sk.mean_absolute_error, sk.r2_score, sk.explained_variance_score, sk.median_absolute_error]
)
def test_regressions(function: Any, outputs: int, weight: Any, rng: np.random.Generator) -> None:
    z, t = rng.normal(size=(N, outputs)), rng.normal(size=(N, outputs))
    wanted = function(t, z, sample_weight=weight)
    assert outcome(function, "mse", "identity", z, t if outputs > 1 else t[:, 0], weight) == pytest.approx(
        wanted, rel=1e-9
    )


def test_all_rows_at_once(rng: np.random.Generator) -> None:
    """The mean of the scores of parts is not the score of the whole."""
    z, y = rng.normal(size=(N, 1)), rng.integers(0, 2, N)

    class Parts:
        def __len__(self) -> int:
            return N

        def take(self, rows: Array) -> Any:
            return z[rows[:7]], y[rows[:7]]

    trainer = nf.Trainer(network("sigmoid", 1), loss="binary_cross_entropy", metrics=[sk.f1_score, sk.roc_auc_score])
    assert trainer.evaluate(Parts()) == pytest.approx(trainer.evaluate(z, y), rel=1e-12)
    assert trainer.evaluate(z, y)["f1_score"] == pytest.approx(sk.f1_score(y, z > 0), rel=1e-12)


def test_positions_are_rows(rng: np.random.Generator) -> None:
    z, y, weight = rng.normal(size=(10, 4, 3)), rng.integers(0, 3, (10, 4)), rng.random(10)
    net = nf.Network([layers.Input((4, 3)), layers.Activation("softmax")], dtype="float64")
    trainer = nf.Trainer(net, loss="cross_entropy", weighted_metrics=[macro])
    wanted = sk.f1_score(y.ravel(), z.argmax(axis=-1).ravel(), average="macro", sample_weight=weight.repeat(4))
    assert trainer.evaluate(z, y, weight)["f1_score"] == pytest.approx(wanted, rel=1e-12)
    masked = nf.Network([layers.Input((4, 3)), layers.Masking(), layers.Activation("softmax")], dtype="float64")
    trainer = nf.Trainer(masked, loss="cross_entropy", metrics=[macro])
    with pytest.raises(ValueError, match="f1_score: expected an output without a mask"):
        trainer.evaluate(z, y)


def test_matrices(rng: np.random.Generator) -> None:
    z, y = rng.normal(size=(N, 3)), rng.integers(0, 3, N)
    value = outcome(sk.confusion_matrix, "cross_entropy", "softmax", z, y)
    np.testing.assert_array_equal(value, sk.confusion_matrix(y, z.argmax(axis=1)))


def test_names_and_directions() -> None:
    def plain(y_true: Any, y_pred: Any) -> float:
        return 0.0

    assert metrics.get(macro).name == "f1_score"
    assert metrics.get(macro).higher_is_better is True
    assert metrics.get(sk.log_loss).higher_is_better is metrics.get(sk.mean_squared_error).higher_is_better is False
    assert metrics.get(plain).higher_is_better is None
    named = partial(sk.f1_score, average="micro")
    named.__name__ = "micro_f1"  # type: ignore[attr-defined]
    assert metrics.get(named).name == "micro_f1"


def test_scorers_are_refused() -> None:
    scorer = sk.make_scorer(sk.f1_score, average="macro")
    for make in (metrics.get, metrics.FunctionMetric):
        with pytest.raises(
            TypeError, match=r"got the scorer .*pass the function itself: f1_score, or functools.partial"
        ):
            make(scorer)


def test_two_partials_of_one_function(rng: np.random.Generator, tmp_path: Path) -> None:
    """Each keeps its name, its options and its direction, also in a checkpoint."""
    micro = partial(sk.f1_score, average="micro")
    z, y = rng.normal(size=(N, 3)), rng.integers(0, 3, N)
    with pytest.raises(ValueError, match=r"got 'f1_score' twice; .*metrics.FunctionMetric\(function, name=...\)"):
        nf.Trainer(network("softmax", 3), loss="cross_entropy", metrics=[macro, micro])
    named = [metrics.FunctionMetric(macro, name="f1_macro"), metrics.FunctionMetric(micro, name="f1_micro")]
    assert named[0].higher_is_better is True
    trainer = nf.Trainer(network("softmax", 3), loss="cross_entropy", metrics=named)
    logs = trainer.evaluate(z, y)
    for average in ("macro", "micro"):
        assert logs[f"f1_{average}"] == pytest.approx(sk.f1_score(y, z.argmax(axis=1), average=average), rel=1e-12)
    trainer.save_checkpoint(tmp_path / "two.nnfast")
    own = {"f1_macro": macro, "f1_micro": micro}
    assert nf.Trainer.resume(tmp_path / "two.nnfast", custom_objects=own).evaluate(z, y) == logs
    with pytest.raises(ValueError, match="FunctionMetric: expected name as a str"):
        metrics.FunctionMetric(macro, name="")
