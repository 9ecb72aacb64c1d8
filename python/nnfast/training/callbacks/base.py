"""What all callbacks have in common."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nnfast import losses
from nnfast.core.options import choose

if TYPE_CHECKING:
    from nnfast.training.trainer import Trainer

__all__ = [
    "Callback",
    "Logs",
    "as_callbacks",
    "direction",
    "directions_of",
    "find_direction",
    "monitor_name",
    "monitored",
    "numbers",
    "say",
]

Logs = dict[str, float]


class Callback:
    """Base class of all callbacks: derive from it and override methods.

    `trainer` is the running trainer. ``self.trainer.stop_training = True`` ends the run after the epoch or, from
    `on_batch_end`, after the batch; the batches trained so far then count as the epoch and are validated.

    Methods may leave out `logs`. Overriding a method for batches makes the core return to Python after every batch.

    Attributes
    ----------
    trainer : Trainer
    model : object
        Trainer and network as one object, for callbacks written for Keras: ``self.model.stop_training``,
        ``self.model.optimizer``, ``self.model.get_weights()``, ``self.model.predict(x)`` and so on.
    params : dict
        "epochs", "steps" (batches per epoch), "samples" (rows per epoch) and "batch_size" of the run; None for what is
        not known.

    Notes
    -----
    The methods are called in this order, for each callback in the order in which they are passed to `Trainer.fit`:

    - `set_params`, `set_model` and `on_train_begin`; in the first `fit` after `Trainer.resume` then `set_state`
    - in each epoch `on_epoch_begin`

      - for each batch `on_train_batch_begin` and `on_train_batch_end`
      - with validation data `on_test_begin` and `on_test_end`
      - `on_epoch_end`

    - `on_train_end`

    As in Keras, `on_batch_begin` and `on_batch_end` are other names of `on_train_batch_begin` and `on_train_batch_end`,
    and figures that `on_epoch_end` adds to `logs` are seen by the callbacks after it and by the history.

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
    model: Any
    params: dict[str, Any]
    added_figures: tuple[str, ...] = ()
    """What the `on_epoch_end` of one of nnfast's own callbacks adds to the logs."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name == "model":  # computed, so that a callback may have an attribute of this name
                return Model(self.trainer)
            hint = "; it exists during fit" if name in ("trainer", "params") else ""
            raise AttributeError(f"{type(self).__name__}: no attribute {name!r}{hint}")

    def set_params(self, params: dict[str, Any]) -> None:
        """Called first, with the sizes of the run; stores them.

        Parameters
        ----------
        params : dict
        """
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called next, with the attribute `model`; does nothing.

        Parameters
        ----------
        model : object
        """

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called before the first epoch.

        Parameters
        ----------
        logs : dict
            Empty.
        """

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called after the last epoch, but not after an exception.

        Parameters
        ----------
        logs : dict of str to float
            Those of the last epoch.
        """

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called before each epoch.

        Parameters
        ----------
        epoch : int
            Index of the epoch, from 0.
        logs : dict
            Empty.
        """

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Called after each epoch and its validation.

        Parameters
        ----------
        epoch : int
            Index of the epoch, from 0.
        logs : dict of str to float
            Loss and metrics of the epoch by name, with the prefix "val_" for validation data. What is added to it
            becomes part of the history.
        """

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before each batch; calls `on_batch_begin`.

        Parameters
        ----------
        batch : int
            Index of the batch in its epoch, from 0.
        logs : dict
            Empty.
        """
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        """Called after each batch; calls `on_batch_end`.

        Parameters
        ----------
        batch : int
            Index of the batch in its epoch, from 0.
        logs : dict of str to float
            Loss and metrics of the batch by name.
        """
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Another name of `on_train_batch_begin`.

        Parameters
        ----------
        batch : int
            Index of the batch in its epoch, from 0.
        logs : dict
            Empty.
        """

    def on_batch_end(self, batch: int, logs: Logs) -> None:
        """Another name of `on_train_batch_end`.

        Parameters
        ----------
        batch : int
            Index of the batch in its epoch, from 0.
        logs : dict of str to float
            Loss and metrics of the batch by name.
        """

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Called before the validation of an epoch.

        Parameters
        ----------
        logs : dict
            Empty.
        """

    def on_test_end(self, logs: Logs) -> None:
        """Called after the validation of an epoch.

        Parameters
        ----------
        logs : dict of str to float
            Loss and metrics of the validation by name, without the prefix "val_".
        """

    def absorbs(self, error: RuntimeError) -> bool:
        """Whether a step that failed ends the run normally; by default not, and the error propagates.

        Parameters
        ----------
        error : RuntimeError
            What the core says, for example that the loss is not finite.
        """
        return False

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


class Model:
    """Trainer and network as one object: `Callback.model`."""

    def __init__(self, trainer: Trainer) -> None:
        vars(self)["_trainer"] = trainer

    def __getattr__(self, name: str) -> Any:
        trainer = vars(self)["_trainer"]
        if name == "save_weights":
            return trainer.network.save
        return getattr(trainer if hasattr(trainer, name) else trainer.network, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if not hasattr(self._trainer, name):
            raise AttributeError(f"model: no attribute {name!r} of the trainer to assign to; write self.{name} = ...")
        setattr(self._trainer, name, value)


_TEST = "write on_test_begin, on_test_end(logs) or on_epoch_end(epoch, logs)"
_PREDICT = "write what it does around the call of Network.predict"
_INSTEAD = {
    "on_test_batch_begin": _TEST,
    "on_test_batch_end": _TEST,
    "on_predict_begin": _PREDICT,
    "on_predict_end": _PREDICT,
    "on_predict_batch_begin": _PREDICT,
    "on_predict_batch_end": _PREDICT,
}
"""What to use instead of Keras's other methods."""


def as_callbacks(given: Any) -> tuple[Callback, ...]:
    """The callbacks passed to `Trainer.fit`: none, one, or an iterable. Their methods are checked."""
    callbacks = () if given is None else tuple(given) if isinstance(given, Iterable) else (given,)
    known = [name for name in dir(Callback) if name.startswith("on_")]
    for callback in callbacks:
        if not isinstance(callback, Callback):
            hint = f"; write {callback.__name__}()" if isinstance(callback, type) else ""
            raise TypeError(f"fit: expected objects of classes derived from callbacks.Callback, got {callback!r}{hint}")
        for name in dir(callback):
            if name.startswith("on_") and name not in known:
                hint = _INSTEAD.get(name, f"the methods of a callback are {', '.join(known)}")
                raise TypeError(f"{type(callback).__name__}: no method of a callback is called {name}; {hint}")
    return callbacks


def monitor_name(where: str, monitor: object) -> str:
    """`monitor`, if it is a string."""
    if not isinstance(monitor, str):
        raise TypeError(f'{where}: expected a name in the history as monitor, such as "val_loss", got {monitor!r}')
    return monitor


def checked_mode(where: str, mode: Any) -> str:
    """`mode`, if it is one of those that callbacks have."""
    if not isinstance(mode, str) or mode not in ("auto", "min", "max"):
        raise ValueError(f'{where}: expected mode "auto", "min" or "max", got {mode!r}')
    return mode


def directions_of(trainer: Trainer) -> dict[str, bool]:
    """Whether more is better, for the metrics of a trainer that say so, by their names in the logs."""
    return {
        each.name: each.metric.higher_is_better
        for each in trainer.heads.measurements.all
        if each.metric.higher_is_better is not None
    }


def find_direction(monitor: str, known: Mapping[str, bool]) -> str | None:
    """ "max" if more of a quantity is better, "min" if less is, None if its name does not tell."""
    figure = monitor.removeprefix("val_")
    if figure in known:
        return "max" if known[figure] else "min"
    if figure.endswith(("accuracy", "acc")):
        return "max"
    if figure.endswith("loss") or figure in losses.NAMES or figure in losses.ALIASES:
        return "min"
    return None


def direction(where: str, monitor: str, known: Mapping[str, bool] | None = None) -> str:
    """`find_direction`, or an error."""
    found = find_direction(monitor, known or {})
    if found is None:
        raise ValueError(
            f'{where}: expected mode="min" or mode="max" with {monitor!r}, because it is neither a loss nor an '
            "accuracy nor a metric of this trainer that says whether less or more is better"
        )
    return found


def numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    """The figures that are numbers: those of a few metrics are arrays."""
    return {name: value for name, value in logs.items() if np.ndim(value) == 0}


def monitored(callback: Callback, name: str, logs: Logs) -> float:
    """The value of the quantity that a callback monitors."""
    where = type(callback).__name__
    if name in logs:
        if np.ndim(logs[name]) != 0:
            raise ValueError(f"{where}: expected a number to monitor, got {name!r}, which is an array")
        return logs[name]
    if name.startswith("val_") and not any(known.startswith("val_") for known in logs):
        raise ValueError(
            f"{where}: expected one of {sorted(logs)} to monitor, got {name!r}; pass validation data to fit"
        )
    return logs[choose(f"figure to monitor in {where}", name, logs)]


def say(text: str) -> None:
    """Print a message of a callback where the progress is shown."""
    if sys.stderr is not None:
        # A reader of the stream may exit before training ends.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            print(text, file=sys.stderr, flush=True)
