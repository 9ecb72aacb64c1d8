"""What the callbacks that wait for an improvement have in common."""

from __future__ import annotations

import math
from typing import Any

from nnfast.core.options import real
from nnfast.training.callbacks.base import (
    Callback,
    Logs,
    checked_mode,
    direction,
    directions_of,
    find_direction,
    monitor_name,
    monitored,
)

__all__ = ["Monitor"]


class Monitor:
    """The best value of a quantity, and the number of epochs since then.

    Parameters
    ----------
    callback : Callback
    monitor : str
    mode : {"auto", "min", "max"}
    min_delta : float
    """

    def __init__(self, callback: Callback, monitor: Any, mode: Any, min_delta: Any) -> None:
        where = type(callback).__name__
        self.mode = checked_mode(where, mode)
        self.callback = callback
        self.monitor = monitor_name(where, monitor)
        self.min_delta = real(where, "min_delta", min_delta, minimum=0.0)
        self.reset(find_direction(self.monitor, {}) if mode == "auto" else mode)

    def begin(self) -> None:
        """Begin a run; what the metrics of the trainer say decides before their names do."""
        known, where = directions_of(self.callback.trainer), type(self.callback).__name__
        self.reset(direction(where, self.monitor, known) if self.mode == "auto" else self.mode)

    def reset(self, found: str | None) -> None:
        """Forget the best value."""
        self.sign = -1.0 if found == "max" else 1.0
        self.best = self.sign * math.inf
        self.waited = 0

    def value(self, logs: Logs) -> float:
        """The quantity in this epoch."""
        return monitored(self.callback, self.monitor, logs)

    def improves(self, value: float, reference: float) -> bool:
        """Whether a value is better than another by more than `min_delta`; NaN never is."""
        return self.sign * (reference - value) > self.min_delta

    def get_state(self) -> dict[str, Any]:
        """For checkpoints."""
        return {"best": self.best if math.isfinite(self.best) else None, "waited": self.waited}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from the output of `get_state`."""
        if state["best"] is not None:
            self.best = float(state["best"])
        self.waited = int(state["waited"])
