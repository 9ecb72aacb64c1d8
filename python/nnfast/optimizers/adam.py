"""Adam, and optimizers that differ from it in one place."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from nnfast.core.options import flag, real
from nnfast.core.typing import Spec
from nnfast.optimizers.base import SMALLEST_EPSILON, GradientOptions, LearningRate, Optimizer

__all__ = ["Adam", "AdamW", "Adamax", "Nadam"]


class MomentEstimates(Optimizer):
    """Base class of optimizers with a moving average of gradients and a measure of their size."""

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **gradients: Unpack[GradientOptions],
    ) -> None:
        super().__init__(**gradients)
        name = type(self).__name__
        self.learning_rate = learning_rate
        self.beta_1 = real(name, "beta_1", beta_1, minimum=0.0, upper_bound=1.0)
        self.beta_2 = real(name, "beta_2", beta_2, minimum=0.0, upper_bound=1.0)
        self.epsilon = real(name, "epsilon", epsilon, minimum=SMALLEST_EPSILON)

    def spec(self) -> Spec:
        return {"name": self.name, "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


class Adam(MomentEstimates):
    """p := p - rate m / (sqrt(v) + epsilon), with bias-corrected moving averages m of g and v of g^2.

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.001
    beta_1, beta_2 : float, default 0.9 and 0.999
        Decay of m and of v, from 0 to less than 1.
    epsilon : float, default 1e-7
        At least 1.18e-38, the smallest normal float32.
    amsgrad : bool, default False
        Divide by the root of the largest v so far.
    **gradients
        Decay and clipping of gradients, as in `Optimizer`.

    Notes
    -----
    State: m and v, and with `amsgrad` the largest v. The bias correction counts the steps of each parameter separately,
    so a parameter that was frozen initially starts like a new one. Gradients whose squares overflow (above 1e19 in
    float32) raise an error, and the step is not made.

    References
    ----------
    Kingma & Ba (2014), Adam: a method for stochastic optimization, arXiv:1412.6980, algorithm 1. Reddi, Kale &
    Kumar (2018), On the convergence of Adam and beyond, arXiv:1904.09237, for `amsgrad`.

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
        amsgrad: bool = False,
        **gradients: Unpack[GradientOptions],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **gradients)
        self.amsgrad = flag(type(self).__name__, "amsgrad", amsgrad)

    def spec(self) -> Spec:
        return {**super().spec(), "name": "adam", "amsgrad": int(self.amsgrad)}


class AdamW(Adam):
    """Adam with decoupled weight decay: p := p - rate weight_decay p, then the update of `Adam`.

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.001
    weight_decay : float, default 0.004
        0 or more; see `Optimizer`, also for `weight_decay_exclude`.
    beta_1, beta_2 : float, default 0.9 and 0.999
        As in `Adam`.
    epsilon : float, default 1e-7
        As in `Adam`.
    amsgrad : bool, default False
        As in `Adam`.
    **gradients
        Other options of `Optimizer`.

    References
    ----------
    Loshchilov & Hutter (2019), Decoupled weight decay regularization, arXiv:1711.05101, algorithm 2.

    Examples
    --------
    >>> from nnfast import optimizers
    >>> optimizers.AdamW(), optimizers.AdamW(weight_decay=0.01)
    (AdamW(), AdamW(weight_decay=0.01))
    """

    name = "adamw"
    shared_arguments: ClassVar[dict[str, Any]] = Adam.shared_arguments | {"weight_decay": 0.004}

    # Keras's order of arguments; the option of all optimizers has another default here.
    def __init__(  # type: ignore[misc]
        self,
        learning_rate: LearningRate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **gradients: Unpack[GradientOptions],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **gradients)


class Nadam(MomentEstimates):
    """Adam with Nesterov's look-ahead: the next step's momentum is applied in this one.

    p := p - rate (mu' m / (1 - P mu') + (1 - mu) g / (1 - P)) / (sqrt(v) + epsilon), with the moving averages m and v
    of `Adam`, v bias-corrected. In step t, mu = beta_1 (1 - 0.96^(t momentum_decay) / 2), mu' is that of step t + 1,
    and P is the product of mu over all steps up to t.

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.001
    beta_1, beta_2 : float, default 0.9 and 0.999
        Decay of m and of v, from 0 to less than 1.
    epsilon : float, default 1e-7
        At least 1.18e-38, the smallest normal float32.
    momentum_decay : float, default 1
        Speed at which mu grows from about beta_1 / 2 to beta_1, 0 or more. Keras's Nadam has 1, PyTorch's 0.004.
    **gradients
        Decay and clipping of gradients, as in `Optimizer`.

    Notes
    -----
    State: m and v. Steps of each parameter are counted separately, as in `Adam`.

    References
    ----------
    Dozat (2016), Incorporating Nesterov momentum into Adam, ICLR workshop.

    Examples
    --------
    >>> from nnfast import optimizers
    >>> optimizers.Nadam(0.002)
    Nadam(learning_rate=0.002)
    """

    name = "nadam"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        momentum_decay: float = 1.0,
        **gradients: Unpack[GradientOptions],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **gradients)
        self.momentum_decay = real("Nadam", "momentum_decay", momentum_decay, minimum=0.0)

    def spec(self) -> Spec:
        return {**super().spec(), "momentum_decay": self.momentum_decay}


class Adamax(MomentEstimates):
    """p := p - rate m / (u + epsilon), with a bias-corrected moving average m of g and u := max(beta_2 u, abs(g)).

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default 0.001
    beta_1, beta_2 : float, default 0.9 and 0.999
        Decay of m and of u, from 0 to less than 1.
    epsilon : float, default 1e-7
        At least 1.18e-38, the smallest normal float32.
    **gradients
        Decay and clipping of gradients, as in `Optimizer`.

    Notes
    -----
    State: m and u. Steps of each parameter are counted separately, as in `Adam`. As gradients are not squared, only
    gradients near the largest number overflow.

    References
    ----------
    Kingma & Ba (2014), Adam: a method for stochastic optimization, arXiv:1412.6980, algorithm 2.

    Examples
    --------
    >>> from nnfast import optimizers
    >>> optimizers.Adamax(beta_2=0.99)
    Adamax(beta_2=0.99)
    """

    name = "adamax"
