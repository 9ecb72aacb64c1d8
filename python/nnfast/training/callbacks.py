"""Callbacks: code that runs between the epochs or batches of `Trainer.fit`."""

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
    """Base of all callbacks: derive from it and override what is wanted.

    `trainer` is the trainer that runs; ``self.trainer.stop_training = True`` ends the run after the epoch, or, from
    `on_batch_end`, after the batch: what was trained then counts as the epoch, with its validation. Overriding
    `on_batch_end` makes the core return to Python after every batch.

    Notes
    -----
    An exception in a method ends `Trainer.fit`, which passes it on. The network stays as the last step left it, and
    `on_train_end` is not called. A method may freeze parameters, evaluate, predict, or make further steps with
    `Trainer.train_on_batch`; it may not call `Trainer.fit` of the same trainer.

    `Trainer.fit` refuses callbacks with other methods whose names begin with ``on_``, and those of Keras that it does
    not call, since they would never run.

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
        """Before the first epoch."""

    def on_train_end(self) -> None:
        """After the last epoch; not after an exception."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Before each epoch.

        Parameters
        ----------
        epoch : int
            Counted from 0. For errors see `Callback`.
        """

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """After each epoch and its validation.

        Parameters
        ----------
        epoch : int
            Counted from 0. For errors see `Callback`.
        logs : dict of str to float
            Loss and metrics of the epoch by name, with "val_" before those of the validation data.
        """

    def on_batch_end(self, batch: int, logs: Logs) -> None:
        """After each batch.

        Parameters
        ----------
        batch : int
            Counted from 0 in its epoch. For errors see `Callback`.
        logs : dict of str to float
            The batch's own loss and metrics by name.
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
"""What to write in place of Keras's other methods."""


def as_callbacks(given: Any) -> tuple[Callback, ...]:
    """The callbacks that `Trainer.fit` was given: None, one, or any number. Each of their methods is called."""
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
    """Whether `on_batch_end` is the callback's own, of its class or set on the object."""
    return getattr(callback.on_batch_end, "__func__", None) is not Callback.on_batch_end


class EarlyStopping(Callback):
    """Stop when a figure no longer gets better, and go back to the best parameters.

    Parameters
    ----------
    monitor : str, default "val_loss"
        Name in the history.
    patience : int, default 5
        Epochs in a row without improvement that are waited for, 0 or more; one more ends the run.
    min_delta : float, default 0
        A change counts as better if it is larger than this, at least 0.
    mode : {"auto", "min", "max"}, default "auto"
        Whether less or more is better; "auto" means more for names that end in "accuracy" and less for losses. Other
        figures need a mode.
    restore_best_weights : bool, default True
        At the end of the run, also where it was not stopped, set the network to the parameters of the best epoch. An
        exception or Ctrl-C leaves it as the last step did.

    Attributes
    ----------
    best_epoch : int or None
        Number of the best epoch, counted from 0.
    best : float
        The figure of that epoch; infinite before the first.

    Raises
    ------
    ValueError
        If `mode` is unknown or missing, or `patience` or `min_delta` is out of range. From `fit`, if an epoch has no
        figure of that name, such as "val_loss" without validation data.
    TypeError
        If `monitor` is not a name, `patience` not an integer or `min_delta` not a real number.

    Notes
    -----
    NaN is never better. Each improvement copies the parameters. The optimiser's state is not set back.

    References
    ----------
    Prechelt (1998), Early stopping - but when?, DOI 10.1007/3-540-49430-8_3.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import callbacks, layers
    >>> net = nf.Network([layers.Input((1,)), layers.Dense(1)], seed=0)
    >>> trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.0))  # a rate of 0: nothing gets better
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
    """Stop when a figure is small enough, or no longer changes.

    Parameters
    ----------
    monitor : str, default "loss"
        Name in the history.
    below : float, optional
        Stop once the figure is less than this.
    min_change : float, optional
        Stop once it differs from the last epoch's by no more than this, at least 0.

    Raises
    ------
    ValueError
        If both are missing or one is out of range. From `fit`, if an epoch has no figure of that name.
    TypeError
        If one is no real number, or `monitor` no name.

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
