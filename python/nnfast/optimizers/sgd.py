"""Gradient descent, optionally with momentum."""

from __future__ import annotations

from typing import Unpack

from nnfast.core.options import flag, real
from nnfast.core.typing import Spec
from nnfast.optimizers.base import GradientOptions, LearningRate, Optimizer

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent: v := momentum v - rate g, p := p + v.

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.01
    momentum : float, default 0
        0 <= momentum < 1.
    nesterov : bool, default False
        Nesterov's form, p := p + momentum v - rate g; requires a momentum above 0.
    **gradients
        Decay and clipping of gradients, as in `Optimizer`.

    Notes
    -----
    State: v with momentum, nothing without.

    References
    ----------
    Sutskever et al. (2013), On the importance of initialization and momentum in deep learning, ICML.

    Examples
    --------
    >>> from nnfast import optimizers
    >>> optimizers.SGD(0.1, momentum=0.9, nesterov=True)
    SGD(learning_rate=0.1, momentum=0.9, nesterov=True)
    """

    name = "sgd"

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **gradients: Unpack[GradientOptions],
    ) -> None:
        super().__init__(**gradients)
        self.learning_rate = learning_rate
        self.momentum = real("SGD", "momentum", momentum, minimum=0.0, upper_bound=1.0)
        self.nesterov = flag("SGD", "nesterov", nesterov)
        if self.nesterov and not self.momentum:
            raise ValueError("SGD: expected a momentum above 0 with nesterov=True, got 0; pass momentum=0.9")

    def spec(self) -> Spec:
        return {"name": self.name, "momentum": self.momentum, "nesterov": int(self.nesterov)}
