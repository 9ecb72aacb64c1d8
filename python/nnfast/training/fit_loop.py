"""The loop of `Trainer.fit`: epochs, chunks of batches, validation, callbacks."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nnfast.core.typing import Array
from nnfast.training.callbacks.base import Callback, directions_of
from nnfast.training.callbacks.calls import Calls
from nnfast.training.divergence import explain
from nnfast.training.history import History
from nnfast.training.progress import Progress
from nnfast.training.sources import BatchDataset

if TYPE_CHECKING:
    from nnfast.training.feeds import Feed, Part
    from nnfast.training.sources import AnyDataset
    from nnfast.training.trainer import Trainer

__all__ = ["FitLoop", "Position"]

_CHUNK_SECONDS = 0.1
"""Time in seconds after which the core returns, for Ctrl-C and the progress bar."""
_PATIENCE = 1.0
"""Seconds that the end of `fit` waits for the thread that makes batches; it ends after the item that it makes then."""


class Position(NamedTuple):
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
        feed: Feed,
        validation: AnyDataset | None,
        *,
        callbacks: Sequence[Callback],
        progress: bool | None,
    ) -> None:
        self.trainer = trainer
        self.feed = feed
        self.validation = validation
        self.calls = Calls(callbacks)
        self.progress = Progress(progress)
        self.rate = 0.0
        """Learning rate of the last step."""

    def run(self, initial_epoch: int, epochs: int) -> History:
        """Train the epochs initial_epoch, ..., epochs - 1."""
        patience = _CHUNK_SECONDS  # after Ctrl-C
        try:
            history = self._run(initial_epoch, epochs)
            patience = _PATIENCE
            return history
        except Exception:
            patience = _PATIENCE
            raise
        finally:
            self.trainer.restore_weights()  # if a callback has exchanged them
            self.feed.close(patience)

    def _run(self, initial_epoch: int, epochs: int) -> History:
        trainer, calls = self.trainer, self.calls
        due = self._begin(initial_epoch, epochs)
        history = trainer.history
        history.higher_is_better = directions_of(trainer)
        logs: dict[str, float] | None = {}
        for epoch in due:
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
        history.fingerprint = trainer.network.fingerprint()
        trainer.callbacks, trainer.first_epoch = (), None
        return history

    def _begin(self, initial_epoch: int, epochs: int) -> range:
        """Begin the run, and return the indices of its epochs.

        If a callback reads a checkpoint in `on_train_begin`, the run that the checkpoint is of goes on; after
        `Trainer.resume`, callbacks continue, but the caller decides which epochs are run.
        """
        trainer, calls = self.trainer, self.calls
        trainer.history = History()
        trainer.callbacks, trainer.first_epoch = calls.callbacks, None
        trainer.stop_training = False
        before = trainer.resumed
        figures = trainer.heads.figure_names
        calls.require_names(figures, [f"val_{name}" for name in figures] if self.validation is not None else [])
        calls.begin(trainer, self._params(epochs))
        resumed, trainer.resumed = trainer.resumed, None
        continues = resumed is not None and resumed is not before
        if resumed is not None and (continues or not resumed.stopped):
            resumed.hand_over(calls.callbacks)
        first = initial_epoch
        if resumed is not None and continues:
            first, trainer.stop_training = resumed.epoch, resumed.stopped
            done = max(0, first - initial_epoch)
            self.feed.resume(trainer.network.seed, done)
            if isinstance(self.validation, BatchDataset):
                self.validation.skip(done)
        trainer.first_epoch = first - trainer.epoch
        return range(first, first if trainer.stop_training and continues else epochs)

    def _params(self, epochs: int) -> dict[str, Any]:
        feed = self.feed
        return {"epochs": epochs, "steps": feed.count, "samples": feed.samples, "batch_size": feed.batch_size}

    def _position(self) -> Position:
        """The position at which an interrupted epoch on such data stopped, or the start of a new epoch.

        Positions of other epochs are obsolete. So that Ctrl-C may come between any two lines, completing an epoch is a
        single assignment, that of `Trainer.epoch`.
        """
        trainer, old = self.trainer, self.trainer.position
        wanted = trainer.epoch, self.feed.rows, self.feed.batch_size
        if old is not None and (old.epoch, old.rows, old.batch_size) == wanted:
            return old
        return self._start(*wanted)

    def _start(self, epoch: int, rows: int, batch_size: int) -> Position:
        trainer = self.trainer
        trainer.position = Position(epoch, rows, batch_size, np.zeros((2, 1 + trainer.plan.totals_size)))
        return trainer.position

    def _fitting(self, position: Position) -> Position:
        """The position with a tally as the plan writes it, which depends on the data if metrics are functions."""
        if position.tally.shape[1] == 1 + self.trainer.plan.totals_size:
            return position
        if position.batches:
            raise ValueError(
                f"fit: expected targets of the form in which the first {position.batches} batches of the epoch had "
                "them, got others, for which other metrics are computed; set trainer.epoch += 1 to give the epoch up"
            )
        return self._start(position.epoch, position.rows, position.batch_size)

    def _epoch(self, title: str) -> dict[str, float] | None:
        """Train and validate; None if not even the first batch could be trained, and a callback absorbed the error."""
        trainer = self.trainer
        position = self._position()
        self.feed.start(trainer.epoch, position.batches)
        with self.progress.epoch(title, self.feed.count) as shown:
            shown.update(position.batches, dict)
            started, before = time.perf_counter(), self.feed.rows_in(position.batches)
            position = self._batches(position, shown)
            seconds = time.perf_counter() - started
            if not position.batches:
                return None
            logs = self._logs(position)
            trainer.epoch += 1
            if self.validation is not None:
                self.calls("on_test_begin", {})
                validated = trainer.evaluate_dataset(self.validation)
                self.calls("on_test_end", dict(validated))
                logs |= {f"val_{name}": value for name, value in validated.items()}
            shown.finish(logs, self.feed.rows_in(position.batches) - before, seconds)
        return logs

    def _batches(self, position: Position, shown: Progress) -> Position:
        trainer, feed, calls = self.trainer, self.feed, self.calls
        begun = first = end = position.batches  # the part's first batch, and the one after its last
        part: Part | None = None
        while True:
            before = position.batches
            if before >= end:
                part = None  # its memory may be needed for the next one
                part = feed.part(before)
                if part is None:
                    if before == begun:  # interrupted before the epoch was counted
                        self.rate = trainer.optimizer.rate(trainer.iteration - 1)
                    return position
                first, end = before, before + part.batches
                rates = trainer.optimizer.rates(trainer.iteration, end - before)
            assert part is not None
            if calls.by_batch:
                calls("on_train_batch_begin", before, {})
                rates = trainer.optimizer.rates(trainer.iteration, 1)
            trainer.require_own_weights("fit")  # a callback may have exchanged them
            trainer.require_plan(part.size, part.data)  # or frozen parameters
            position = self._fitting(position)
            failed = False
            try:
                trainer.plan.train_batches(
                    *part.data.core,
                    part.rows,
                    (before - first) * part.size,
                    part.size,
                    rates[: calls.steps_to_save(trainer.iteration)],
                    _CHUNK_SECONDS,
                    position.tally,
                    first * part.size,
                )
            except RuntimeError as error:
                explain(error, trainer.iteration, rates[min(position.batches - before, len(rates) - 1)])
                failed = calls.absorb(error)
                if not failed:
                    raise
            done = position.batches - before
            if done:
                self.rate, rates = float(rates[done - 1]), rates[done:]
                shown.update(done, partial(self._logs, position))
            if failed:
                trainer.stop_training = True
                return position
            if calls.by_batch:
                own = trainer.core_logs(position.tally[1, 1:], feed.rows_in(before + 1) - feed.rows_in(before))
                calls("on_train_batch_end", before, own)
                if trainer.stop_training:
                    return position
            for saver in calls.savers:
                saver.between_batches(done, position.batches, partial(self._logs, position))

    def _logs(self, position: Position) -> dict[str, float]:
        return self.trainer.core_logs(position.tally[0, 1:], self.feed.rows_in(position.batches))
