"""Callbacks that write the figures of each epoch somewhere.

All of them write the loss and the metrics of the epoch, what callbacks before them have added, and "learning_rate".
Figures that are arrays, such as a confusion matrix or a metric of each class, are written by `CSVLogger` and
`JSONLogger` alone.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nnfast.core.options import Configured, flag
from nnfast.training.callbacks.base import Callback, Logs, numbers
from nnfast.training.callbacks.paths import require_literal

__all__ = ["CSVLogger", "JSONLogger", "Logger", "figures_of"]


def figures_of(callback: Callback, logs: Logs) -> dict[str, float]:
    """What loggers write of an epoch: numbers, and no arrays."""
    return numbers(_with_rate(callback, logs))


def _with_rate(callback: Callback, logs: Logs) -> dict[str, Any]:
    return {**logs, "learning_rate": callback.trainer.history.learning_rate[-1]}


def _as_json(value: Any) -> Any:
    """A number, or nested lists of an array; None for NaN and infinity, which JSON does not have."""
    if np.ndim(value) > 0:
        return [_as_json(item) for item in value]
    number = float(value)
    return number if math.isfinite(number) else None


class Logger(Callback):
    """Pass the figures of each epoch to a function, such as those of experiment trackers.

    Parameters
    ----------
    log : callable
        Function (figures, step), called with a dict of float by name and the index of the epoch, from 0: `wandb.log`,
        `mlflow.log_metrics`, or your own.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import callbacks, layers
    >>> net = nf.Network([layers.Input((1,)), layers.Dense(1, kernel_initializer="zeros")])
    >>> trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.0))
    >>> logger = callbacks.Logger(lambda figures, step: print(step, figures))
    >>> history = trainer.fit([[1.0]], [[2.0]], epochs=2, batch_size=1, callbacks=[logger])
    0 {'loss': 4.0, 'learning_rate': 0.0}
    1 {'loss': 4.0, 'learning_rate': 0.0}
    """

    def __init__(self, log: Callable[[dict[str, float], int], object]) -> None:
        if not callable(log):
            raise TypeError(f"Logger: expected a function (figures, step), got {log!r}")
        self.log = log

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        self.log(figures_of(self, logs), epoch)


class _FileLogger(Configured, Callback):
    """Base class of callbacks that write a line per epoch to a file."""

    filename: str
    append: bool

    def on_train_begin(self, logs: Logs | None = None) -> None:
        require_literal(type(self).__name__, self.filename)
        path = Path(self.filename)
        if not self.append or not path.exists():
            path.write_text("")


class CSVLogger(_FileLogger):
    """Write the figures of each epoch to a CSV file, one line per epoch.

    Parameters
    ----------
    filename : str or path-like
    separator : str, default ","
        A single character.
    append : bool, default False
        Append to a file that exists, as after `Trainer.resume`, instead of replacing it.

    Raises
    ------
    ValueError
        From `fit`: if the file to append to has other columns.

    Notes
    -----
    The columns are "epoch" and the figures of the first epoch. Figures that appear later are left out, with a warning;
    missing ones are empty. Lines are written at once, so the file is complete after Ctrl-C. The cell of an array, such
    as a confusion matrix, contains nested lists in JSON, for ``json.loads``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import nnfast as nf
    >>> from nnfast import callbacks, layers
    >>> net = nf.Network([layers.Input((1,)), layers.Dense(1, kernel_initializer="zeros")])
    >>> trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.25))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "run.csv"
    ...     history = trainer.fit([[1.0]], [[2.0]], epochs=2, batch_size=1, callbacks=[callbacks.CSVLogger(path)])
    ...     print(path.read_text())
    epoch,loss,learning_rate
    0,4.0,0.25
    1,0.0,0.25
    <BLANKLINE>
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        if not isinstance(separator, str) or len(separator) != 1:
            raise ValueError(f"CSVLogger: expected a single character as separator, got {separator!r}")
        self.filename = os.fspath(filename)
        self.separator = separator
        self.append = flag("CSVLogger", "append", append)
        self._columns: list[str] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._columns = None
        super().on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        figures = {"epoch": epoch, **_with_rate(self, logs)}
        if self._columns is None:
            self._columns = self._begin(list(figures))
        others = [name for name in figures if name not in self._columns]
        if others:
            warnings.warn(
                f"CSVLogger: {', '.join(others)} left out: not in the first epoch, whose figures are the columns",
                stacklevel=2,
            )
        self._write([_cell(figures.get(name, "")) for name in self._columns])

    def _begin(self, columns: list[str]) -> list[str]:
        """The columns of the file, which are those of this run, in any order. A new file gets them."""
        import csv

        with open(self.filename, newline="", encoding="utf-8") as file:
            found = next(csv.reader(file, delimiter=self.separator), None)
        if found is None:
            self._write(columns)
            return columns
        if set(found) != set(columns):
            raise ValueError(
                f"CSVLogger: expected to append to a file with the columns {', '.join(columns)}, got "
                f"{', '.join(found)} in {self.filename}; choose another filename, or append=False to replace the file"
            )
        return found

    def _write(self, cells: list[str]) -> None:
        import csv

        with open(self.filename, "a", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter=self.separator, lineterminator="\n").writerow(cells)


def _cell(value: Any) -> str:
    return json.dumps(_as_json(value)) if np.ndim(value) > 0 else str(value)


class JSONLogger(_FileLogger):
    """Write the figures of each epoch to a file of JSON lines, one object per epoch.

    Parameters
    ----------
    filename : str or path-like
    append : bool, default False
        Append to a file that exists instead of replacing it.

    Notes
    -----
    Arrays, such as a confusion matrix, become nested lists, and NaN and infinity, which JSON does not have, null. Lines
    are written at once. ``pandas.read_json(filename, lines=True)`` reads the file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import nnfast as nf
    >>> from nnfast import callbacks, layers
    >>> net = nf.Network([layers.Input((1,)), layers.Dense(1, kernel_initializer="zeros")])
    >>> trainer = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.25))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "run.jsonl"
    ...     history = trainer.fit([[1.0]], [[2.0]], epochs=1, batch_size=1, callbacks=[callbacks.JSONLogger(path)])
    ...     print(path.read_text())
    {"epoch": 0, "loss": 4.0, "learning_rate": 0.25}
    <BLANKLINE>
    """

    def __init__(self, filename: str | os.PathLike[str], append: bool = False) -> None:
        self.filename = os.fspath(filename)
        self.append = flag("JSONLogger", "append", append)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        line = {"epoch": epoch, **{name: _as_json(value) for name, value in _with_rate(self, logs).items()}}
        with open(self.filename, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
