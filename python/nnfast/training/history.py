"""The history of a training run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

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

    def add(self, epoch: int, logs: Mapping[str, float], seconds: float) -> None:
        """Append an epoch; called by `Trainer.fit`.

        Parameters
        ----------
        epoch : int
            Index of the epoch.
        logs : dict of str to float
            Loss and metrics by name.
        seconds : float
            Wall time.
        """
        self.epoch.append(epoch)
        self.seconds.append(seconds)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def to_dict(self) -> dict[str, Any]:
        """The history as JSON values, from which `from_dict` makes it again.

        Examples
        --------
        >>> from nnfast.training.history import History
        >>> record = History()
        >>> record.add(0, {"loss": 0.5}, seconds=0.1)
        >>> record.to_dict()
        {'epoch': [0], 'seconds': [0.1], 'history': {'loss': [0.5]}}
        >>> History.from_dict(record.to_dict())["loss"]
        [0.5]
        """
        return {
            "epoch": list(self.epoch),
            "seconds": list(self.seconds),
            "history": {name: list(values) for name, values in self.history.items()},
        }

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> History:
        """History from the output of `to_dict`.

        Parameters
        ----------
        description : dict
        """
        record = cls()
        record.epoch = list(description["epoch"])
        record.seconds = list(description["seconds"])
        record.history = {name: list(values) for name, values in description["history"].items()}
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
