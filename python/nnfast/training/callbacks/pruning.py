"""OptunaPruning: end trials of a hyperparameter search that are not promising."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from nnfast.training.callbacks.base import Callback, Logs, monitor_name, monitored

__all__ = ["OptunaPruning", "TrialPruned"]


class TrialPruned(Exception):
    """Raised by `OptunaPruning` where Optuna is not installed.

    Examples
    --------
    >>> from nnfast import callbacks
    >>> raise callbacks.TrialPruned("epoch 3")
    Traceback (most recent call last):
    nnfast.training.callbacks.pruning.TrialPruned: epoch 3
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*args)


class OptunaPruning(Callback):
    """Report a quantity to a trial of Optuna after each epoch, and end the run when the trial is to be pruned.

    Parameters
    ----------
    trial : optuna.trial.Trial
        Or any object with methods ``report(value, step)`` and ``should_prune()``.
    monitor : str, default "val_loss"
        Name in the history. Whether less or more is better is up to the study.
    exception : type, optional
        What to raise; ``optuna.TrialPruned`` by default or, without Optuna, `callbacks.TrialPruned`.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import callbacks, layers
    >>> def objective(trial):
    ...     rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    ...     net = nf.Network([layers.Input((1,)), layers.Dense(1)], seed=0)
    ...     trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.Adam(rate))
    ...     pruning = callbacks.OptunaPruning(trial, "loss")
    ...     return trainer.fit([[1.0]], [[2.0]], epochs=10, batch_size=1, callbacks=[pruning])["loss"][-1]
    >>> import optuna  # doctest: +SKIP
    >>> optuna.create_study(direction="minimize").optimize(objective, n_trials=20)  # doctest: +SKIP
    """

    def __init__(self, trial: Any, monitor: str = "val_loss", exception: type[BaseException] | None = None) -> None:
        for method in ("report", "should_prune"):
            if not callable(getattr(trial, method, None)):
                raise TypeError(f"OptunaPruning: expected a trial with a method {method}, got {trial!r}")
        self.trial = trial
        self.monitor = monitor_name("OptunaPruning", monitor)
        self.exception = exception

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        value = monitored(self, self.monitor, logs)
        self.trial.report(value, epoch)
        if self.trial.should_prune():
            raise (self.exception or _default_exception())(f"pruned after epoch {epoch}: {self.monitor} = {value:.6g}")


def _default_exception() -> type[BaseException]:
    try:
        found: type[BaseException] = import_module("optuna").TrialPruned
    except ImportError:
        return TrialPruned
    return found
