"""Lion, which moves every parameter by the learning rate."""

from __future__ import annotations

from typing import Unpack

from nnfast.core.options import real
from nnfast.core.typing import Spec
from nnfast.optimizers.base import GradientOptions, LearningRate, Optimizer

__all__ = ["Lion"]


class Lion(Optimizer):
    """p := p - rate sign(beta_1 m + (1 - beta_1) g), m := beta_2 m + (1 - beta_2) g.

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.001
        Typically 3 to 10 times smaller than for `Adam`.
    beta_1, beta_2 : float, default 0.9 and 0.99
        Decay of the direction and of m, from 0 to less than 1.
    **gradients
        Decay and clipping of gradients, as in `Optimizer`.

    Notes
    -----
    State: m, half of Adam's. The sign of 0 is 0.

    References
    ----------
    Chen et al. (2023), Symbolic discovery of optimization algorithms, arXiv:2302.06675.

    Examples
    --------
    >>> from nnfast import optimizers
    >>> optimizers.Lion(1e-4, beta_2=0.98)
    Lion(learning_rate=0.0001, beta_2=0.98)
    """

    name = "lion"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **gradients: Unpack[GradientOptions],
    ) -> None:
        super().__init__(**gradients)
        self.learning_rate = learning_rate
        self.beta_1 = real("Lion", "beta_1", beta_1, minimum=0.0, upper_bound=1.0)
        self.beta_2 = real("Lion", "beta_2", beta_2, minimum=0.0, upper_bound=1.0)

    def spec(self) -> Spec:
        return {"name": self.name, "beta_1": self.beta_1, "beta_2": self.beta_2}
