"""The history of a training run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from nnfast.core.options import choose
from nnfast.core.table import format_table, html_table
from nnfast.core.text import short_repr
from nnfast.training.callbacks.base import direction, numbers

__all__ = ["Best", "History"]

_MOST_ROWS, _FIRST_ROWS, _LAST_ROWS = 12, 3, 8


class Best(NamedTuple):
    """What `History.best` returns."""

    epoch: int
    value: float
    figures: dict[str, float]


class History(Mapping[str, list[float]]):
    """Loss and metrics by epoch: ``history["val_loss"]`` is a list with one number per epoch.

    Attributes
    ----------
    history : dict of str to list of float
        "loss", the metrics by name, of which a few are arrays, and all of them with the prefix "val_" for validation
        data.
    epoch : list of int
        Indices of the epochs, from 0.
    seconds : list of float
        Wall time of each epoch, including validation.
    learning_rate : list of float
        Rate of the last step of each epoch. ``history["learning_rate"]`` works too; among the names it is, as in Keras,
        only if a callback puts it into the logs, as `callbacks.ReduceLROnPlateau` does.
    fingerprint : str or None
        `Network.fingerprint` at the end of the run; None before its end.

    Examples
    --------
    >>> from nnfast.training.history import History
    >>> record = History()
    >>> record.add(0, {"loss": 0.5}, seconds=0.1)
    >>> record.history
    {'loss': [0.5]}
    >>> record["loss"], list(record)
    ([0.5], ['loss'])
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.seconds: list[float] = []
        self.learning_rate: list[float] = []
        self.higher_is_better: dict[str, bool] = {}
        """What the metrics of the trainer say; see `best`."""
        self.fingerprint: str | None = None

    def add(self, epoch: int, logs: Mapping[str, float], seconds: float, learning_rate: float = math.nan) -> None:
        """Append an epoch; called by `Trainer.fit`.

        Parameters
        ----------
        epoch : int
            Index of the epoch.
        logs : dict of str to float
            Loss and metrics by name.
        seconds : float
            Wall time.
        learning_rate : float, default NaN
            Rate of the last step.
        """
        self.epoch.append(epoch)
        self.seconds.append(seconds)
        self.learning_rate.append(learning_rate)
        for values in self.history.values():
            values.append(math.nan)
        self.amend(logs)

    def amend(self, logs: Mapping[str, float]) -> None:
        """Replace figures of the last epoch, or add some; called by `Trainer.fit` with what callbacks add to `logs`.

        Parameters
        ----------
        logs : dict of str to float
            By name. Epochs without a figure have NaN.
        """
        for name, value in logs.items():
            self.history.setdefault(name, [math.nan] * len(self.epoch))[-1] = value

    def best(self, name: str = "val_loss", mode: Literal["auto", "min", "max"] = "auto") -> Best:
        """The epoch with the best value of a quantity, the first of them if there are several. NaN is never the best.

        Parameters
        ----------
        name : str, default "val_loss"
            Name in the history.
        mode : {"auto", "min", "max"}, default "auto"
            Whether lower or higher is better; see `callbacks.EarlyStopping`.

        Returns
        -------
        Best
            Named tuple of the index of the epoch, the value, and all figures of that epoch by name.

        Examples
        --------
        >>> from nnfast.training.history import History
        >>> record = History()
        >>> for epoch, loss in enumerate([0.5, 0.25, 0.75]):
        ...     record.add(epoch, {"loss": loss}, seconds=0.1)
        >>> record.best("loss")
        Best(epoch=1, value=0.25, figures={'loss': 0.25})
        """
        if not isinstance(mode, str) or mode not in ("auto", "min", "max"):
            raise ValueError(f'History.best: expected mode "auto", "min" or "max", got {mode!r}')
        values = self[choose("name in the history", name, self.history)]
        if any(np.ndim(value) != 0 for value in values):
            raise ValueError(f"History.best: expected a quantity that is a number, got {name!r}, which is an array")
        found = direction("History.best", name, self.higher_is_better) if mode == "auto" else mode
        ranked = [(value if found == "min" else -value, i) for i, value in enumerate(values) if not math.isnan(value)]
        if not ranked:
            raise ValueError(f"History.best: expected an epoch with a number as {name!r}, got {short_repr(values)}")
        i = min(ranked)[1]
        return Best(self.epoch[i], values[i], {key: figures[i] for key, figures in self.history.items()})

    def plot(self, axes: Any = None) -> Any:
        """Plot losses and, beside them, the other metrics. Requires Matplotlib.

        Training and validation have the same color; dashed lines are validation.

        Parameters
        ----------
        axes : sequence of matplotlib.axes.Axes, optional
            Where to plot losses and metrics; a new figure by default.

        Returns
        -------
        list of matplotlib.axes.Axes
            One, or two if there are metrics; ``axes[0].figure.savefig(path)`` saves the picture.

        Examples
        --------
        >>> from nnfast.training.history import History
        >>> record = History()
        >>> for epoch, loss in enumerate([0.5, 0.25]):
        ...     record.add(epoch, {"loss": loss, "val_loss": 2 * loss}, seconds=0.1)
        >>> axes = record.plot()  # doctest: +SKIP
        """
        from nnfast.plot.training import history

        return history(self, axes)

    def to_dict(self) -> dict[str, Any]:
        """The history as JSON values, from which `from_dict` makes it again. NaN and infinity become strings.

        Examples
        --------
        >>> from nnfast.training.history import History
        >>> record = History()
        >>> record.add(0, {"loss": 0.5}, seconds=0.1, learning_rate=0.01)
        >>> record.to_dict()
        {'epoch': [0], 'seconds': [0.1], 'learning_rate': [0.01], 'history': {'loss': [0.5]}}
        >>> History.from_dict(record.to_dict())["loss"]
        [0.5]
        """
        return {
            "epoch": list(self.epoch),
            "seconds": list(self.seconds),
            "learning_rate": _as_json(self.learning_rate),
            "history": {name: _as_json(values) for name, values in self.history.items()},
            **({"higher_is_better": dict(self.higher_is_better)} if self.higher_is_better else {}),
            **({} if self.fingerprint is None else {"fingerprint": self.fingerprint}),
        }

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> History:
        """History from the output of `to_dict`.

        Parameters
        ----------
        description : dict

        Raises
        ------
        ValueError
            If it is not such a dict.
        """
        record = cls()
        try:
            record.epoch = [int(epoch) for epoch in description["epoch"]]
            record.seconds = [float(value) for value in description["seconds"]]
            record.learning_rate = [float(value) for value in description["learning_rate"]]
            record.history = {
                str(name): [_figure(value) for value in values] for name, values in description["history"].items()
            }
            known = description.get("higher_is_better", {})
            record.higher_is_better = {str(name): bool(higher) for name, higher in known.items()}
            record.fingerprint = None if description.get("fingerprint") is None else str(description["fingerprint"])
            lists = [record.seconds, record.learning_rate, *record.history.values()]
            fits = all(len(values) == len(record.epoch) for values in lists)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            fits = False
        if not fits:
            raise ValueError(f"expected a history as History.to_dict returns it, got {short_repr(description)}")
        return record

    def to_dataframe(self) -> Any:
        """A pandas DataFrame with one row per epoch, indexed by `epoch`, and one column per name. Requires pandas.

        Examples
        --------
        >>> from nnfast.training.history import History
        >>> record = History()
        >>> for epoch, loss in enumerate([0.5, 0.25]):
        ...     record.add(epoch, {"loss": loss}, seconds=0.1)
        >>> record.to_dataframe()["loss"].min()  # doctest: +SKIP
        0.25
        """
        try:
            import pandas  # type: ignore[import-untyped]
        except ImportError as error:
            raise ImportError(
                "History.to_dataframe: expected pandas, which is not installed; run `pip install pandas`, or use the "
                "dict `history`"
            ) from error
        return pandas.DataFrame(self.history, index=pandas.Index(self.epoch, name="epoch"))

    def __getitem__(self, name: str) -> list[float]:
        if name == "learning_rate" and name not in self.history:
            return self.learning_rate
        if name not in self.history:
            raise KeyError(f"history: no {name!r}; names: {', '.join(self.history)}")
        return self.history[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.history)

    def __len__(self) -> int:
        return len(self.history)

    def __repr__(self) -> str:
        hashed = "" if self.fingerprint is None else f", fingerprint {self.fingerprint}"
        count = f"<History of {len(self.epoch)} epoch{'s' * (len(self.epoch) != 1)}{hashed}>"
        if not self.epoch:
            return count
        columns, rows = self._table()
        return f"{count}\n{format_table(columns, rows, range(len(columns)))}"

    def _repr_html_(self) -> str:
        columns, rows = self._table()
        return html_table(columns, rows, range(len(columns)))

    def _table(self) -> tuple[list[str], list[list[str]]]:
        """Columns and rows; of a long history the first and last epochs."""
        count = len(self.epoch)
        shown = range(count) if count <= _MOST_ROWS else [*range(_FIRST_ROWS), None, *range(count - _LAST_ROWS, count)]
        names = list(numbers({name: values[-1] for name, values in self.history.items()}))
        figures = [self.history[name] for name in names]
        rows = [
            ["..."] * (1 + len(figures))
            if i is None
            else [str(self.epoch[i]), *(f"{values[i]:.4g}" for values in figures)]
            for i in shown
        ]
        return ["epoch", *names], rows


def _as_json(value: Any) -> Any:
    """Numbers as they are, except those that JSON does not have: "nan", "inf" and "-inf"; arrays as lists."""
    if isinstance(value, list | np.ndarray):
        return [_as_json(item) for item in value]
    return float(value) if math.isfinite(value) else str(float(value))


def _figure(value: Any) -> Any:
    """A number or an array, from the output of `_as_json`."""
    if not isinstance(value, list):
        return float(value)
    array = np.array(value, "float64")
    if array.size == 0:
        raise ValueError("expected numbers, got none")
    return array
