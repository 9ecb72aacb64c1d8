"""Timing: how long the epochs take."""

from __future__ import annotations

import time

from nnfast.training.callbacks.base import Callback, Logs

__all__ = ["Timing"]


class Timing(Callback):
    """Put the duration of each epoch and the training speed into the history.

    ``history["seconds"]`` is the wall time of an epoch with its validation, ``history["samples_per_second"]`` the
    number of rows trained divided by the time without validation. Loggers show both if they come after this callback.

    Attributes
    ----------
    total : float
        Seconds since the beginning of the run, at the end of the last epoch.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import callbacks, layers
    >>> trainer = nf.Trainer(nf.Network([layers.Input((1,)), layers.Dense(1)], seed=0), loss="mse")
    >>> timing = callbacks.Timing()
    >>> history = trainer.fit([[1.0]], [[2.0]], epochs=3, batch_size=1, callbacks=[timing])
    >>> list(history), timing.total >= sum(history["seconds"])
    (['loss', 'seconds', 'samples_per_second'], True)
    """

    added_figures = ("seconds", "samples_per_second")
    total = 0.0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._run_started = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._started = time.perf_counter()
        self._trained: float | None = None
        self._iteration = self.trainer.iteration

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._trained = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        now = time.perf_counter()
        batches = self.trainer.iteration - self._iteration
        rows = batches * self.params["batch_size"]
        if self.params["samples"] is not None:  # the last batch may be smaller
            rows = min(rows, self.params["samples"])
        logs["seconds"] = now - self._started
        logs["samples_per_second"] = rows / max((self._trained or now) - self._started, 1e-9)
        self.total = now - self._run_started
