"""Optuna itself: its trials end where a pruner says so, and the example about hyper-parameters searches with it."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import callbacks, layers

optuna = pytest.importorskip("optuna")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
X = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def searched(direction: str, rates: list[float], histories: list[nf.History], **options: Any) -> Any:
    """A study that tries these rates in turn; a pruner compares each epoch with the median of the trials before."""
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=1)
    study = optuna.create_study(direction=direction, sampler=optuna.samplers.RandomSampler(seed=0), pruner=pruner)
    for rate in rates:
        study.enqueue_trial({"rate": rate})

    def objective(trial: Any) -> float:
        net = nf.Network([layers.Input((3,)), layers.Dense(1)], seed=0)
        optimizer = nf.optimizers.SGD(trial.suggest_float("rate", 0.0, 1.0))
        trainer = nf.Trainer(net, loss="mse", optimizer=optimizer, metrics=["r2"])
        pruning = callbacks.OptunaPruning(trial, **options)
        try:
            trainer.fit(X, Y, epochs=5, validation_data=(X, Y), callbacks=[pruning], progress=False)
        finally:
            histories.append(trainer.history)
        return trainer.history[pruning.monitor][-1]

    study.optimize(objective, n_trials=len(rates))
    return study


@pytest.mark.parametrize("monitor", ["val_loss", "r2_score"])
def test_trials_that_are_not_promising_are_pruned(monitor: str) -> None:
    """The second learns nothing, and the third more than the first."""
    histories: list[nf.History] = []
    direction = "minimize" if monitor == "val_loss" else "maximize"
    study = searched(direction, [0.05, 0.0, 0.2], histories, monitor=monitor)
    states = optuna.trial.TrialState
    assert [trial.state for trial in study.trials] == [states.COMPLETE, states.PRUNED, states.COMPLETE]
    assert [len(history.epoch) for history in histories] == [5, 2, 5]
    for trial, history in zip(study.trials, histories, strict=True):
        assert trial.intermediate_values == dict(enumerate(history[monitor]))
    assert study.best_trial.number == 2
    assert study.best_value == histories[2][monitor][-1]


def test_an_exception_of_ones_own_ends_the_study() -> None:
    class Mine(Exception):
        pass

    with pytest.raises(Mine, match="pruned after epoch 1: val_loss = "):
        searched("minimize", [0.05, 0.0], [], exception=Mine)


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="needs the source tree; only the tests are here")
def test_the_example_searches_with_it() -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    topic = importlib.import_module("hyperparameters")
    problem = topic.Problem(epochs=1)
    name, found = topic.bayesian(problem, 12)
    assert name == "Bayesian, Optuna"
    assert len({trial.rate for trial in found}) == 12
    assert [trial[:4] for trial in topic.by_optuna(problem, 4)] == [trial[:4] for trial in found[:4]]  # by the seed
    # After ten random trials, those that its model suggests are better than the average of these.
    assert np.mean([trial.loss for trial in found[10:]]) < np.mean([trial.loss for trial in found[:10]])
