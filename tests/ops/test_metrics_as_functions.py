"""Metrics written as functions of tensors, which the core computes in training too."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers, ops


def error(y_true: Any, y_pred: Any) -> Any:
    return abs(y_true - y_pred)


def probability(y_true: Any, y_pred: Any) -> Any:
    """Of the true class."""
    return ops.squeeze(ops.take_along_axis(y_pred, ops.expand_dims(y_true, -1), axis=-1), -1)


def network(units: int = 2, *last: Any, dtype: str = "float64") -> nf.Network:
    return nf.Network([layers.Input((3,)), layers.Dense(units, *last)], seed=0, dtype=dtype)


@pytest.fixture
def x(rng: np.random.Generator) -> Any:
    return rng.normal(size=(11, 3))


def test_it_is_measured_in_training_and_evaluation(x: Any, rng: np.random.Generator) -> None:
    y = rng.normal(size=(11, 2))
    net = network()
    trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.0), metrics=[error, "mae"])
    history = trainer.fit(x, y, epochs=1, batch_size=4, validation_data=(x[:3], y[:3]), progress=False)
    truth = np.abs(y - net.predict(x))
    assert history["error"] == [pytest.approx(truth.mean(), rel=1e-12)]
    assert history["mae"] == [pytest.approx(history["error"][0], rel=1e-12)]
    assert history["val_error"] == [pytest.approx(truth[:3].mean(), rel=1e-12)]
    assert trainer.evaluate(x, y)["error"] == pytest.approx(truth.mean(), rel=1e-12)
    assert list(trainer.evaluate(x, y)) == ["loss", "error", "mae"]


def test_class_numbers_and_rows_of_probabilities(x: Any) -> None:
    """The function is traced for each form of targets; outputs are probabilities though the loss reads logits."""
    y = np.arange(11) % 4
    net = network(4, "softmax")
    p = net.predict(x)
    trainer = nf.Trainer(net, loss="cross_entropy", metrics=["accuracy", probability])
    assert trainer.evaluate(x, y)["probability"] == pytest.approx(p[np.arange(11), y].mean(), rel=1e-12)
    assert trainer.evaluate(x, y[:, None])["probability"] == pytest.approx(p[np.arange(11), y].mean(), rel=1e-12)

    def chosen(y_true: Any, y_pred: Any) -> Any:
        return ops.sum(y_true * y_pred, axis=-1)

    trainer = nf.Trainer(net, loss="cross_entropy", metrics=["accuracy", chosen])
    one_hot = np.eye(4)[y]
    trainer.fit(x, one_hot, epochs=1, batch_size=5, progress=False)
    p = net.predict(x)
    assert trainer.evaluate(x, one_hot)["chosen"] == pytest.approx(p[np.arange(11), y].mean(), rel=1e-12)


def test_several_forms_of_targets_in_turn(x: Any) -> None:
    y = np.arange(11) % 4
    loss = nf.losses.CrossEntropy(from_logits=True)
    trainer = nf.Trainer(network(4), loss=loss, metrics=[lambda t, p: ops.max(p, -1)])
    figures = [trainer.evaluate(x, targets)["<lambda>"] for targets in (y, np.eye(4)[y], y)]
    assert figures[0] == figures[1] == figures[2]


def test_beside_a_loss_that_is_a_function_of_several_arrays(x: Any, rng: np.random.Generator) -> None:
    y = {"a": rng.normal(size=(11, 2)), "b": rng.integers(0, 5, 11)}

    def loss(y_true: Any, y_pred: Any) -> Any:
        return ops.square(y_true["a"] - y_pred)

    def signed(y_true: Any, y_pred: Any) -> Any:
        return ops.mean(y_pred - y_true["a"], -1) * y_true["b"]

    net = network()
    trainer = nf.Trainer(net, loss=loss, optimizer=nf.optimizers.SGD(0.0), metrics=[signed])
    history = trainer.fit(x, y, epochs=1, batch_size=3, progress=False)
    truth = ((net.predict(x) - y["a"]).mean(-1) * y["b"]).mean()
    assert history["signed"] == [pytest.approx(truth, rel=1e-12)]
    with pytest.raises(ValueError, match="mae: expected one array of targets"):
        nf.Trainer(net, loss=loss, metrics=["mae", signed]).evaluate(x, y)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_bits_do_not_depend_on_threads(threads: int, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2000, 3)), rng.normal(size=(2000, 2))
    trainer = nf.Trainer(network(), loss="mse", metrics=[error])
    before = nf.get_num_threads()
    values = []
    try:
        for count in (1, threads):
            nf.set_num_threads(count)
            values.append(trainer.evaluate(x, y)["error"])
    finally:
        nf.set_num_threads(before)
    assert values[0] == values[1]


@pytest.mark.parametrize(
    "function",
    [
        lambda t, p: float(np.abs(np.asarray(t) - p).max()),
        lambda t, p: ops.max(abs(t - p)),  # one value for all rows
        lambda t, p: 0.5,
        lambda t, p: 1.0 if (t > p).any() else 0.0,
    ],
)
def test_other_functions_get_arrays_and_run_in_evaluation_only(x: Any, function: Any) -> None:
    y = np.ones((11, 2))
    net = network()
    trainer = nf.Trainer(net, loss="mse", metrics=[nf.metrics.FunctionMetric(function)])
    name = trainer.metrics[0].name if hasattr(trainer.metrics[0], "name") else trainer.metrics[0]
    assert name not in trainer.fit(x, y, epochs=1, progress=False)
    wanted = float(np.mean(np.asarray(function(y, net.predict(x)))))
    assert trainer.evaluate(x, y)[str(name)] == pytest.approx(wanted)


def test_copies_pickles_and_checkpoints(x: Any, tmp_path: Path) -> None:
    y = np.ones((11, 2))
    trainer = nf.Trainer(network(), loss="mse", metrics=[error])
    wanted = trainer.evaluate(x, y)
    assert copy.deepcopy(trainer).evaluate(x, y) == wanted
    assert pickle.loads(pickle.dumps(trainer)).evaluate(x, y) == wanted
    trainer.save_checkpoint(tmp_path / "net.safetensors")
    again = nf.Trainer.resume(tmp_path / "net.safetensors", custom_objects={"error": error})
    assert again.evaluate(x, y) == wanted


def test_a_checkpoint_in_the_middle_of_an_epoch(x: Any, tmp_path: Path) -> None:
    y = np.ones((11, 2))

    class Save(nf.callbacks.Callback):
        def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            if batch == 1:
                self.trainer.save_checkpoint(tmp_path / "net.safetensors")

    trainer = nf.Trainer(network(), loss="mse", metrics=[error])
    wanted = trainer.fit(x, y, epochs=1, batch_size=3, callbacks=[Save()], progress=False)
    again = nf.Trainer.resume(tmp_path / "net.safetensors", custom_objects={"error": error})
    assert again.fit(x, y, epochs=1, batch_size=3, progress=False).history == wanted.history
    again = nf.Trainer.resume(tmp_path / "net.safetensors", custom_objects={"error": lambda t, p: 0.5})
    with pytest.raises(ValueError, match="expected targets of the form in which the first 2 batches"):
        again.fit(x, y, epochs=1, batch_size=3, progress=False)


def test_sample_weights_apply_among_the_weighted_metrics(x: Any, rng: np.random.Generator) -> None:
    y, weights = rng.normal(size=(11, 2)), rng.uniform(0, 2, 11)
    net = network()
    trainer = nf.Trainer(
        net, loss="mse", optimizer=nf.optimizers.SGD(0.0), metrics=["mae", error], weighted_metrics=[error]
    )
    history = trainer.fit(x, y, epochs=1, batch_size=4, sample_weight=weights, progress=False)
    rows = np.abs(y - net.predict(x)).mean(axis=1)
    assert history["error"] == [pytest.approx(rows.mean(), rel=1e-12)]
    assert history["weighted_error"] == [pytest.approx(np.average(rows, weights=weights), rel=1e-12)]
    assert trainer.evaluate(x, y, weights)["weighted_error"] == pytest.approx(np.average(rows, weights=weights))


def test_trainers_without_functions_keep_their_plan(x: Any) -> None:
    """Whatever the form of the targets: a new plan costs more than a small network's epoch."""
    y = np.arange(11) % 4
    trainer = nf.Trainer(network(4), loss=nf.losses.CrossEntropy(from_logits=True), metrics=["accuracy"])
    plan = trainer.plan
    for targets in (y, np.eye(4)[y], y):
        trainer.fit(x, targets, epochs=1, progress=False)
        trainer.evaluate(x, targets)
    assert trainer.plan is plan
