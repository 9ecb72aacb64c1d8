"""The loop of `Trainer.fit`: epochs, chunks of batches, validation, callbacks."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnfast import _core
from nnfast.core.typing import Array
from nnfast.training.callbacks.base import Callback
from nnfast.training.callbacks.calls import Calls
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
        self.calls = Calls(callbacks)
        self.progress = Progress(progress)
        self.rate = 0.0
        """Learning rate of the last step."""

    def run(self, initial_epoch: int, epochs: int) -> History:
        """Train the epochs initial_epoch, ..., epochs - 1."""
        trainer, calls = self.trainer, self.calls
        trainer.history = history = History()
        trainer.callbacks = calls.callbacks
        trainer.stop_training = False
        states, trainer.callback_states = trainer.callback_states, ()
        calls.begin(trainer, self._params(epochs), states)
        logs: dict[str, float] | None = {}
        for epoch in range(initial_epoch, epochs):
            started = time.perf_counter()
            calls("on_epoch_begin", epoch, {})
            logs = self._epoch(f"epoch {epoch + 1}/{epochs}")
            if logs is not None:
                history.add(epoch, logs, time.perf_counter() - started, self.rate)
                for method in calls.methods("on_epoch_end"):
                    method(epoch, logs)
                    history.amend(logs)
            if trainer.stop_training:
                break
        calls("on_train_end", logs or {})
        trainer.callbacks = ()
        return history

    def _params(self, epochs: int) -> dict[str, Any]:
        rows = len(self.data) - (len(self.data) % self.batch_size if self.drop_last else 0)
        steps = -(-rows // self.batch_size)
        return {"epochs": epochs, "steps": steps, "samples": rows, "batch_size": self.batch_size}

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

    def _epoch(self, title: str) -> dict[str, float] | None:
        """Train and validate; None if not even the first batch could be trained, and a callback absorbed the error."""
        trainer = self.trainer
        order = self._order()
        position = self._position()
        with self.progress.epoch(title, -(-len(order) // self.batch_size)) as shown:
            shown.update(position.batches, {})
            self._batches(order, position, shown)
            if not position.batches:
                return None
            logs = self._logs(position, len(order))
            trainer.epoch += 1
            if self.validation is not None:
                self.calls("on_test_begin", {})
                validated = trainer.evaluate_dataset(self.validation)
                self.calls("on_test_end", dict(validated))
                logs |= {f"val_{name}": value for name, value in validated.items()}
            shown.update(0, logs)
        return logs

    def _batches(self, order: Array, position: Position, shown: Progress) -> None:
        trainer, data, size, calls = self.trainer, self.data, self.batch_size, self.calls
        count = -(-len(order) // size)
        rates = trainer.optimizer.rates(trainer.iteration, count - position.batches)
        if position.batches == count:  # interrupted before the epoch was counted
            self.rate = trainer.optimizer.rate(trainer.iteration - 1)
        first, rows = position.batches, order[:0]  # the first batch of the chunk, and its rows
        while (before := position.batches) < count:
            if calls.by_batch:
                calls("on_train_batch_begin", before, {})
                rates = trainer.optimizer.rates(trainer.iteration, 1)
            if before >= first + -(-len(rows) // size):
                first = before
                chunk, rows = data.chunk(order[before * size :], size)
            trainer.require_plan(size, chunk)  # a callback may have frozen parameters
            failed = False
            try:
                trainer.plan.train_batches(
                    *chunk.core,
                    rows,
                    (before - first) * size,
                    size,
                    rates,
                    _CHUNK_SECONDS,
                    position.tally,
                    first * size,
                )
            except RuntimeError as error:
                failed = calls.absorb(error)
                if not failed:
                    raise
            done = position.batches - before
            if done:
                self.rate, rates = float(rates[done - 1]), rates[done:]
                shown.update(done, self._logs(position, len(order)))
            if failed:
                trainer.stop_training = True
                return
            if calls.by_batch:
                own = trainer.core_logs(position.tally[1, 1:], min(size, len(order) - before * size))
                calls("on_train_batch_end", before, own)
                if trainer.stop_training:
                    return

    def _logs(self, position: Position, rows: int) -> dict[str, float]:
        return self.trainer.core_logs(position.tally[0, 1:], min(position.batches * self.batch_size, rows))
