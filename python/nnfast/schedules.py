"""Schedules: learning rates that change from step to step. An optimiser takes one in place of a number.

A schedule is called with the step (0, 1, 2, ...) that is about to be made. It holds plain numbers, so a checkpoint
keeps it, and training goes on at the right place of the curve. A function of the step can be used as well, but a
checkpoint knows it by its name alone.

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
    """Base of all schedules: derive from it and give ``__call__``.

    Keep each argument of your constructor as an attribute of the same name: that is how a schedule is shown.
    `Trainer.resume` finds a class of yours by name in `custom_objects`.

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
        """The learning rate of a step, the first being 0.

        Parameters
        ----------
        step : int

        Returns
        -------
        float
            Finite and at least 0; else training raises a ValueError.

        Raises
        ------
        NotImplementedError
            If the class does not override it.
        """
        raise NotImplementedError(f"{type(self).__name__}: expected a method __call__(step)")


class Constant(Schedule):
    """The same rate at every step.

    Parameters
    ----------
    value : float
        At least 0.

    Raises
    ------
    ValueError
        If `value` is negative or not finite.
    TypeError
        If it is no real number.

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
    """Half a cosine wave from `initial` down to `final`, after an optional straight rise from 0.

    rate = final + (initial - final) (1 + cos(pi t)) / 2, where t runs from 0 to 1 over the steps after the rise.

    Parameters
    ----------
    initial : float
        Rate after the rise; at least 0.
    steps : int
        Number of all steps, the rise included; later ones stay at `final`.
    final : float, default 0
        At least 0.
    warmup : int, default 0
        Steps of the rise; less than `steps`. Step i of it has the rate initial (i + 1) / (warmup + 1).

    Raises
    ------
    ValueError
        If a number is out of range.
    TypeError
        If a rate is no real number, or a number of steps no integer.

    References
    ----------
    Loshchilov and Hutter (2016), SGDR: stochastic gradient descent with warm restarts, arXiv:1608.03983.

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
    """One rise to `peak` and one fall: small steps first, then large ones, then ever smaller ones.

    Parameters
    ----------
    peak : float
        Rate of the highest point; at least 0.
    steps : int
        Number of all steps; later ones stay at `final`.
    rise : float, default .3
        Share of the steps before the peak; 0 < rise < 1.
    initial : float, optional
        Rate of the first step, at least 0; peak / 25 if not given.
    final : float, default 0
        Rate that the fall ends at, at least 0.
    shape : {"cosine", "linear"}, default "cosine"
        Of the rise and of the fall: half a cosine wave, or a straight line.

    Raises
    ------
    ValueError
        If a number is out of range or `shape` is unknown.
    TypeError
        If a rate or `rise` is no real number, or `steps` no integer.

    Notes
    -----
    The momentum stays as it is.

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
            raise ValueError("OneCycle: expected 0 < rise < 1, got 0.0; use Cosine for a fall alone")
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
    """Constant between boundaries: the rate of He et al.'s residual networks and of many older recipes.

    Parameters
    ----------
    boundaries : sequence of int
        First step of the second value, of the third, and so on; 1 or more, ascending.
    values : sequence of float
        One more than boundaries; at least 0.

    Raises
    ------
    ValueError
        If boundaries do not ascend, a number is out of range, or there are not as many values as there should be.
    TypeError
        If an argument is no sequence, a boundary no integer, or a value no real number.

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
    """rate = initial * factor^(step / steps): multiplied by `factor` every so many steps, and infinite on overflow.

    Parameters
    ----------
    initial : float
        Rate of the first step; at least 0.
    steps : int
        Steps after which the rate has been multiplied by `factor`; 1 or more.
    factor : float
        More than 0.
    staircase : bool, default False
        Multiply once every `steps` steps, instead of a little at each.

    Raises
    ------
    ValueError
        If a number is out of range.
    TypeError
        If `initial` or `factor` is no real number, or `steps` no integer.

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
    """The schedule that a checkpoint describes; classes other than nnfast's own come from `custom_objects` alone."""
    return from_config("schedule", description, _CLASSES | custom_classes(custom_objects, Schedule))
