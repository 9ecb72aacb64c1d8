"""What all optimizers share: learning rates, and options that change gradients before the update."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, TypedDict

import numpy as np
from numpy.typing import NDArray

from nnfast.core.options import Configured, choose, real
from nnfast.core.typing import Spec

__all__ = ["GradientOptions", "LearningRate", "Optimizer"]

LearningRate = float | Callable[[int], float]


class GradientOptions(TypedDict, total=False):
    """Keyword arguments of all optimizers; see `Optimizer`."""

    clipvalue: float | None
    clipnorm: float | None
    global_clipnorm: float | None
    l2: float
    l2_exclude: Sequence[str]


class Optimizer(Configured):
    """Base class of all optimizers, with options that change gradients before the update, in this order.

    Parameters
    ----------
    l2 : float, default 0
        Coupled weight decay: l2 p is added to the gradient of p. This is the gradient of l2/2 p^2, which the reported
        loss does not contain.
    l2_exclude : sequence of str, default ("bias", "gamma", "beta")
        Parameters without decay: full names, names of layers, or last parts of names.
    clipvalue : float, optional
        Clip each element to [-clipvalue, clipvalue].
    clipnorm : float, optional
        Scale the gradient of each parameter down to this Euclidean norm if its norm is larger.
    global_clipnorm : float, optional
        Likewise for the norm of all gradients together.

    References
    ----------
    Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks, arXiv:1211.5063.

    Examples
    --------
    >>> from nnfast import optimizers
    >>> sgd = optimizers.SGD(0.5)
    >>> sgd.learning_rate = 0.25
    >>> sgd
    SGD(learning_rate=0.25)
    >>> sgd.learning_rate = lambda step: 1 / (step + 1)
    >>> sgd.rate(3), sgd.rates(0, 2).tolist()
    (0.25, [1.0, 0.5])
    """

    name: ClassVar[str]
    learning_rate: LearningRate
    shared_arguments: ClassVar[dict[str, Any]] = {
        "clipvalue": None,
        "clipnorm": None,
        "global_clipnorm": None,
        "l2": 0.0,
        "l2_exclude": ("bias", "gamma", "beta"),
    }

    def __init__(
        self,
        *,
        clipvalue: float | None = None,
        clipnorm: float | None = None,
        global_clipnorm: float | None = None,
        l2: float = 0.0,
        l2_exclude: Sequence[str] = ("bias", "gamma", "beta"),
    ) -> None:
        name = type(self).__name__
        limits = {"clipvalue": clipvalue, "clipnorm": clipnorm, "global_clipnorm": global_clipnorm}
        given = [limit for limit, value in limits.items() if value is not None]
        if len(given) > 1:
            raise ValueError(f"{name}: expected at most one of {', '.join(limits)}, got {' and '.join(given)}")
        for limit, value in limits.items():
            checked = None if value is None else real(name, limit, value, minimum=0.0)
            if checked == 0:
                raise ValueError(f"{name}: expected {limit} > 0, got 0; leave it out, or freeze the parameters")
            setattr(self, limit, checked)
        self.l2 = real(name, "l2", l2, minimum=0.0)
        if isinstance(l2_exclude, str) or not all(isinstance(part, str) for part in l2_exclude):
            raise TypeError(f"{name}: expected a list of names as l2_exclude, got {l2_exclude!r}")
        self.l2_exclude = tuple(l2_exclude)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "learning_rate":
            if isinstance(value, type):
                raise TypeError(
                    f"{type(self).__name__}: expected a learning rate, got a class; write {value.__name__}(...)"
                )
            value = value if callable(value) else real(type(self).__name__, "learning_rate", value, minimum=0.0)
        elif hasattr(self, name):
            raise AttributeError(f"{type(self).__name__}: {name} is fixed; make a new optimizer and a new Trainer")
        super().__setattr__(name, value)

    def spec(self) -> Spec:
        """Description of the optimizer for the core."""
        raise NotImplementedError

    def gradient_spec(self, trainable: Sequence[str], parameters: Iterable[str]) -> Spec | None:
        """Description of the gradient options for the core; None if there are none."""
        limits = {
            key: value for key in ("clipvalue", "clipnorm", "global_clipnorm") if (value := getattr(self, key, None))
        }
        l2 = getattr(self, "l2", 0.0)
        if l2:
            known = {part for name in parameters for part in _parts_of(name)}
            for name in self.l2_exclude:
                choose("name in l2_exclude", name, known | set(self.shared_arguments["l2_exclude"]))
        decaying = [name for name in trainable if not _parts_of(name) & set(self.l2_exclude)] if l2 else []
        decay = {"l2": l2, "decaying": decaying} if decaying else {}
        return {"name": "gradients", **limits, **decay} if limits or decay else None

    def rate(self, step: int) -> float:
        """Learning rate of a step.

        Parameters
        ----------
        step : int
            Number of steps before this one.
        """
        rate = self.learning_rate
        return real("learning_rate", f"rate at step {step}", rate(step), minimum=0.0) if callable(rate) else rate

    def rates(self, step: int, count: int) -> NDArray[np.float64]:
        """Learning rates of consecutive steps.

        Parameters
        ----------
        step : int
            Number of steps before the first one.
        count : int
            Number of rates.

        Returns
        -------
        ndarray of float64, of shape (count,)
        """
        if not callable(self.learning_rate):
            return np.full(count, self.learning_rate)
        return np.array([self.rate(step + i) for i in range(count)])


def _parts_of(name: str) -> set[str]:
    """What a parameter may be called in `l2_exclude`: its full name, its layer and its own name."""
    layer, _, own = name.rpartition(".")
    return {name, layer, own}
