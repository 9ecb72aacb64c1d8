"""EarlyStopping: stop when a quantity no longer improves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from nnfast.core.options import integer, real
from nnfast.training.callbacks.base import Callback, Logs, direction, monitor_name, monitored

if TYPE_CHECKING:
    from nnfast.core.typing import Array

__all__ = ["EarlyStopping"]


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
        self.monitor = monitor_name("EarlyStopping", monitor)
        self.patience = integer("EarlyStopping", "patience", patience, minimum=0)
        self.min_delta = real("EarlyStopping", "min_delta", min_delta, minimum=0.0)
        self._sign = -1.0 if (direction("EarlyStopping", self.monitor) if mode == "auto" else mode) == "max" else 1.0
        self.restore_best_weights = restore_best_weights
        self.on_train_begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.best = self._sign * math.inf
        self.best_epoch: int | None = None
        self._weights: list[Array] | None = None
        self._waited = 0

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        value = monitored(self, self.monitor, logs)
        if self._sign * (self.best - value) > self.min_delta:
            weights = self.trainer.network.get_weights() if self.restore_best_weights else None
            self.best, self.best_epoch, self._weights, self._waited = value, epoch, weights, 0
            return
        self._waited += 1
        if self._waited > self.patience:
            self.trainer.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._weights is not None:
            self.trainer.network.set_weights(self._weights)
