"""The history of a training run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from nnfast.core.text import short_repr

__all__ = ["History"]


class History(Mapping[str, list[float]]):
    """Loss and metrics by epoch: ``history["val_loss"]`` is a list with one number per epoch.

    Attributes
    ----------
    history : dict of str to list of float
        "loss", the metrics by name, and all of them with the prefix "val_" for validation data.
    epoch : list of int
        Indices of the epochs, from 0.
    seconds : list of float
        Wall time of each epoch, including validation.
    learning_rate : list of float
        Rate of the last step of each epoch. ``history["learning_rate"]`` works too; among the names it is, as in Keras,
        only if a callback puts it into the logs, as `callbacks.ReduceLROnPlateau` does.

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
                str(name): [float(value) for value in values] for name, values in description["history"].items()
            }
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
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items())
        return f"<History of {len(self.epoch)} epochs{': ' + last if last else ''}>"


def _as_json(values: list[float]) -> list[Any]:
    """Numbers as they are, except those that JSON does not have: "nan", "inf" and "-inf"."""
    return [value if math.isfinite(value) else str(value) for value in values]
