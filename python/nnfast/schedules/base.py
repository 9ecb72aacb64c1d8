"""What all schedules have in common."""

from __future__ import annotations

import math
from typing import Any

from nnfast.core.options import Configured, real

__all__ = ["Constant", "Schedule", "as_schedule", "half_wave", "line"]


class Schedule(Configured):
    """Base class of all schedules. To define your own, derive from it and implement ``__call__``.

    Every constructor argument must be stored in an attribute of the same name, from which the schedule is printed and
    saved. `Trainer.resume` looks up user-defined classes in `custom_objects`.

    Examples
    --------
    >>> from nnfast import schedules
    >>> class Halving(schedules.Schedule):
    ...     def __init__(self, initial):
    ...         self.initial = initial
    ...     def __call__(self, step):
    ...         return self.initial * 0.5**step
    >>> Halving(1.0)(2)
    0.25
    """

    def __call__(self, step: int) -> float:
        """Learning rate of a step, counted from 0; training raises a ValueError if it is negative or not finite."""
        raise NotImplementedError(f"{type(self).__name__}: expected a method __call__(step)")


class Constant(Schedule):
    """The same rate at every step.

    Parameters
    ----------
    value : float
        0 or larger.

    Examples
    --------
    >>> from nnfast import schedules
    >>> schedules.Constant(0.1)(1000)
    0.1
    """

    def __init__(self, value: float) -> None:
        self.value = real("Constant", "value", value, minimum=0.0)

    def __call__(self, step: int) -> float:
        return self.value


def as_schedule(where: str, schedule: Any) -> Schedule:
    """A schedule, or a number as one."""
    if isinstance(schedule, Schedule):
        return schedule
    if isinstance(schedule, type) or callable(schedule):
        raise TypeError(f"{where}: expected a Schedule or a number as schedule, got {schedule!r}")
    return Constant(real(where, "schedule", schedule, minimum=0.0))


def line(start: float, end: float, t: float) -> float:
    """From `start` at t = 0 to `end` at t = 1 and later."""
    return start + (end - start) * min(t, 1.0)


def half_wave(start: float, end: float, t: float) -> float:
    """Likewise along half a cosine wave."""
    return end + (start - end) * ((1 + math.cos(math.pi * min(t, 1.0))) / 2)
