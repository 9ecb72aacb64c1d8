"""When callbacks save: after epochs, after a number of steps, after a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from nnfast.core.options import integer, real
from nnfast.training.callbacks.base import Callback, Logs

__all__ = ["Saving"]


class Saving(Callback):
    """Base class of callbacks that write files. `Trainer.fit` calls them after all other callbacks.

    Saving between batches does not make the core return to Python after every batch, but only when it is due.
    """

    epochs: int | None = None
    """Save after every epoch of which this is a divisor, counted from 1."""
    steps: int | None = None
    """Save whenever the number of the trainer's steps becomes a multiple of this."""
    seconds: float | None = None
    """Save once this much time has passed since the last time, or since the beginning of the run."""
    _time = 0.0

    def schedule(self, save_freq: Any, every_n_epochs: Any, every_seconds: Any) -> None:
        """Check and store the arguments of a constructor."""
        where = type(self).__name__
        self.epochs = integer(where, "every_n_epochs", every_n_epochs)
        if isinstance(save_freq, str):
            if save_freq != "epoch":
                raise ValueError(f'{where}: expected save_freq "epoch" or a number of steps, got {save_freq!r}')
        else:
            self.epochs, self.steps = None, integer(where, "save_freq", save_freq)
        if every_seconds is not None:
            self.seconds = real(where, "every_seconds", every_seconds, minimum=0.0)

    def save(self, epoch: int, batch: int, logs: Logs) -> None:
        """Write the file."""
        raise NotImplementedError

    def require_names(self, figures: Sequence[str], complete: bool) -> None:
        """Called before the first epoch with the names of what `save` gets as logs, and whether these are all."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._time = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if self.epochs is not None and (epoch + 1) % self.epochs == 0:
            self._save(epoch, self.trainer.position.batches if self.trainer.position is not None else 0, logs)

    def steps_left(self, iteration: int) -> int:
        """Number of steps until the next time it saves, if it counts steps."""
        return self.steps - iteration % self.steps if self.steps is not None else 2**62

    def between_batches(self, done: int, batch: int, logs: Callable[[], Logs]) -> None:
        """Called whenever the core returns between batches, after `done` steps, with the number of the next batch."""
        iteration = self.trainer.iteration
        by_steps = self.steps is not None and iteration // self.steps > (iteration - done) // self.steps
        if by_steps or (self.seconds is not None and time.monotonic() - self._time >= self.seconds):
            self._save((self.trainer.first_epoch or 0) + self.trainer.epoch, batch, logs())

    def _save(self, epoch: int, batch: int, logs: Logs) -> None:
        self.save(epoch, batch, logs)
        self._time = time.monotonic()
