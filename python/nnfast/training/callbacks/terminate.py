"""Callbacks that end a run on a condition."""

from __future__ import annotations

import math

from nnfast.core.options import real
from nnfast.training.callbacks.base import Callback, Logs, monitor_name, monitored, say
from nnfast.training.divergence import is_divergence

__all__ = ["TerminateOnCondition", "TerminateOnNaN"]


class TerminateOnCondition(Callback):
    """Stop when a quantity is small enough, or no longer changes.

    Parameters
    ----------
    monitor : str, default "loss"
        Name in the history.
    below : float, optional
        Stop once the quantity is less than this.
    min_change : float, optional
        Stop once it differs from that of the previous epoch by at most this.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import callbacks, layers
    >>> net = nf.Network([layers.Input((1,)), layers.Dense(1, kernel_initializer="ones")])
    >>> trainer = nf.Trainer(net, loss="half_squared_error", optimizer=nf.optimizers.SGD(0.5))
    >>> stop = callbacks.TerminateOnCondition(below=0.01, min_change=1e-6)
    >>> trainer.fit([[1.0]], [[0.0]], epochs=100, batch_size=1, callbacks=[stop]).history
    {'loss': [0.5, 0.0]}
    """

    def __init__(self, monitor: str = "loss", below: float | None = None, min_change: float | None = None) -> None:
        if below is None and min_change is None:
            raise ValueError("TerminateOnCondition: expected below=, min_change= or both")
        self.monitor = monitor_name("TerminateOnCondition", monitor)
        self.below = -math.inf if below is None else real("TerminateOnCondition", "below", below)
        self.min_change = (
            -1.0 if min_change is None else real("TerminateOnCondition", "min_change", min_change, minimum=0)
        )
        self.on_train_begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._last = math.inf

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        value = monitored(self, self.monitor, logs)
        if value < self.below or abs(value - self._last) <= self.min_change:
            self.trainer.stop_training = True
        self._last = value


class TerminateOnNaN(Callback):
    """End the run normally when the loss, a gradient or a parameter is no longer finite.

    Without this callback `Trainer.fit` raises the error, which says where the first NaN or infinity came from. With it,
    the message is printed, and `fit` validates the batches of this epoch, if there are any, and returns the history.
    Either way the network keeps the parameters before the failing step.

    Attributes
    ----------
    error : RuntimeError or None
        What happened; its notes say in which step, with which learning rate, and what to try.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import callbacks, layers
    >>> net = nf.Network([layers.Input((1,)), layers.Dense(1)], seed=0)
    >>> trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(1e10))
    >>> terminate = callbacks.TerminateOnNaN()
    >>> history = trainer.fit([[1.0]], [[2.0]], epochs=100, batch_size=1, callbacks=[terminate])
    >>> len(history["loss"]), type(terminate.error).__name__
    (2, 'RuntimeError')
    """

    def __init__(self) -> None:
        self.error: RuntimeError | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.error = None

    def absorbs(self, error: RuntimeError) -> bool:
        if not is_divergence(error):
            return False
        self.error = error
        say(f"TerminateOnNaN: {error}")
        return True
