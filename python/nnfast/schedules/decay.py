"""Schedules that decrease by steps or along a curve."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from nnfast.core.options import flag, integer, real
from nnfast.schedules.base import Schedule

__all__ = ["Exponential", "InverseTime", "Piecewise", "Polynomial"]


class Piecewise(Schedule):
    """Piecewise constant rate.

    Parameters
    ----------
    boundaries : sequence of int
        First step of the second value, of the third, and so on; ascending, 1 or larger.
    values : sequence of float
        Rates, one more than boundaries.

    References
    ----------
    He et al. (2015), Deep residual learning for image recognition, arXiv:1512.03385.

    Examples
    --------
    >>> from nnfast import schedules
    >>> schedule = schedules.Piecewise([100, 150], [0.1, 0.01, 0.001])
    >>> [schedule(step) for step in (0, 99, 100, 150)]
    [0.1, 0.1, 0.01, 0.001]
    """

    def __init__(self, boundaries: Sequence[int], values: Sequence[float]) -> None:
        for name, given in (("boundaries", boundaries), ("values", values)):
            if isinstance(given, str) or not isinstance(given, Iterable) or getattr(given, "shape", None) == ():
                raise TypeError(f"Piecewise: expected a sequence of {name}, got {given!r}")
        self.boundaries = tuple(integer("Piecewise", "boundary", boundary) for boundary in boundaries)
        self.values = tuple(real("Piecewise", "value", value, minimum=0.0) for value in values)
        if list(self.boundaries) != sorted(set(self.boundaries)):
            raise ValueError(f"Piecewise: expected ascending boundaries, got {self.boundaries}")
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"Piecewise: expected one value more than boundaries, got {len(self.values)} values and "
                f"{len(self.boundaries)} boundaries"
            )

    def __call__(self, step: int) -> float:
        return self.values[bisect_right(self.boundaries, step)]


class Exponential(Schedule):
    """Exponential decay: rate = initial * factor^(step / steps); infinite on overflow.

    Parameters
    ----------
    initial : float
        Rate of the first step.
    steps : int
        Number of steps after which the rate has been multiplied by `factor`.
    factor : float
        Larger than 0.
    staircase : bool, default False
        Change the rate only once every `steps` steps.

    Examples
    --------
    >>> from nnfast import schedules
    >>> schedules.Exponential(0.8, steps=10, factor=0.5)(20)
    0.2
    >>> schedules.Exponential(0.8, steps=10, factor=0.5, staircase=True)(19)
    0.4
    """

    def __init__(self, initial: float, steps: int, factor: float, staircase: bool = False) -> None:
        self.initial = real("Exponential", "initial", initial, minimum=0.0)
        self.steps = integer("Exponential", "steps", steps)
        self.factor = real("Exponential", "factor", factor, minimum=0.0)
        if self.factor == 0.0:
            raise ValueError("Exponential: expected factor > 0, got 0.0")
        self.staircase = flag("Exponential", "staircase", staircase)

    def __call__(self, step: int) -> float:
        exponent = step // self.steps if self.staircase else step / self.steps
        try:
            return float(self.initial * self.factor**exponent)
        except OverflowError:
            return math.inf


class Polynomial(Schedule):
    """Polynomial decay: rate = final + (initial - final) (1 - step / steps)^power.

    Parameters
    ----------
    initial : float
        Rate of the first step.
    steps : int
        Number of steps of the decay; later steps use `final`.
    final : float, default 0
        Rate at the end.
    power : float, default 1
        Larger than 0; 1 is a straight line.
    cycle : bool, default False
        After `steps`, stretch the decay to the next multiple of `steps` instead of staying at `final`, so that the
        rate jumps up at each multiple.

    Examples
    --------
    >>> from nnfast import schedules
    >>> schedule = schedules.Polynomial(0.5, steps=100, power=2)
    >>> schedule(0), schedule(50), schedule(100)
    (0.5, 0.125, 0.0)
    """

    def __init__(self, initial: float, steps: int, final: float = 0.0, power: float = 1.0, cycle: bool = False) -> None:
        self.initial = real("Polynomial", "initial", initial, minimum=0.0)
        self.steps = integer("Polynomial", "steps", steps)
        self.final = real("Polynomial", "final", final, minimum=0.0)
        self.power = real("Polynomial", "power", power, minimum=0.0)
        if self.power == 0.0:
            raise ValueError("Polynomial: expected power > 0, got 0.0")
        self.cycle = flag("Polynomial", "cycle", cycle)

    def __call__(self, step: int) -> float:
        steps = self.steps * max(1, math.ceil(step / self.steps)) if self.cycle else self.steps
        return self.final + (self.initial - self.final) * math.pow(1 - min(step / steps, 1.0), self.power)


class InverseTime(Schedule):
    """Inverse time decay: rate = initial / (1 + factor * step / steps).

    Parameters
    ----------
    initial : float
        Rate of the first step.
    steps : int
        Unit of time, in steps.
    factor : float
        0 or larger; with 1, the rate has halved after `steps` steps.
    staircase : bool, default False
        Change the rate only once every `steps` steps.

    Examples
    --------
    >>> from nnfast import schedules
    >>> schedules.InverseTime(0.5, steps=10, factor=1)(30)
    0.125
    """

    def __init__(self, initial: float, steps: int, factor: float, staircase: bool = False) -> None:
        self.initial = real("InverseTime", "initial", initial, minimum=0.0)
        self.steps = integer("InverseTime", "steps", steps)
        self.factor = real("InverseTime", "factor", factor, minimum=0.0)
        self.staircase = flag("InverseTime", "staircase", staircase)

    def __call__(self, step: int) -> float:
        time = step // self.steps if self.staircase else step / self.steps
        return self.initial / (1 + self.factor * time)
