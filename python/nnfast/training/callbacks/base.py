"""Callbacks: code that `Trainer.fit` runs between epochs or batches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nnfast import losses
from nnfast.core.options import choose

if TYPE_CHECKING:
    from nnfast.training.trainer import Trainer

__all__ = ["Callback", "Logs", "as_callbacks", "direction", "monitor_name", "monitored", "runs_by_batch"]

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

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint stores of the callback: a dict of JSON values and arrays, by default empty.

        Override it together with `set_state` in callbacks that remember something from one epoch to the next.
        """
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from the output of `get_state`; called after `on_train_begin` in a resumed run.

        Parameters
        ----------
        state : dict of str to JSON values or arrays
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


def monitor_name(where: str, monitor: object) -> str:
    """`monitor`, if it is a string."""
    if not isinstance(monitor, str):
        raise TypeError(f'{where}: expected a name in the history as monitor, such as "val_loss", got {monitor!r}')
    return monitor


def direction(where: str, monitor: str) -> str:
    """ "max" if more of a quantity is better, "min" if less is."""
    figure = monitor.removeprefix("val_")
    if figure.endswith(("accuracy", "acc")):
        return "max"
    if figure.endswith("loss") or figure in losses.NAMES or figure in losses.ALIASES:
        return "min"
    raise ValueError(
        f'{where}: expected mode="min" or mode="max" with {monitor!r}; only of losses and accuracies it is known '
        "whether less or more is better"
    )


def monitored(callback: Callback, name: str, logs: Logs) -> float:
    """The value of the quantity that a callback monitors."""
    if name in logs:
        return logs[name]
    where = type(callback).__name__
    if name.startswith("val_") and not any(known.startswith("val_") for known in logs):
        raise ValueError(
            f"{where}: expected one of {sorted(logs)} to monitor, got {name!r}; pass validation data to fit"
        )
    return logs[choose(f"figure to monitor in {where}", name, logs)]
