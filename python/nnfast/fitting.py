"""The loop of `Trainer.fit`: epochs, chunks of batches, validation, callbacks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnfast import _core
from nnfast.callbacks import Callback
from nnfast.history import History
from nnfast.progress import ProgressBar
from nnfast.typing import Array

if TYPE_CHECKING:
    from nnfast.trainer import Trainer

__all__ = ["Batches", "FitLoop", "Position"]

_CHUNK_SECONDS = 0.1
"""How long the core trains before it returns for Ctrl-C and the progress bar."""
_ORDER_STREAM = 1 << 31
"""First stream of random numbers for the order of rows; streams below draw parameters."""


@dataclass(frozen=True, slots=True)
class Batches:
    """Checked rows with targets and weights, in the core's form, and the targets as the caller gave them."""

    x: Array
    y: Array
    weight: Array | None
    y_given: Any


@dataclass(slots=True)
class Position:
    """Where in an epoch training stands, so that an interrupted epoch can be continued with the same bits."""

    epoch: int
    rows: int
    batch_size: int
    start: int
    """The plan's iteration at the epoch's first batch; how far it got follows from the iteration now."""
    totals: list[float]


class FitLoop:
    """One call of `Trainer.fit`."""

    def __init__(
        self,
        trainer: Trainer,
        data: Batches,
        validation: Batches | None,
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
        self.progress = progress
        self.by_batch = any(type(c).on_batch_end is not Callback.on_batch_end for c in callbacks)

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
        rows = len(self.data.x)
        if self.shuffle:
            order = _core.random_permutation(rows, self.trainer.network.seed, _ORDER_STREAM + self.trainer.epoch)
        else:
            order = np.arange(rows)
        return order[: rows - rows % self.batch_size] if self.drop_last else order

    def _position(self) -> Position:
        """The place where an interrupted epoch on such data stopped, or the start of a new one.

        A position of another epoch is over. So that Ctrl-C may come between any two lines, completing an epoch is one
        assignment, that of `Trainer.epoch`.
        """
        trainer, old = self.trainer, self.trainer.position
        wanted = trainer.epoch, len(self.data.x), self.batch_size
        if old is not None and (old.epoch, old.rows, old.batch_size) == wanted:
            return old
        trainer.position = Position(*wanted, trainer.plan.iteration, [0.0] * (1 + len(trainer.core_metrics)))
        return trainer.position

    def _epoch(self, title: str) -> dict[str, float]:
        trainer = self.trainer
        order = self._order()
        position = self._position()
        with ProgressBar(self.progress, title, -(-len(order) // self.batch_size)) as bar:
            bar.update(trainer.plan.iteration - position.start, {})
            logs = self._batches(order, position, bar)
            trainer.epoch += 1
            if self.validation is not None:
                logs |= {f"val_{name}": value for name, value in trainer.evaluate_batches(self.validation).items()}
                bar.update(0, logs)
        return logs

    def _batches(self, order: Array, position: Position, bar: ProgressBar) -> dict[str, float]:
        trainer, plan, data = self.trainer, self.trainer.plan, self.data
        batches = -(-len(order) // self.batch_size)
        step = plan.iteration - position.start
        rates = trainer.optimizer.rates(plan.iteration, batches - step)
        logs = trainer.core_logs(position.totals, min(step * self.batch_size, len(order))) if step else {}
        while step < batches:
            if self.by_batch:
                rates = trainer.optimizer.rates(plan.iteration, 1)
            done, totals = plan.train_batches(
                data.x, data.y, data.weight, order, step * self.batch_size, self.batch_size, rates, _CHUNK_SECONDS
            )
            rates = rates[done:]
            rows_before = step * self.batch_size
            step += done
            rows_now = min(step * self.batch_size, len(order))
            position.totals = [a + b for a, b in zip(position.totals, totals.tolist(), strict=True)]
            logs = trainer.core_logs(position.totals, rows_now)
            bar.update(done, logs)
            if self.by_batch:
                own = trainer.core_logs(totals.tolist(), rows_now - rows_before)
                for callback in self.callbacks:
                    callback.on_batch_end(step - 1, own)
                if trainer.stop_training:
                    break
        return logs
