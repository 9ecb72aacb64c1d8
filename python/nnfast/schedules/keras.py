"""Keras's schedules by their names and with their arguments: functions that return schedules of nnfast."""

from __future__ import annotations

from collections.abc import Sequence

from nnfast.core.options import integer, named_arguments, real
from nnfast.schedules.base import Schedule
from nnfast.schedules.cosine import Cosine, CosineRestarts
from nnfast.schedules.decay import Exponential, InverseTime, Piecewise, Polynomial
from nnfast.schedules.warmup import Warmup

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
]


@named_arguments
def CosineDecay(
    initial_learning_rate: float,
    decay_steps: int,
    alpha: float = 0.0,
    warmup_target: float | None = None,
    warmup_steps: int = 0,
) -> Schedule:
    """`Cosine` with the arguments that Keras gives it.

    Parameters
    ----------
    initial_learning_rate : float
        Rate of the first step.
    decay_steps : int
        Number of steps of the decay, which begins after the warm-up.
    alpha : float, default 0
        Rate at the end, as a fraction of that before the decay.
    warmup_target : float, optional
        Rate after the warm-up; by default there is none.
    warmup_steps : int, default 0
        Number of warm-up steps.

    Examples
    --------
    >>> from nnfast import schedules
    >>> schedules.CosineDecay(0.5, decay_steps=1000, alpha=0.5)
    Cosine(0.5, 1000, final=0.25)
    >>> schedules.CosineDecay(0.0, decay_steps=1000, warmup_target=0.5, warmup_steps=100)
    Warmup(Cosine(0.5, 1000), 100, initial=0.0)
    """
    alpha = real("CosineDecay", "alpha", alpha, minimum=0.0)
    if warmup_target is None or not warmup_steps:
        rate = real("CosineDecay", "initial_learning_rate", initial_learning_rate, minimum=0.0)
        return Cosine(rate, decay_steps, final=alpha * rate)
    target = real("CosineDecay", "warmup_target", warmup_target, minimum=0.0)
    return Warmup(Cosine(target, decay_steps, final=alpha * target), warmup_steps, initial=initial_learning_rate)


@named_arguments
def CosineDecayRestarts(
    initial_learning_rate: float, first_decay_steps: int, t_mul: float = 2.0, m_mul: float = 1.0, alpha: float = 0.0
) -> CosineRestarts:
    """`CosineRestarts` with the arguments that Keras gives it.

    Parameters
    ----------
    initial_learning_rate : float
        Rate of the first step.
    first_decay_steps : int
        Number of steps of the first period.
    t_mul : float, default 2
        Ratio of a period to the one before.
    m_mul : float, default 1
        Ratio of the height of a period's wave to that of the one before.
    alpha : float, default 0
        Rate at the end of each period, as a fraction of the initial one.

    Examples
    --------
    >>> from nnfast import schedules
    >>> schedules.CosineDecayRestarts(0.5, first_decay_steps=1000)
    CosineRestarts(0.5, 1000)
    """
    rate = real("CosineDecayRestarts", "initial_learning_rate", initial_learning_rate, minimum=0.0)
    final = rate * real("CosineDecayRestarts", "alpha", alpha, minimum=0.0)
    return CosineRestarts(rate, first_decay_steps, t_mul, m_mul, final)


@named_arguments
def ExponentialDecay(
    initial_learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False
) -> Exponential:
    """`Exponential` with the arguments that Keras gives it.

    Parameters
    ----------
    initial_learning_rate : float
        Rate of the first step.
    decay_steps : int
        Number of steps after which the rate has been multiplied by `decay_rate`.
    decay_rate : float
        Larger than 0.
    staircase : bool, default False
        Change the rate only once every `decay_steps` steps.

    Examples
    --------
    >>> from nnfast import schedules
    >>> schedules.ExponentialDecay(0.1, decay_steps=1000, decay_rate=0.9)
    Exponential(0.1, 1000, 0.9)
    """
    return Exponential(initial_learning_rate, decay_steps, decay_rate, staircase)


@named_arguments
def InverseTimeDecay(
    initial_learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False
) -> InverseTime:
    """`InverseTime` with the arguments that Keras gives it.

    Parameters
    ----------
    initial_learning_rate : float
        Rate of the first step.
    decay_steps : int
        Unit of time, in steps.
    decay_rate : float
        0 or larger.
    staircase : bool, default False
        Change the rate only once every `decay_steps` steps.

    Examples
    --------
    >>> from nnfast import schedules
    >>> schedules.InverseTimeDecay(0.1, decay_steps=1000, decay_rate=0.5)
    InverseTime(0.1, 1000, 0.5)
    """
    return InverseTime(initial_learning_rate, decay_steps, decay_rate, staircase)


@named_arguments
def PiecewiseConstantDecay(boundaries: Sequence[int], values: Sequence[float]) -> Piecewise:
    """`Piecewise` with the arguments that Keras gives it.

    Parameters
    ----------
    boundaries : sequence of int
        Last step of the first value, of the second, and so on; `Piecewise` expects the steps after these.
    values : sequence of float
        Rates, one more than boundaries.

    Examples
    --------
    >>> from nnfast import schedules
    >>> schedules.PiecewiseConstantDecay([100, 150], [0.1, 0.01, 0.001])
    Piecewise((101, 151), (0.1, 0.01, 0.001))
    """
    first = [integer("PiecewiseConstantDecay", "boundary", boundary, minimum=0) + 1 for boundary in boundaries]
    return Piecewise(first, values)


@named_arguments
def PolynomialDecay(
    initial_learning_rate: float,
    decay_steps: int,
    end_learning_rate: float = 0.0001,
    power: float = 1.0,
    cycle: bool = False,
) -> Polynomial:
    """`Polynomial` with the arguments that Keras gives it.

    Parameters
    ----------
    initial_learning_rate : float
        Rate of the first step.
    decay_steps : int
        Number of steps of the decay.
    end_learning_rate : float, default 1e-4
        Rate at the end.
    power : float, default 1
        Larger than 0.
    cycle : bool, default False
        Whether the rate jumps up at each multiple of `decay_steps`.

    Examples
    --------
    >>> from nnfast import schedules
    >>> schedules.PolynomialDecay(0.1, decay_steps=1000, end_learning_rate=0.01, power=2.0)
    Polynomial(0.1, 1000, final=0.01, power=2.0)
    """
    return Polynomial(initial_learning_rate, decay_steps, end_learning_rate, power, cycle)
