"""Optimizers that divide gradients by the root of a mean or sum of their squares."""

from __future__ import annotations

from typing import Unpack

from nnfast.core.options import flag, real
from nnfast.core.typing import Spec
from nnfast.optimizers.base import SMALLEST_EPSILON, GradientOptions, LearningRate, Optimizer

__all__ = ["Adadelta", "Adagrad", "RMSprop"]

_LARGEST_START = 1e20
"""Larger sums of squares may overflow in float32."""


class RMSprop(Optimizer):
    """p := p - rate g / sqrt(v + epsilon), with a moving average v of g^2.

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.001
    rho : float, default 0.9
        Decay of v, 0 <= rho < 1.
    momentum : float, default 0
        0 <= momentum < 1. If above 0, u := momentum u - rate g / sqrt(v + epsilon), p := p + u.
    epsilon : float, default 1e-7
        Added under the root, as in Keras; at least 1.18e-38, the smallest normal float32.
    centered : bool, default False
        Divide by the root of the variance, sqrt(v - m^2 + epsilon), with a moving average m of g. A variance that is
        negative because of rounding counts as 0.
    **gradients
        Decay and clipping of gradients, as in `Optimizer`.

    Notes
    -----
    State: v; with `centered` also m, and with momentum also u. The averages start at 0 without bias correction, so the
    first step may be as large as rate / sqrt(1 - rho). Gradients whose squares overflow (above 1e19 in float32) raise
    an error, and the step is not made.

    References
    ----------
    Tieleman & Hinton (2012), Lecture 6.5 - RMSprop, COURSERA: Neural networks for machine learning. Graves (2013),
    Generating sequences with recurrent neural networks, arXiv:1308.0850, for the centered form.

    Examples
    --------
    >>> from nnfast import optimizers
    >>> optimizers.RMSprop(0.01, momentum=0.9)
    RMSprop(learning_rate=0.01, momentum=0.9)
    """

    name = "rmsprop"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **gradients: Unpack[GradientOptions],
    ) -> None:
        super().__init__(**gradients)
        self.learning_rate = learning_rate
        self.rho = real("RMSprop", "rho", rho, minimum=0.0, upper_bound=1.0)
        self.momentum = real("RMSprop", "momentum", momentum, minimum=0.0, upper_bound=1.0)
        self.epsilon = real("RMSprop", "epsilon", epsilon, minimum=SMALLEST_EPSILON)
        self.centered = flag("RMSprop", "centered", centered)

    def spec(self) -> Spec:
        return {
            "name": self.name,
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": int(self.centered),
        }


class Adagrad(Optimizer):
    """p := p - rate g / sqrt(v + epsilon), with the sum v of all g^2.

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.001
        Larger rates, up to 1, correspond to the original paper.
    initial_accumulator_value : float, default 0.1
        v before the first step, 0 or more.
    epsilon : float, default 1e-7
        Added under the root, as in Keras; at least 1.18e-38, the smallest normal float32.
    **gradients
        Decay and clipping of gradients, as in `Optimizer`.

    Notes
    -----
    State: v. Gradients whose squares overflow (above 1e19 in float32) raise an error, and the step is not made.

    References
    ----------
    Duchi, Hazan & Singer (2011), Adaptive subgradient methods for online learning and stochastic optimization, JMLR 12,
    2121-2159.

    Examples
    --------
    >>> from nnfast import optimizers
    >>> optimizers.Adagrad(0.1)
    Adagrad(learning_rate=0.1)
    """

    name = "adagrad"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **gradients: Unpack[GradientOptions],
    ) -> None:
        super().__init__(**gradients)
        self.learning_rate = learning_rate
        self.initial_accumulator_value = real(
            "Adagrad", "initial_accumulator_value", initial_accumulator_value, minimum=0.0, upper_bound=_LARGEST_START
        )
        self.epsilon = real("Adagrad", "epsilon", epsilon, minimum=SMALLEST_EPSILON)

    def spec(self) -> Spec:
        return {
            "name": self.name,
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }


class Adadelta(Optimizer):
    """p := p - rate d for d = g sqrt(u + epsilon) / sqrt(v + epsilon), with moving averages u of d^2 and v of g^2.

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.001
        1 in the original paper.
    rho : float, default 0.95
        Decay of u and v, 0 <= rho < 1.
    epsilon : float, default 1e-7
        Added under both roots; at least 1.18e-38, the smallest normal float32. The first moves are about sqrt(epsilon).
    **gradients
        Decay and clipping of gradients, as in `Optimizer`.

    Notes
    -----
    State: v and u, the latter of the steps before. Gradients whose squares overflow (above 1e19 in float32) raise an
    error, and the step is not made.

    References
    ----------
    Zeiler (2012), ADADELTA: an adaptive learning rate method, arXiv:1212.5701.

    Examples
    --------
    >>> from nnfast import optimizers
    >>> optimizers.Adadelta(1.0, epsilon=1e-6)
    Adadelta(learning_rate=1.0, epsilon=1e-06)
    """

    name = "adadelta"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **gradients: Unpack[GradientOptions],
    ) -> None:
        super().__init__(**gradients)
        self.learning_rate = learning_rate
        self.rho = real("Adadelta", "rho", rho, minimum=0.0, upper_bound=1.0)
        self.epsilon = real("Adadelta", "epsilon", epsilon, minimum=SMALLEST_EPSILON)

    def spec(self) -> Spec:
        return {"name": self.name, "rho": self.rho, "epsilon": self.epsilon}
