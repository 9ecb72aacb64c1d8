"""Metrics of a trainer: names, weights, logs of training, batches and threads, checkpoints, callbacks."""

import copy
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

import nnfast as nf
from nnfast import layers, metrics
from nnfast.core.typing import Array

ALL = ["accuracy", "precision", "recall", "f1", "auc", "pr_auc", "mcc", "kappa", "balanced_accuracy", "top_2_accuracy"]


def classifier(seed: int = 0) -> nf.Network:
    return nf.Network([layers.Input((5,)), layers.Dense(8, "tanh"), layers.Dense(3, "softmax")], seed=seed)


def data(rng: np.random.Generator, rows: int = 100) -> tuple[Array, Array]:
    x = rng.normal(size=(rows, 5)).astype("float32")
    return x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 0.5)


# ---- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("acc", metrics.Accuracy()),
        ("AUC", metrics.AUC()),
        ("roc_auc", metrics.AUC()),
        ("average_precision", metrics.AUC("PR", name="pr_auc")),
        ("Precision", metrics.Precision()),
        ("recall", metrics.Recall()),
        ("f1", metrics.F1Score()),
        ("F1Score", metrics.F1Score()),
        ("matthews_corrcoef", metrics.MatthewsCorrelation()),
        ("top_5_accuracy", metrics.TopKCategoricalAccuracy(5, "top_5_accuracy")),
        ("top3", metrics.TopKCategoricalAccuracy(3, "top3")),
        ("binary_accuracy", metrics.BinaryAccuracy()),
        ("mean_absolute_error", metrics.MeanAbsoluteError()),
        ("mse", metrics.MeanSquaredError()),
        ("RMSE", metrics.RootMeanSquaredError()),
        ("R2", metrics.R2Score()),
        ("log_loss", metrics.LogLoss()),
        ("huber", metrics.LossMetric("huber")),
    ],
)
def test_names(name: str, wanted: metrics.Metric) -> None:
    assert repr(metrics.get(name)) == repr(wanted)


def test_every_class_prints_and_is_saved(rng: np.random.Generator) -> None:
    changed = [
        metrics.Precision("macro", name="p"),
        metrics.Recall(threshold=0.3, zero_division=1.0),
        metrics.FBetaScore(None, beta=0.5),
        metrics.AUC("PR", 64, class_id=1, multi_label=False),
        metrics.ConfusionMatrix("true"),
        metrics.R2Score(None),
        metrics.TopKCategoricalAccuracy(2, name="best_two"),
    ]
    for metric in [*(cls() for name, cls in metrics.CLASSES.items() if name != "LossMetric"), *changed]:
        again = metrics.from_description(metrics.describe(metric), {})
        assert repr(again) == repr(metric)
        assert again.name == metric.name
        assert eval(repr(metric), vars(metrics)).get_config() == metric.get_config()


def test_the_same_metric_in_both_lists() -> None:
    trainer = nf.Trainer(classifier(), loss="cross_entropy", metrics=["acc", "f1"], weighted_metrics=["f1", "auc"])
    logs = trainer.evaluate(np.zeros((2, 5)), [0, 1])
    assert list(logs) == ["loss", "accuracy", "f1_score", "weighted_f1_score", "auc"]
    assert repr(trainer).endswith("metrics=['accuracy', 'f1_score'], weighted_metrics=['f1_score', 'auc'])")
    with pytest.raises(ValueError, match="expected different names of metrics, got 'f1_score' twice"):
        nf.Trainer(classifier(), loss="cross_entropy", metrics=["f1", metrics.F1Score("micro")])
    with pytest.raises(TypeError, match=r"write weighted_metrics=\['acc'\]"):
        nf.Trainer(classifier(), loss="cross_entropy", weighted_metrics="acc")


def test_metrics_of_the_same_counts_share_them() -> None:
    few = nf.Trainer(classifier(), loss="cross_entropy", metrics=["precision"]).plan.totals_size
    many = ["precision", "recall", "f1", "mcc", "kappa", "balanced_accuracy"]
    assert nf.Trainer(classifier(), loss="cross_entropy", metrics=many).plan.totals_size == few


# ---- weights -------------------------------------------------------------------------------------


def test_weights_of_samples_and_classes(rng: np.random.Generator) -> None:
    x, y = data(rng)
    weight, by_class = rng.random(100).astype("float32"), {0: 0.5, 1: 2.0}
    trainer = nf.Trainer(
        classifier(), loss="cross_entropy", optimizer=nf.optimizers.SGD(0.0), metrics=ALL, weighted_metrics=ALL
    )
    predicted = trainer.network.predict(x).argmax(axis=1)
    history = trainer.fit(
        x, y, epochs=1, batch_size=16, sample_weight=weight, class_weight=by_class, progress=False
    ).history
    both = weight * np.array([0.5, 2.0, 1.0], "float32")[y]
    for function, name in ((sk.accuracy_score, "accuracy"), (partial(sk.f1_score, average="macro"), "f1_score")):
        assert history[name] == [pytest.approx(function(y, predicted), rel=1e-6)]
        assert history[f"weighted_{name}"] == [pytest.approx(function(y, predicted, sample_weight=both), rel=1e-6)]
    logs = trainer.evaluate(x, y)
    assert all(logs[name] == logs[f"weighted_{name}"] for name in logs if f"weighted_{name}" in logs)


def test_weighted_losses(rng: np.random.Generator) -> None:
    """Divided by the sum of the weights, unlike the loss."""
    t, weight = rng.normal(size=(50, 2)), rng.integers(0, 3, 50).astype(float)
    network = nf.Network([layers.Input((2,)), layers.Activation("identity")], dtype="float64")
    trainer = nf.Trainer(network, loss="mse", weighted_metrics=["mse", "huber"])
    logs = trainer.evaluate(np.zeros((50, 2)), t, sample_weight=weight)
    assert logs["mse"] == pytest.approx(np.average((t**2).mean(axis=1), weights=weight), rel=1e-12)
    assert logs["loss"] == pytest.approx(logs["mse"] * weight.mean(), rel=1e-12)


def test_weights_of_one_of_several_outputs(rng: np.random.Generator) -> None:
    x = layers.Input((5,))
    network = nf.Network(
        inputs=x, outputs={"a": layers.Dense(3, "softmax")(x), "b": layers.Dense(1, "sigmoid")(x)}, seed=0
    )
    trainer = nf.Trainer(
        network,
        loss={"a": "cross_entropy", "b": "binary_cross_entropy"},
        metrics={"a": ["f1"]},
        weighted_metrics={"a": ["f1"], "b": ["accuracy", "precision"]},
    )
    z, y = data(rng)
    weight = rng.random(100).astype("float32")
    logs = trainer.evaluate(z, {"a": y, "b": y > 1}, sample_weight={"b": weight})
    assert list(logs)[3:] == ["a_f1_score", "a_weighted_f1_score", "b_accuracy", "b_precision"]
    p = network.predict(z)
    assert logs["a_f1_score"] == logs["a_weighted_f1_score"]
    wanted = sk.accuracy_score(y > 1, p["b"][:, 0] > 0.5, sample_weight=weight)
    assert logs["b_accuracy"] == pytest.approx(wanted, rel=1e-6)


# ---- batches, shards, threads --------------------------------------------------------------------


def test_parts_and_threads_have_the_same_bits(rng: np.random.Generator) -> None:
    """Of counts, and with weights that are multiples of 1/4 also of their sums."""
    x, y = data(rng)
    weight = (rng.integers(0, 9, 100) / 4).astype("float32")
    found = []
    before = nf.get_num_threads()
    try:
        for threads, batch_size, shards in ((1, 7, 1), (2, 7, 3), (3, 50, 1), (8, 100, 4)):
            nf.set_num_threads(threads)
            trainer = nf.Trainer(
                classifier(),
                loss="cross_entropy",
                optimizer=nf.optimizers.SGD(0.0),
                metrics=ALL,
                weighted_metrics=ALL,
                shards=shards,
            )
            fitted = trainer.fit(
                x,
                y,
                epochs=1,
                batch_size=batch_size,
                sample_weight=weight,
                validation_data=(x, y, weight),
                progress=False,
            )
            found.append({name: own for name, own in fitted.history.items() if not name.endswith("loss")})
    finally:
        nf.set_num_threads(before)
    assert found[0] == found[1] == found[2] == found[3]
    assert all(found[0][name] == found[0][f"val_{name}"] for name in found[0] if not name.startswith("val_"))


def test_logs_of_training_are_those_of_the_same_network(rng: np.random.Generator) -> None:
    """The core leaves the softmax to the loss where it can; the metrics must not notice."""
    x, y = data(rng)
    for measured in (["f1"], ["f1", "auc"], ["confusion_matrix", "top_2_accuracy"]):
        trainer = nf.Trainer(classifier(), loss="cross_entropy", optimizer=nf.optimizers.SGD(0.0), metrics=measured)
        history = trainer.fit(x, y, epochs=1, batch_size=32, progress=False).history
        for name, value in trainer.evaluate(x, y).items():
            if name != "loss":
                np.testing.assert_array_equal(history[name][0], value)


# ---- arrays as values ----------------------------------------------------------------------------


def test_arrays_in_the_history(rng: np.random.Generator, capsys: pytest.CaptureFixture[str]) -> None:
    x, y = data(rng)
    trainer = nf.Trainer(classifier(), loss="cross_entropy", metrics=["acc", "confusion_matrix"])
    history = trainer.fit(x, y, epochs=2, validation_data=(x, y))
    assert "accuracy" in capsys.readouterr().err
    assert "confusion" not in repr(history)
    matrix = history["val_confusion_matrix"][1]
    assert matrix.shape == (3, 3)
    assert matrix.trace() / 100 == pytest.approx(history["val_accuracy"][1], rel=1e-6)
    again = type(history).from_dict(history.to_dict())
    np.testing.assert_array_equal(again["val_confusion_matrix"][1], matrix)
    with pytest.raises(ValueError, match="expected a number to monitor, got 'confusion_matrix', which is an array"):
        trainer.fit(x, y, epochs=1, callbacks=[nf.callbacks.EarlyStopping("confusion_matrix", mode="min")])


# ---- user-defined metrics ------------------------------------------------------------------------


class LargestError(metrics.Metric):
    name = "largest_error"
    higher_is_better = False

    def __init__(self, power: int = 1) -> None:
        self.power = power

    def reset_state(self) -> None:
        self.largest = 0.0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        errors = np.abs(y_true - y_pred) ** self.power
        self.largest = max(
            self.largest, float(errors.max() if sample_weight is None else (errors.T * sample_weight).max())
        )

    def result(self) -> float:
        return self.largest


class Rows:
    """Three rows at a time."""

    def __init__(self, x: Array, y: Array, weight: Array) -> None:
        self.arrays = x, y, weight

    def __len__(self) -> int:
        return len(self.arrays[0])

    def take(self, rows: Array) -> Any:
        return tuple(array[rows[:3]] for array in self.arrays)


def regression() -> nf.Network:
    return nf.Network([layers.Input((2,)), layers.Dense(2)], seed=0)


def test_a_class_with_a_state(rng: np.random.Generator, tmp_path: Path) -> None:
    x, y = rng.normal(size=(10, 2)).astype("float32"), rng.normal(size=(10, 2)).astype("float32")
    weight = rng.random(10).astype("float32")
    trainer = nf.Trainer(regression(), loss="mse", metrics=[LargestError(2)], weighted_metrics=[LargestError(2)])
    errors = (trainer.network.predict(x) - y) ** 2
    for arguments in ((x, y, weight), (Rows(x, y, weight),)):
        logs = trainer.evaluate(*arguments)
        assert logs["largest_error"] == errors.max()
        assert logs["weighted_largest_error"] == pytest.approx((errors * weight[:, None]).max(), rel=1e-6)
    path = tmp_path / "run.safetensors"
    trainer.save_checkpoint(path)
    again = nf.Trainer.resume(path, custom_objects={"LargestError": LargestError})
    assert (
        again.evaluate(x, y, weight) == copy.deepcopy(trainer).evaluate(x, y, weight) == trainer.evaluate(x, y, weight)
    )
    assert isinstance(again.metrics[0], LargestError)
    assert again.metrics[0].power == 2
    with pytest.raises(ValueError, match="LargestError"):
        nf.Trainer.resume(path)


def test_a_class_that_says_nothing() -> None:
    class Empty(metrics.Metric):
        name = "empty"

    trainer = nf.Trainer(regression(), loss="mse", metrics=[Empty()])
    with pytest.raises(NotImplementedError, match="Empty: expected a method evaluate, or reset_state"):
        trainer.evaluate(np.zeros((2, 2)), np.zeros((2, 2)))


def test_checkpoints_keep_metrics_and_their_sums(rng: np.random.Generator, tmp_path: Path) -> None:
    """An epoch that is interrupted, saved and completed has the logs of one that is not."""
    x, y = data(rng)

    class Stop(nf.callbacks.Callback):
        def on_batch_end(self, batch: int, logs: Any) -> None:
            if batch == 2:
                raise KeyboardInterrupt

    def trainer() -> nf.Trainer:
        return nf.Trainer(
            classifier(), loss="cross_entropy", metrics=[*ALL, "confusion_matrix"], weighted_metrics=["f1"]
        )

    whole = trainer().fit(x, y, epochs=1, batch_size=16, progress=False)
    first = trainer()
    with pytest.raises(KeyboardInterrupt):
        first.fit(x, y, epochs=1, batch_size=16, callbacks=[Stop()], progress=False)
    first.save_checkpoint(tmp_path / "run.safetensors")
    second = nf.Trainer.resume(tmp_path / "run.safetensors").fit(x, y, epochs=1, batch_size=16, progress=False)
    assert list(second.history) == list(whole.history)
    for name in whole.history:
        np.testing.assert_array_equal(second[name], whole[name])


# ---- which way is better -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("monitor", "sign"),
    [("val_auc", -1), ("f1_score", -1), ("val_rmse", 1), ("weighted_mae", 1), ("val_largest_error", 1), ("top3", -1)],
)
def test_early_stopping_knows_the_direction(monitor: str, sign: int, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(8, 2)).astype("float32"), np.eye(2, dtype="float32")[rng.integers(0, 2, 8)]
    trainer = nf.Trainer(
        regression(),
        loss="mse",
        metrics=["auc", "f1", "rmse", "mae", LargestError(), "top3"],
        weighted_metrics=["mae"],
        optimizer=nf.optimizers.SGD(0.0),
    )
    stop = nf.callbacks.EarlyStopping(monitor, patience=0)
    trainer.fit(x, y, epochs=3, validation_data=(x, y), callbacks=[stop], progress=False)
    assert stop.best_epoch == 0
    assert math.isfinite(stop.best)
    stop.on_train_begin()
    assert stop.best == sign * math.inf
