"""Schedules along cosine waves, and the one-cycle policy."""

from __future__ import annotations

import math
from typing import Literal

from nnfast.core.options import integer, real
from nnfast.schedules.base import Schedule, half_wave, line

__all__ = ["Cosine", "CosineRestarts", "OneCycle"]


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
        return half_wave(self.initial, self.final, (step - self.warmup) / (self.steps - self.warmup))


class CosineRestarts(Schedule):
    """Cosine decay with warm restarts (SGDR).

    Period i = 0, 1, ... has steps * period_factor^i steps, in which the rate falls to `final` along half a cosine wave
    of the height (initial - final) * peak_factor^i.

    Parameters
    ----------
    initial : float
        Rate of the first step.
    steps : int
        Number of steps of the first period.
    period_factor : float, default 2
        1 or larger.
    peak_factor : float, default 1
        0 or larger.
    final : float, default 0
        Rate at the end of each period.

    References
    ----------
    Loshchilov & Hutter (2016), SGDR: stochastic gradient descent with warm restarts, arXiv:1608.03983.

    Examples
    --------
    >>> from nnfast import schedules
    >>> schedule = schedules.CosineRestarts(0.5, steps=10, peak_factor=0.5)
    >>> [round(schedule(step), 3) for step in (0, 5, 10, 20, 30)]  # restarts at 10 and 30
    [0.5, 0.25, 0.25, 0.125, 0.125]
    """

    def __init__(
        self, initial: float, steps: int, period_factor: float = 2.0, peak_factor: float = 1.0, final: float = 0.0
    ) -> None:
        self.initial = real("CosineRestarts", "initial", initial, minimum=0.0)
        self.steps = integer("CosineRestarts", "steps", steps)
        self.period_factor = real("CosineRestarts", "period_factor", period_factor, minimum=1.0)
        self.peak_factor = real("CosineRestarts", "peak_factor", peak_factor, minimum=0.0)
        self.final = real("CosineRestarts", "final", final, minimum=0.0)

    def __call__(self, step: int) -> float:
        period, t = self._place(step)
        height = (self.initial - self.final) * self.peak_factor**period
        return half_wave(self.final + height, self.final, t)

    def _place(self, step: int) -> tuple[int, float]:
        """Index of the period, and how much of it has passed."""
        factor, done = self.period_factor, step / self.steps
        if factor == 1.0:
            return step // self.steps, step % self.steps / self.steps
        period = int(math.log1p(done * (factor - 1)) / math.log(factor))
        # The logarithm may round across an integer.
        for i in (period - 1, period, period + 1):
            t = (done - (factor**i - 1) / (factor - 1)) / factor**i
            if 0 <= t < 1 and i >= 0:
                return i, t
        return period, 0.0


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
        between = half_wave if self.shape == "cosine" else line
        if step < top:
            return between(self.initial, self.peak, step / top)
        return between(self.peak, self.final, (step - top) / (self.steps - top))
