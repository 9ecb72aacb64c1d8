"""Callbacks that change the learning rate from epoch to epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from nnfast.core.options import Configured, integer, real
from nnfast.training.callbacks.base import Callback, Logs, say
from nnfast.training.callbacks.monitor import Monitor

if TYPE_CHECKING:
    from nnfast.training.trainer import Trainer

__all__ = ["LearningRateScheduler", "ReduceLROnPlateau"]


def _rate_of(where: str, trainer: Trainer) -> float:
    rate = trainer.optimizer.learning_rate
    if callable(rate):
        raise TypeError(
            f"{where}: expected a number as the optimizer's learning rate, got {rate!r}, which decides on the rate "
            f"itself; write {type(trainer.optimizer).__name__}(learning_rate=...) with a number, or leave {where} out"
        )
    return rate


class LearningRateScheduler(Configured, Callback):
    """Set the learning rate before each epoch. For a rate that changes from step to step, see `nnfast.schedules`.

    Parameters
    ----------
    schedule : callable
        Function (epoch, learning_rate) -> float of the epoch's index, from 0, and the current rate; or (epoch) ->
        float.
    verbose : bool, default False
        Print the rate of each epoch.

    Notes
    -----
    The history gets the rates as "learning_rate". The learning rate of the optimizer must be a number. Checkpoints
    store it, so a resumed run needs nothing but the callback.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import callbacks, layers
    >>> net = nf.Network([layers.Input((1,)), layers.Dense(1)], seed=0)
    >>> trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.5))
    >>> halve = callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch > 0 else rate)
    >>> trainer.fit([[1.0]], [[2.0]], epochs=3, batch_size=1, callbacks=[halve])["learning_rate"]
    [0.5, 0.25, 0.125]
    """

    added_figures = ("learning_rate",)

    def __init__(self, schedule: Callable[..., float], verbose: bool = False) -> None:
        if not callable(schedule):
            raise TypeError(f"LearningRateScheduler: expected a function (epoch, rate) -> float, got {schedule!r}")
        self.schedule = schedule
        self.verbose = bool(verbose)
        self._takes_rate = _takes_two(schedule)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        _rate_of("LearningRateScheduler", self.trainer)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        current = _rate_of("LearningRateScheduler", self.trainer)
        rate = self.schedule(epoch, current) if self._takes_rate else self.schedule(epoch)
        rate = real("LearningRateScheduler", f"rate in epoch {epoch}", rate, minimum=0.0)
        self.trainer.optimizer.learning_rate = rate
        if self.verbose:
            say(f"epoch {epoch + 1}: LearningRateScheduler: learning rate {rate:.6g}")

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        logs["learning_rate"] = _rate_of("LearningRateScheduler", self.trainer)


def _takes_two(function: Callable[..., object]) -> bool:
    try:
        inspect.signature(function).bind(0, 0.1)
    except TypeError:
        return False
    except ValueError:  # a built-in function without a signature
        return True
    return True


class ReduceLROnPlateau(Configured, Callback):
    """Reduce the learning rate when a quantity no longer improves.

    Parameters
    ----------
    monitor : str, default "val_loss"
        Name in the history.
    factor : float, default 0.1
        new rate = max(rate * factor, min_lr); 0 <= factor < 1.
    patience : int, default 10
        Number of consecutive epochs without improvement after which the rate is reduced. With 0, as with 1, the first
        one reduces it.
    verbose : bool, default False
        Print a message for each reduction.
    mode : {"auto", "min", "max"}, default "auto"
        Whether lower or higher is better; see `EarlyStopping`.
    min_delta : float, default 1e-4
        Changes must exceed this to count as an improvement.
    cooldown : int, default 0
        Number of epochs after a reduction that do not count as without improvement.
    min_lr : float, default 0
        Smallest rate.

    Attributes
    ----------
    best : float
        Best value of the quantity so far; infinite before the first.

    Notes
    -----
    As in Keras, the history gets the rate of each epoch as "learning_rate". The learning rate of the optimizer must be
    a number. A resumed run continues to wait. NaN is never an improvement.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import callbacks, layers
    >>> net = nf.Network([layers.Input((1,)), layers.Dense(1, kernel_initializer="zeros")])
    >>> trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(1.0))  # too large: the loss oscillates
    >>> reduce = callbacks.ReduceLROnPlateau("loss", factor=0.25, patience=2)
    >>> history = trainer.fit([[1.0]], [[2.0]], epochs=5, batch_size=1, callbacks=[reduce])
    >>> history["learning_rate"], history["loss"][-1] < history["loss"][0]
    ([1.0, 1.0, 1.0, 0.25, 0.25], True)
    """

    added_figures = ("learning_rate",)

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: bool = False,
        mode: Literal["auto", "min", "max"] = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        where = "ReduceLROnPlateau"
        self._watch = Monitor(self, monitor, mode, min_delta)
        self.monitor = monitor
        self.factor = real(where, "factor", factor, minimum=0.0, upper_bound=1.0)
        self.patience = integer(where, "patience", patience, minimum=0)
        self.verbose = bool(verbose)
        self.mode = mode
        self.min_delta = self._watch.min_delta
        self.cooldown = integer(where, "cooldown", cooldown, minimum=0)
        self.min_lr = real(where, "min_lr", min_lr, minimum=0.0)
        self._cooling = 0

    @property
    def best(self) -> float:
        return self._watch.best

    def on_train_begin(self, logs: Logs | None = None) -> None:
        _rate_of("ReduceLROnPlateau", self.trainer)
        self._watch.begin()
        self._cooling = 0

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        watch, value = self._watch, self._watch.value(logs)
        rate = logs["learning_rate"] = _rate_of("ReduceLROnPlateau", self.trainer)
        if self._cooling:
            self._cooling -= 1
            watch.waited = 0
        if watch.improves(value, watch.best):
            watch.best, watch.waited = value, 0
        elif not self._cooling:
            watch.waited += 1
            if watch.waited >= self.patience and rate > self.min_lr:
                self._reduce(epoch, rate)

    def _reduce(self, epoch: int, rate: float) -> None:
        reduced = max(rate * self.factor, self.min_lr)
        self.trainer.optimizer.learning_rate = reduced
        self._cooling, self._watch.waited = self.cooldown, 0
        if self.verbose:
            say(f"epoch {epoch + 1}: ReduceLROnPlateau: learning rate {rate:.6g} -> {reduced:.6g}")

    def get_state(self) -> dict[str, Any]:
        return {**self._watch.get_state(), "cooling": self._cooling}

    def set_state(self, state: dict[str, Any]) -> None:
        self._watch.set_state(state)
        self._cooling = int(state["cooling"])
