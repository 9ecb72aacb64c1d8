"""Callbacks: code that `Trainer.fit` runs between epochs or batches."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from nnfast import losses
from nnfast.core.options import choose, integer, real

if TYPE_CHECKING:
    from nnfast.core.typing import Array
    from nnfast.training.trainer import Trainer

__all__ = ["Callback", "EarlyStopping", "TerminateOnCondition"]

Logs = dict[str, float]


class Callback:
    """Base class of all callbacks: derive from it and override methods.

    `trainer` is the running trainer. ``self.trainer.stop_training = True`` ends the run after the epoch or, from
    `on_batch_end`, after the batch; the batches trained so far then count as the epoch and are validated. Overriding
    `on_batch_end` makes the core return to Python after every batch.

    Notes
    -----
    An exception in a method ends `Trainer.fit` and propagates. The network stays as after the last step, and
    `on_train_end` is not called. Methods may freeze parameters, evaluate, predict, or make further steps with
    `Trainer.train_on_batch`, but not call `Trainer.fit` of the same trainer.

    `Trainer.fit` refuses callbacks with other methods whose names begin with ``on_``, including those of Keras that it
    does not call, because they would never run.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import callbacks, layers
    >>> class Report(callbacks.Callback):
    ...     def on_train_begin(self):
    ...         self.batches = 0
    ...     def on_epoch_begin(self, epoch):
    ...         print("epoch", epoch)
    ...     def on_batch_end(self, batch, logs):
    ...         self.batches += 1
    ...     def on_epoch_end(self, epoch, logs):
    ...         if logs["loss"] < 0.1:
    ...             self.trainer.stop_training = True
    ...     def on_train_end(self):
    ...         print(self.batches, "batches")
    >>> net = nf.Network([layers.Input((1,)), layers.Dense(1, kernel_initializer="zeros")])
    >>> trainer = nf.Trainer(net, loss="half_squared_error", optimizer=nf.optimizers.SGD(0.5))
    >>> history = trainer.fit([[1.0], [1.0]], [[1.0], [1.0]], epochs=9, batch_size=1, callbacks=[Report()])
    epoch 0
    epoch 1
    4 batches
    """

    trainer: Trainer

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            hint = "; use self.trainer and self.trainer.network" if name in ("model", "params") else ""
            raise AttributeError(f"{type(self).__name__}: no attribute {name!r}{hint}")

    def on_train_begin(self) -> None:
        """Called before the first epoch."""

    def on_train_end(self) -> None:
        """Called after the last epoch, but not after an exception."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Called before each epoch.

        Parameters
        ----------
        epoch : int
            Index of the epoch, from 0.
        """

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Called after each epoch and its validation.

        Parameters
        ----------
        epoch : int
            Index of the epoch, from 0.
        logs : dict of str to float
            Loss and metrics of the epoch by name, with the prefix "val_" for validation data.
        """

    def on_batch_end(self, batch: int, logs: Logs) -> None:
        """Called after each batch.

        Parameters
        ----------
        batch : int
            Index of the batch in its epoch, from 0.
        logs : dict of str to float
            Loss and metrics of the batch by name.
        """


_VALIDATION = "write on_epoch_end(epoch, logs), which gets the figures of the validation too"
_INSTEAD = {
    "set_model": "use self.trainer and self.trainer.network",
    "set_params": "use self.trainer",
    "on_train_batch_end": "write on_batch_end(batch, logs)",
    "on_train_batch_begin": "write on_epoch_begin(epoch) or on_batch_end(batch, logs)",
    "on_batch_begin": "write on_epoch_begin(epoch) or on_batch_end(batch, logs)",
    "on_test_begin": _VALIDATION,
    "on_test_end": _VALIDATION,
    "on_test_batch_begin": _VALIDATION,
    "on_test_batch_end": _VALIDATION,
    "on_predict_begin": "write what it does around the call of Network.predict",
    "on_predict_end": "write what it does around the call of Network.predict",
}
"""What to use instead of Keras's other methods."""


def as_callbacks(given: Any) -> tuple[Callback, ...]:
    """The callbacks passed to `Trainer.fit`: none, one, or an iterable. Their methods are checked."""
    callbacks = () if given is None else tuple(given) if isinstance(given, Iterable) else (given,)
    for callback in callbacks:
        if not isinstance(callback, Callback):
            hint = f"; write {callback.__name__}()" if isinstance(callback, type) else ""
            raise TypeError(f"fit: expected objects of classes derived from callbacks.Callback, got {callback!r}{hint}")
        known = [name for name in dir(Callback) if name.startswith("on_")]
        for name in dir(callback):
            if name in _INSTEAD or (name.startswith("on_") and name not in known):
                hint = _INSTEAD.get(name, f"the methods of a callback are {', '.join(known)}")
                raise TypeError(f"{type(callback).__name__}: no method of a callback is called {name}; {hint}")
    return callbacks


def runs_by_batch(callback: Callback) -> bool:
    """Whether `on_batch_end` is overridden, by the class or on the object."""
    return getattr(callback.on_batch_end, "__func__", None) is not Callback.on_batch_end


class EarlyStopping(Callback):
    """Stop when a quantity no longer improves, and restore the best parameters.

    Parameters
    ----------
    monitor : str, default "val_loss"
        Name in the history.
    patience : int, default 5
        Number of consecutive epochs without improvement that are tolerated; one more ends the run.
    min_delta : float, default 0
        Changes must exceed this to count as an improvement.
    mode : {"auto", "min", "max"}, default "auto"
        Whether lower or higher is better; "auto" means higher for names that end in "accuracy" and lower for losses,
        and is an error for others.
    restore_best_weights : bool, default True
        Set the network to the parameters of the best epoch at the end of the run, even if it was not stopped early.
        After an exception or Ctrl-C, it stays as after the last step.

    Attributes
    ----------
    best_epoch : int or None
        Index of the best epoch.
    best : float
        Value of the quantity in that epoch; infinite before the first.

    Notes
    -----
    NaN is never an improvement. Each improvement copies the parameters. The optimizer's state is not restored.

    References
    ----------
    Prechelt (1998), Early stopping - but when?, DOI 10.1007/3-540-49430-8_3.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import callbacks, layers
    >>> net = nf.Network([layers.Input((1,)), layers.Dense(1)], seed=0)
    >>> trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.0))  # with a rate of 0, nothing improves
    >>> stop = callbacks.EarlyStopping("loss", patience=2)
    >>> trainer.fit([[1.0]], [[2.0]], epochs=100, batch_size=1, callbacks=[stop]).epoch, stop.best_epoch
    ([0, 1, 2, 3], 0)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        mode: Literal["auto", "min", "max"] = "auto",
        restore_best_weights: bool = True,
    ) -> None:
        if not isinstance(mode, str) or mode not in ("auto", "min", "max"):
            raise ValueError(f'EarlyStopping: expected mode "auto", "min" or "max", got {mode!r}')
        self.monitor = _name_of("EarlyStopping", monitor)
        self.patience = integer("EarlyStopping", "patience", patience, minimum=0)
        self.min_delta = real("EarlyStopping", "min_delta", min_delta, minimum=0.0)
        self._sign = -1.0 if (_mode_of(self.monitor) if mode == "auto" else mode) == "max" else 1.0
        self.restore_best_weights = restore_best_weights
        self.on_train_begin()

    def on_train_begin(self) -> None:
        self.best = self._sign * math.inf
        self.best_epoch: int | None = None
        self._weights: list[Array] | None = None
        self._waited = 0

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        value = _monitored(self, self.monitor, logs)
        if self._sign * (self.best - value) > self.min_delta:
            weights = self.trainer.network.get_weights() if self.restore_best_weights else None
            self.best, self.best_epoch, self._weights, self._waited = value, epoch, weights, 0
            return
        self._waited += 1
        if self._waited > self.patience:
            self.trainer.stop_training = True

    def on_train_end(self) -> None:
        if self._weights is not None:
            self.trainer.network.set_weights(self._weights)


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
        self.monitor = _name_of("TerminateOnCondition", monitor)
        self.below = -math.inf if below is None else real("TerminateOnCondition", "below", below)
        self.min_change = (
            -1.0 if min_change is None else real("TerminateOnCondition", "min_change", min_change, minimum=0)
        )
        self.on_train_begin()

    def on_train_begin(self) -> None:
        self._last = math.inf

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        value = _monitored(self, self.monitor, logs)
        if value < self.below or abs(value - self._last) <= self.min_change:
            self.trainer.stop_training = True
        self._last = value


def _name_of(where: str, monitor: object) -> str:
    if not isinstance(monitor, str):
        raise TypeError(f'{where}: expected a name in the history as monitor, such as "val_loss", got {monitor!r}')
    return monitor


def _mode_of(monitor: str) -> str:
    figure = monitor.removeprefix("val_")
    if figure.endswith(("accuracy", "acc")):
        return "max"
    if figure.endswith("loss") or figure in losses.NAMES or figure in losses.ALIASES:
        return "min"
    raise ValueError(
        f'EarlyStopping: expected mode="min" or mode="max" with {monitor!r}; only of losses and accuracies it is known '
        "whether less or more is better"
    )


def _monitored(callback: Callback, name: str, logs: Logs) -> float:
    if name in logs:
        return logs[name]
    where = type(callback).__name__
    if name.startswith("val_") and not any(known.startswith("val_") for known in logs):
        raise ValueError(
            f"{where}: expected one of {sorted(logs)} to monitor, got {name!r}; pass validation data to fit"
        )
    return logs[choose(f"figure to monitor in {where}", name, logs)]
