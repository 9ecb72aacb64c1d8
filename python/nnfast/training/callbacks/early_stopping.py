"""EarlyStopping: stop when a quantity no longer improves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nnfast.core.options import Configured, flag, integer, real
from nnfast.training.callbacks.base import Callback, Logs, say
from nnfast.training.callbacks.monitor import Monitor

if TYPE_CHECKING:
    from nnfast.core.typing import Array

__all__ = ["EarlyStopping"]


class EarlyStopping(Configured, Callback):
    """Stop when a quantity no longer improves, and restore the best parameters.

    Parameters
    ----------
    monitor : str, default "val_loss"
        Name in the history.
    patience : int, default 5
        Number of consecutive epochs without improvement after which the run ends. With 0, as with 1, the first one
        ends it.
    min_delta : float, default 0
        Changes must exceed this to count as an improvement.
    mode : {"auto", "min", "max"}, default "auto"
        Whether lower or higher is better; "auto" takes it from the metrics of the trainer, lower for losses and higher
        for names that end in "accuracy", and is an error for others.
    restore_best_weights : bool, default True
        Set the network to the parameters of the best epoch at the end of the run, even if it was not stopped early.
        After an exception or Ctrl-C, it stays as after the last step.
    baseline : float, optional
        Only epochs that are also better than this count as an improvement.
    start_from_epoch : int, default 0
        Index of the first epoch that counts, for a quantity that is erratic at first.
    verbose : bool, default False
        Print a message when the run is stopped.

    Attributes
    ----------
    best_epoch : int or None
        Index of the best epoch.
    best : float
        Value of the quantity in that epoch; infinite before the first.
    stopped_epoch : int or None
        Index of the epoch after which the run was stopped.

    Notes
    -----
    NaN is never an improvement. Each improvement copies the parameters. The optimizer's state is not restored.
    A resumed run continues to wait, and still knows the best parameters.

    With a `SwapEMAWeights`, "val_loss" is that of the averages, but the parameters of the best epoch are the weights
    themselves. To end with the averages of that epoch, put ``SwapEMAWeights(True)`` before this callback.

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
    ([0, 1, 2], 0)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        mode: Literal["auto", "min", "max"] = "auto",
        restore_best_weights: bool = True,
        baseline: float | None = None,
        start_from_epoch: int = 0,
        verbose: bool = False,
    ) -> None:
        self._watch = Monitor(self, monitor, mode, min_delta)
        self.monitor = monitor
        self.patience = integer("EarlyStopping", "patience", patience, minimum=0)
        self.min_delta = self._watch.min_delta
        self.mode = mode
        self.restore_best_weights = flag("EarlyStopping", "restore_best_weights", restore_best_weights)
        self.baseline = None if baseline is None else real("EarlyStopping", "baseline", baseline)
        self.start_from_epoch = integer("EarlyStopping", "start_from_epoch", start_from_epoch, minimum=0)
        self.verbose = bool(verbose)
        self._forget()

    def _forget(self) -> None:
        self.best_epoch: int | None = None
        self.stopped_epoch: int | None = None
        self._weights: list[Array] | None = None

    @property
    def best(self) -> float:
        return self._watch.best

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._watch.begin()
        self._forget()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        watch, value = self._watch, self._watch.value(logs)
        if epoch < self.start_from_epoch:
            return
        watch.waited += 1
        if watch.improves(value, watch.best):
            weights = self.trainer.network.get_weights() if self.restore_best_weights else None
            watch.best, self.best_epoch, self._weights = value, epoch, weights
            if self.baseline is None or watch.improves(value, self.baseline):
                watch.waited = 0
        if watch.waited >= max(self.patience, 1):
            self.stopped_epoch = epoch
            self.trainer.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.verbose and self.stopped_epoch is not None and self.best_epoch is not None:
            say(
                f"EarlyStopping: stopped after epoch {self.stopped_epoch + 1}; "
                f"the best {self.monitor}, {self.best:.6g}, is that of epoch {self.best_epoch + 1}"
            )
        if self._weights is not None:
            self.trainer.network.set_weights(self._weights)

    def get_state(self) -> dict[str, Any]:
        state = {**self._watch.get_state(), "best_epoch": self.best_epoch}
        if self._weights is None:
            return state
        return {**state, "weights": np.concatenate([weights.ravel() for weights in self._weights])}

    def set_state(self, state: dict[str, Any]) -> None:
        self._watch.set_state(state)
        self.best_epoch = state["best_epoch"]
        if state.get("weights") is not None and self.restore_best_weights:
            own = self.trainer.network.get_weights()
            ends = np.cumsum([weights.size for weights in own])
            parts = np.split(np.asarray(state["weights"]), ends[:-1])
            self._weights = [part.reshape(weights.shape) for part, weights in zip(parts, own, strict=True)]
