"""Optimizers with bias-corrected moving averages of gradients."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from nnfast.core.options import real
from nnfast.core.typing import Spec
from nnfast.optimizers.base import GradientOptions, LearningRate, Optimizer

__all__ = ["Adam"]


class Adam(Optimizer):
    """p := p - rate m / (sqrt(v) + epsilon), with bias-corrected moving averages m of g and v of g^2.

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.001
    beta_1, beta_2 : float, default 0.9 and 0.999
        Decay of m and of v, from 0 to less than 1.
    epsilon : float, default 1e-7
        At least 1.18e-38, the smallest normal float32.
    **gradients
        Decay and clipping of gradients, as in `Optimizer`.

    Notes
    -----
    State: m and v. The bias correction counts the steps of each parameter separately, so a parameter that was frozen
    initially starts like a new one. Gradients whose squares overflow (above 1e19 in float32) raise an error, and the
    step is not made.

    References
    ----------
    Kingma & Ba (2014), Adam: a method for stochastic optimization, arXiv:1412.6980, algorithm 1.

    Examples
    --------
    >>> from nnfast import optimizers
    >>> optimizers.Adam(lambda step: 1e-3 / (1 + step / 1000)).rate(1000)
    0.0005
    """

    name = "adam"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **gradients: Unpack[GradientOptions],
    ) -> None:
        super().__init__(**gradients)
        self.learning_rate = learning_rate
        self.beta_1 = real("Adam", "beta_1", beta_1, minimum=0.0, upper_bound=1.0)
        self.beta_2 = real("Adam", "beta_2", beta_2, minimum=0.0, upper_bound=1.0)
        self.epsilon = real("Adam", "epsilon", epsilon, minimum=float(np.finfo(np.float32).tiny))

    def spec(self) -> Spec:
        return {"name": self.name, "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
