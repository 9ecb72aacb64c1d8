"""The loop of `Trainer.fit`: epochs, chunks of batches, validation, callbacks."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnfast import _core
from nnfast.core.typing import Array
from nnfast.training.callbacks.base import Callback, runs_by_batch
from nnfast.training.history import History
from nnfast.training.progress import Progress

if TYPE_CHECKING:
    from nnfast.training.dataset import AnyDataset
    from nnfast.training.trainer import Trainer

__all__ = ["FitLoop", "Position"]

_CHUNK_SECONDS = 0.1
"""Time in seconds after which the core returns, for Ctrl-C and the progress bar."""
_ORDER_STREAM = 1 << 31
"""First stream of random numbers for the order of rows; smaller ones are for parameters and layers."""


@dataclass(frozen=True, slots=True)
class Position:
    """Progress within an epoch, so that an interrupted epoch can be continued with the same bits."""

    epoch: int
    rows: int
    batch_size: int
    tally: Array
    """(2, 1 + totals): number of batches, and the core's totals of loss and metrics, of the epoch so far; and of the
    last batch alone. The core writes it with each step, so whatever interrupts training, it is right."""

    @property
    def batches(self) -> int:
        """Number of batches trained."""
        return int(self.tally[0, 0])

    def describe(self, iteration: int) -> dict[str, Any]:
        """Description for checkpoints; `start` is the iteration at the beginning of the epoch."""
        return {
            "epoch": self.epoch,
            "rows": self.rows,
            "batch_size": self.batch_size,
            "start": iteration - self.batches,
            "totals": self.tally[0, 1:].tolist(),
        }

    @classmethod
    def restore(cls, description: Mapping[str, Any], iteration: int) -> Position:
        """Position from the output of `describe`."""
        totals = [iteration - description["start"], *description["totals"]]
        tally = np.array([totals, np.zeros(len(totals))])
        return cls(description["epoch"], description["rows"], description["batch_size"], tally)


class FitLoop:
    """One call of `Trainer.fit`."""

    def __init__(
        self,
        trainer: Trainer,
        data: AnyDataset,
        validation: AnyDataset | None,
        batch_size: int,
        *,
        shuffle: bool,
        drop_last: bool,
        callbacks: Sequence[Callback],
        progress: bool | None,
    ) -> None:
        self.trainer = trainer
        self.data = data
        self.validation = validation
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.callbacks = callbacks
        self.progress = Progress(progress)
        self.by_batch = any(runs_by_batch(callback) for callback in callbacks)

    def run(self, initial_epoch: int, epochs: int) -> History:
        """Train the epochs initial_epoch, ..., epochs - 1."""
        history = History()
        self.trainer.stop_training = False
        for callback in self.callbacks:
            callback.trainer = self.trainer
            callback.on_train_begin()
        for epoch in range(initial_epoch, epochs):
            started = time.perf_counter()
            for callback in self.callbacks:
                callback.on_epoch_begin(epoch)
            logs = self._epoch(f"epoch {epoch + 1}/{epochs}")
            history.add(epoch, logs, time.perf_counter() - started)
            for callback in self.callbacks:
                callback.on_epoch_end(epoch, logs)
            if self.trainer.stop_training:
                break
        for callback in self.callbacks:
            callback.on_train_end()
        return history

    def _order(self) -> Array:
        rows = len(self.data)
        if self.shuffle:
            order = _core.random_permutation(
                rows, self.trainer.network.seed, _ORDER_STREAM + self.trainer.epoch % _ORDER_STREAM
            )
        else:
            order = np.arange(rows)
        return order[: rows - rows % self.batch_size] if self.drop_last else order

    def _position(self) -> Position:
        """The position at which an interrupted epoch on such data stopped, or the start of a new epoch.

        Positions of other epochs are obsolete. So that Ctrl-C may come between any two lines, completing an epoch is a
        single assignment, that of `Trainer.epoch`.
        """
        trainer, old = self.trainer, self.trainer.position
        wanted = trainer.epoch, len(self.data), self.batch_size
        if old is not None and (old.epoch, old.rows, old.batch_size) == wanted:
            return old
        trainer.position = Position(*wanted, np.zeros((2, 1 + trainer.plan.totals_size)))
        return trainer.position

    def _epoch(self, title: str) -> dict[str, float]:
        trainer = self.trainer
        order = self._order()
        position = self._position()
        with self.progress.epoch(title, -(-len(order) // self.batch_size)) as shown:
            shown.update(position.batches, {})
            logs = self._batches(order, position, shown)
            trainer.epoch += 1
            if self.validation is not None:
                logs |= {f"val_{name}": value for name, value in trainer.evaluate_dataset(self.validation).items()}
                shown.update(0, logs)
        return logs

    def _batches(self, order: Array, position: Position, shown: Progress) -> dict[str, float]:
        trainer, data, size = self.trainer, self.data, self.batch_size
        count = -(-len(order) // size)
        rates = trainer.optimizer.rates(trainer.iteration, count - position.batches)
        first, rows = position.batches, order[:0]  # the first batch of the chunk, and its rows
        while (before := position.batches) < count:
            if self.by_batch:
                rates = trainer.optimizer.rates(trainer.iteration, 1)
            if before >= first + -(-len(rows) // size):
                first = before
                chunk, rows = data.chunk(order[before * size :], size)
            trainer.require_plan(size, chunk)  # a callback may have frozen parameters
            trainer.plan.train_batches(
                *chunk.core, rows, (before - first) * size, size, rates, _CHUNK_SECONDS, position.tally, first * size
            )
            done = position.batches - before
            rates = rates[done:]
            shown.update(done, self._logs(position, len(order)))
            if self.by_batch:
                own = trainer.core_logs(position.tally[1, 1:], min(size, len(order) - before * size))
                for callback in self.callbacks:
                    callback.on_batch_end(before, own)
                if trainer.stop_training:
                    break
        return self._logs(position, len(order))

    def _logs(self, position: Position, rows: int) -> dict[str, float]:
        return self.trainer.core_logs(position.tally[0, 1:], min(position.batches * self.batch_size, rows))
