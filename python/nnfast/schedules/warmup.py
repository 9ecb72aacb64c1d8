"""Warm-up before any other schedule."""

from __future__ import annotations

from typing import Any

from nnfast.core.options import integer, real
from nnfast.schedules.base import Schedule, as_schedule

__all__ = ["Warmup"]


class Warmup(Schedule):
    """Linear warm-up, then another schedule from its beginning.

    In step i < steps the rate is initial + (schedule(0) - initial) i / steps, later schedule(i - steps).

    Parameters
    ----------
    schedule : Schedule or float
        What follows; a number is a constant rate.
    steps : int
        Number of warm-up steps.
    initial : float, optional
        Rate of the first step; schedule(0) / (steps + 1) by default, which makes all the increments the same.

    References
    ----------
    Goyal et al. (2017), Accurate, large minibatch SGD, arXiv:1706.02677.

    Examples
    --------
    >>> from nnfast import schedules
    >>> schedule = schedules.Warmup(schedules.Exponential(1.0, steps=1, factor=0.5), steps=3)
    >>> [schedule(step) for step in range(6)]
    [0.25, 0.5, 0.75, 1.0, 0.5, 0.25]
    """

    def __init__(self, schedule: Any, steps: int, initial: float | None = None) -> None:
        self.schedule = as_schedule("Warmup", schedule)
        self.steps = integer("Warmup", "steps", steps)
        self.initial = None if initial is None else real("Warmup", "initial", initial, minimum=0.0)

    def __call__(self, step: int) -> float:
        if step >= self.steps:
            return self.schedule(step - self.steps)
        peak = self.schedule(0)
        initial = peak / (self.steps + 1) if self.initial is None else self.initial
        return initial + (peak - initial) * (step / self.steps)
