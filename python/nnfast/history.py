"""What a training run leaves behind."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["History"]


class History:
    """Loss and metrics by epoch.

    Attributes
    ----------
    history : dict of str to list of float
        "loss", the metrics by name, and each again with "val_" for validation data.
    epoch : list of int
        Numbers of the epochs, counted from 0.
    seconds : list of float
        Wall time of each epoch, validation included.

    Examples
    --------
    >>> from nnfast.history import History
    >>> record = History()
    >>> record.add(0, {"loss": 0.5}, seconds=0.1)
    >>> record.history
    {'loss': [0.5]}
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.seconds: list[float] = []

    def add(self, epoch: int, logs: Mapping[str, float], seconds: float) -> None:
        """Append one epoch; `Trainer.fit` does. It checks nothing and has no errors of its own.

        Parameters
        ----------
        epoch : int
            Its number.
        logs : dict of str to float
            Loss and metrics by name.
        seconds : float
            Wall time.
        """
        self.epoch.append(epoch)
        self.seconds.append(seconds)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items())
        return f"<History of {len(self.epoch)} epochs{': ' + last if last else ''}>"
