"""Schedules: learning rates that change from step to step, accepted by optimizers in place of a number.

A schedule is called with the index of the step (0, 1, 2, ...). Checkpoints store schedules, so resumed training
continues on the same curve. A plain function works too, but checkpoints store only its name.

>>> from nnfast import optimizers, schedules
>>> optimizers.SGD(schedules.Cosine(0.1, steps=100), momentum=0.9)
SGD(learning_rate=Cosine(0.1, 100), momentum=0.9)
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from nnfast.core.options import (
    Configured,
    custom_classes,
    flag,
    from_config,
    integer,
    module_names,
    public_classes,
    real,
)

__all__ = ["Constant", "Cosine", "Exponential", "OneCycle", "Piecewise", "Schedule"]

__getattr__, __dir__ = module_names(__name__, __all__)


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


class Cosine(Schedule):
    """Cosine decay from `initial` to `final`, after an optional linear warm-up.

    rate = final + (initial - final) (1 + cos(pi t)) / 2, where t goes from 0 to 1 over the steps after the warm-up.

    Parameters
    ----------
    initial : float
        Rate after the warm-up.
    steps : int
        Total number of steps, including the warm-up; later steps use `final`.
    final : float, default 0
        Rate at the end.
    warmup : int, default 0
        Number of warm-up steps, less than `steps`; step i has the rate initial (i + 1) / (warmup + 1).

    References
    ----------
    Loshchilov & Hutter (2016), SGDR: stochastic gradient descent with warm restarts, arXiv:1608.03983.

    Examples
    --------
    >>> from nnfast import schedules
    >>> schedule = schedules.Cosine(0.5, steps=100)
    >>> [round(schedule(step), 3) for step in (0, 50, 100)]
    [0.5, 0.25, 0.0]
    """

    def __init__(self, initial: float, steps: int, final: float = 0.0, warmup: int = 0) -> None:
        self.initial = real("Cosine", "initial", initial, minimum=0.0)
        self.steps = integer("Cosine", "steps", steps)
        self.final = real("Cosine", "final", final, minimum=0.0)
        self.warmup = integer("Cosine", "warmup", warmup, minimum=0)
        if self.warmup >= self.steps:
            raise ValueError(f"Cosine: expected warmup < steps, got {self.warmup} and {self.steps}")

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return self.initial * (step + 1) / (self.warmup + 1)
        return _half_wave(self.initial, self.final, (step - self.warmup) / (self.steps - self.warmup))


class OneCycle(Schedule):
    """One-cycle policy: the rate rises to `peak` and falls to `final`. The momentum is not changed.

    Parameters
    ----------
    peak : float
        Largest rate.
    steps : int
        Total number of steps; later steps use `final`.
    rise : float, default 0.3
        Fraction of the steps before the peak, 0 < rise < 1.
    initial : float, optional
        Rate of the first step; peak / 25 by default.
    final : float, default 0
        Rate at the end.
    shape : {"cosine", "linear"}, default "cosine"
        Shape of both parts: half a cosine wave, or a straight line.

    References
    ----------
    Smith (2018), A disciplined approach to neural network hyper-parameters, arXiv:1803.09820.

    Examples
    --------
    >>> from nnfast import schedules
    >>> schedule = schedules.OneCycle(1.0, steps=100, rise=0.25, shape="linear")
    >>> [round(schedule(step), 2) for step in (0, 25, 50, 100)]
    [0.04, 1.0, 0.67, 0.0]
    """

    def __init__(
        self,
        peak: float,
        steps: int,
        rise: float = 0.3,
        initial: float | None = None,
        final: float = 0.0,
        shape: Literal["cosine", "linear"] = "cosine",
    ) -> None:
        if not isinstance(shape, str) or shape not in ("cosine", "linear"):
            raise ValueError(f'OneCycle: expected shape "cosine" or "linear", got {shape!r}')
        self.peak = real("OneCycle", "peak", peak, minimum=0.0)
        self.steps = integer("OneCycle", "steps", steps)
        self.rise = real("OneCycle", "rise", rise, minimum=0.0, upper_bound=1.0)
        if self.rise == 0.0:
            raise ValueError("OneCycle: expected 0 < rise < 1, got 0.0; use Cosine for a decreasing rate")
        self.initial = self.peak / 25 if initial is None else real("OneCycle", "initial", initial, minimum=0.0)
        self.final = real("OneCycle", "final", final, minimum=0.0)
        self.shape = shape

    def __call__(self, step: int) -> float:
        top = self.rise * self.steps
        between = _half_wave if self.shape == "cosine" else _line
        if step < top:
            return between(self.initial, self.peak, step / top)
        return between(self.peak, self.final, (step - top) / (self.steps - top))


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


def _line(start: float, end: float, t: float) -> float:
    return start + (end - start) * min(t, 1.0)


def _half_wave(start: float, end: float, t: float) -> float:
    return end + (start - end) * ((1 + math.cos(math.pi * min(t, 1.0))) / 2)


_CLASSES = public_classes(Schedule)


def from_description(description: Any, custom_objects: Mapping[str, Any]) -> Schedule:
    """Schedule from a checkpoint's description; user-defined classes are looked up in `custom_objects` only."""
    return from_config("schedule", description, _CLASSES | custom_classes(custom_objects, Schedule))
