"""Muon, which treats kernels as matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from nnfast.core.options import flag, integer, real
from nnfast.core.text import short_repr
from nnfast.core.typing import Spec
from nnfast.optimizers.base import SMALLEST_EPSILON, GradientOptions, LearningRate, Optimizer

__all__ = ["Muon"]

_MOST_ITERATIONS = 100


class Muon(Optimizer):
    """Momentum, orthogonalized: P := P - rate rms_rate sqrt(max(rows, columns)) orthogonal(M) for matrices P.

    M := momentum M + (1 - momentum) G, and with Nesterov's look-ahead momentum M + (1 - momentum) G in place of M.
    orthogonal(M) has the singular vectors of M, with singular values of about 1, from 0.7 to 1.2: it is computed by
    Newton-Schulz iterations X := 3.4445 X - 4.775 S X + 2.0315 S^2 X for S = X X^T, from X = M / (norm(M) + 1e-7).
    Other parameters are updated by `Adam`.

    Matrices are the kernels of dense layers, those of convolutions as (KH KW C, O), and other parameters of two axes,
    with at least two rows and columns. Embeddings are no matrices, nor are kernels of depthwise convolutions with
    a multiplier of 1, which have one column.

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.001
    adam_beta_1, adam_beta_2 : float, default 0.9 and 0.999
        As in `Adam`.
    epsilon : float, default 1e-7
        As in `Adam`.
    adam_lr_ratio : float, default 1
        Learning rate of Adam, relative to that of matrices.
    momentum : float, default 0.95
        0 <= momentum < 1.
    ns_steps : int, default 5
        Number of iterations, from 1 to 100.
    nesterov : bool, default True
        Nesterov's look-ahead.
    rms_rate : float, default 0.2
        Root mean square of the elements of a move, relative to the rate, of a square matrix: 0.2 resembles Adam's, so
        that its learning rates and weight decays may be used.
    exclude : sequence of str, optional
        Matrices to be updated by Adam: full names, names of layers, or last parts of names. The last layer often is.
    **gradients
        Decay and clipping of gradients, as in `Optimizer`.

    Notes
    -----
    State: m, the momentum or Adam's m, and v, which is 0 for matrices.

    References
    ----------
    Jordan et al. (2024), Muon: an optimizer for hidden layers in neural networks, https://kellerjordan.github.io/posts/muon.
    Liu et al. (2025), Muon is scalable for LLM training, arXiv:2502.16982, for `rms_rate`.

    Examples
    --------
    >>> from nnfast import optimizers
    >>> optimizers.Muon(0.01, exclude=("dense_2",))
    Muon(learning_rate=0.01, exclude=('dense_2',))
    """

    name = "muon"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        epsilon: float = 1e-7,
        adam_lr_ratio: float = 1.0,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float = 0.2,
        exclude: Sequence[str] = (),
        **gradients: Unpack[GradientOptions],
    ) -> None:
        super().__init__(**gradients)
        self.learning_rate = learning_rate
        self.adam_beta_1 = real("Muon", "adam_beta_1", adam_beta_1, minimum=0.0, upper_bound=1.0)
        self.adam_beta_2 = real("Muon", "adam_beta_2", adam_beta_2, minimum=0.0, upper_bound=1.0)
        self.epsilon = real("Muon", "epsilon", epsilon, minimum=SMALLEST_EPSILON)
        self.adam_lr_ratio = _positive("adam_lr_ratio", adam_lr_ratio)
        self.momentum = real("Muon", "momentum", momentum, minimum=0.0, upper_bound=1.0)
        self.ns_steps = integer("Muon", "ns_steps", ns_steps, minimum=1, upper_bound=_MOST_ITERATIONS + 1)
        self.nesterov = flag("Muon", "nesterov", nesterov)
        self.rms_rate = _positive("rms_rate", rms_rate)
        if not isinstance(exclude, list | tuple) or not all(isinstance(name, str) for name in exclude):
            raise TypeError(f"Muon: expected a list of names as exclude, got {short_repr(exclude)}")
        self.exclude = tuple(exclude)

    def spec(self) -> Spec:
        return {
            "name": self.name,
            "momentum": self.momentum,
            "nesterov": int(self.nesterov),
            "ns_steps": self.ns_steps,
            "rms_rate": self.rms_rate,
            "adam_lr_ratio": self.adam_lr_ratio,
            "adam_beta_1": self.adam_beta_1,
            "adam_beta_2": self.adam_beta_2,
            "epsilon": self.epsilon,
            **({"exclude": list(self.exclude)} if self.exclude else {}),
        }


def _positive(name: str, value: float) -> float:
    number = real("Muon", name, value, minimum=0.0)
    if number == 0:
        raise ValueError(f"Muon: expected {name} > 0, got 0")
    return number
