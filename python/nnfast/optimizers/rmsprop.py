"""Optimizers that divide gradients by a running measure of their size."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from nnfast.core.options import flag, real
from nnfast.core.typing import Spec
from nnfast.optimizers.base import GradientOptions, LearningRate, Optimizer

__all__ = ["RMSprop"]


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
        self.epsilon = real("RMSprop", "epsilon", epsilon, minimum=float(np.finfo(np.float32).tiny))
        self.centered = flag("RMSprop", "centered", centered)

    def spec(self) -> Spec:
        return {
            "name": self.name,
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": int(self.centered),
        }
