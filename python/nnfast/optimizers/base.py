"""What all optimizers share: learning rates, and options that change gradients before the update."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any, ClassVar, TypedDict

import numpy as np
from numpy.typing import NDArray

from nnfast.core.options import Configured, choose, flag, integer, real
from nnfast.core.text import short_repr
from nnfast.core.typing import Spec

__all__ = ["SMALLEST_EPSILON", "GradientOptions", "LearningRate", "Optimizer"]

LearningRate = float | Callable[[int], float]
SMALLEST_EPSILON = float(np.finfo(np.float32).tiny)
"""Where a smaller number is added to a divisor, a gradient of 0 is divided by 0 in float32."""


_EXCLUDED = ("bias", "gamma", "beta")


class GradientOptions(TypedDict, total=False):
    """Keyword arguments of all optimizers; see `Optimizer`."""

    clipvalue: float | None
    clipnorm: float | None
    global_clipnorm: float | None
    l2: float
    l2_exclude: Sequence[str]
    weight_decay: float | None
    weight_decay_exclude: Sequence[str]
    learning_rate_multipliers: Mapping[str, float] | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    gradient_accumulation_steps: int | None


class Optimizer(Configured):
    """Base class of all optimizers, with options that concern gradients and parameters, in the order of a step.

    Parameters
    ----------
    gradient_accumulation_steps : int, optional
        Make one update for this many batches, with the mean of their gradients. Other batches change batch statistics
        only. Schedules count updates; `Trainer.iteration` counts batches. (To divide one batch, which needs less
        memory, there is ``Trainer(micro_batch_size=)``.)
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
    weight_decay : float, default 0
        Decoupled weight decay: p := p - rate weight_decay p before the update by the gradient, which adaptive rules do
        not scale.
    weight_decay_exclude : sequence of str, default ("bias", "gamma", "beta")
        Parameters without it, named as in `l2_exclude`.
    learning_rate_multipliers : dict of str to float, optional
        Factors of the learning rate, and so of decoupled decay too, by full names of parameters, names of layers or
        last parts of names: ``{"dense": 0.1, "dense_1.kernel": 2.0, "bias": 0.5}``. Of several that fit, the most
        specific one counts, in this order. With 0, a parameter stays as it is, but `Network.freeze` saves its gradient.
    use_ema : bool, default False
        Keep an exponential moving average of each trained parameter: average := ema_momentum average + (1 -
        ema_momentum) p after each update; the first update sets it to p. See `Trainer.averaged_weights`.
    ema_momentum : float, default 0.99
        0 <= ema_momentum < 1.
    ema_overwrite_frequency : int, optional
        Replace the parameters by their averages after every so many updates.

    Notes
    -----
    A step: gradients of the loss, with its regularizers, added up over micro-batches and shards; check that they are
    finite; accumulation over batches; `Trainer.gradient_callback`; l2; clipping; decoupled decay; the optimizer's
    update; constraints of layers; moving average. Frozen parameters take part in none of it.

    References
    ----------
    Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks, arXiv:1211.5063.
    Loshchilov & Hutter (2019), Decoupled weight decay regularization, arXiv:1711.05101. Polyak & Juditsky (1992),
    Acceleration of stochastic approximation by averaging, DOI 10.1137/0330046.

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
    needs_all_rows: ClassVar[bool] = False
    """Whether each step has to see the same rows."""
    learning_rate: LearningRate
    shared_arguments: ClassVar[dict[str, Any]] = {
        "clipvalue": None,
        "clipnorm": None,
        "global_clipnorm": None,
        "l2": 0.0,
        "l2_exclude": _EXCLUDED,
        "weight_decay": 0.0,
        "weight_decay_exclude": _EXCLUDED,
        "learning_rate_multipliers": None,
        "use_ema": False,
        "ema_momentum": 0.99,
        "ema_overwrite_frequency": None,
        "gradient_accumulation_steps": None,
    }

    def __init__(
        self,
        *,
        clipvalue: float | None = None,
        clipnorm: float | None = None,
        global_clipnorm: float | None = None,
        l2: float = 0.0,
        l2_exclude: Sequence[str] = _EXCLUDED,
        weight_decay: float | None = 0.0,
        weight_decay_exclude: Sequence[str] = _EXCLUDED,
        learning_rate_multipliers: Mapping[str, float] | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        gradient_accumulation_steps: int | None = None,
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
        self.l2_exclude = _names(name, "l2_exclude", l2_exclude)
        self.weight_decay = 0.0 if weight_decay is None else real(name, "weight_decay", weight_decay, minimum=0.0)
        self.weight_decay_exclude = _names(name, "weight_decay_exclude", weight_decay_exclude)
        self.learning_rate_multipliers = _multipliers(name, learning_rate_multipliers)
        self.use_ema = flag(name, "use_ema", use_ema)
        self.ema_momentum = real(name, "ema_momentum", ema_momentum, minimum=0.0, upper_bound=1.0)
        self.ema_overwrite_frequency = _count(name, "ema_overwrite_frequency", ema_overwrite_frequency)
        if ema_overwrite_frequency is not None and not self.use_ema:
            raise ValueError(f"{name}: expected use_ema=True with ema_overwrite_frequency, got False")
        self.gradient_accumulation_steps = _count(name, "gradient_accumulation_steps", gradient_accumulation_steps)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "learning_rate":
            if isinstance(value, type) or _makes_schedules(value):
                kind = "class" if isinstance(value, type) else "function that makes one"
                raise TypeError(
                    f"{type(self).__name__}: expected a learning rate, got a {kind}; write {value.__name__}(...)"
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
        decaying = self._not_excluded("l2_exclude", trainable, parameters) if l2 else []
        decay = {"l2": l2, "decaying": decaying} if decaying else {}
        return {"name": "gradients", **limits, **decay} if limits or decay else None

    def update_spec(self, trainable: Sequence[str], parameters: Iterable[str]) -> dict[str, Any]:
        """Options of the update for the core, as far as they are used."""
        spec: dict[str, Any] = {"batches": getattr(self, "gradient_accumulation_steps", None) or 1}
        decay = getattr(self, "weight_decay", 0.0)
        if decay:
            decaying = self._not_excluded("weight_decay_exclude", trainable, parameters)
            spec["weight_decays"] = dict.fromkeys(decaying, decay)
        multipliers = getattr(self, "learning_rate_multipliers", None)
        if multipliers:
            known = {part for name in parameters for part in _parts_of(name)}
            for name in multipliers:
                choose("name in learning_rate_multipliers", name, known)
            fitting = {name: [part for part in _parts_of(name) if part in multipliers] for name in trainable}
            spec["learning_rates"] = {name: multipliers[parts[0]] for name, parts in fitting.items() if parts}
        if getattr(self, "use_ema", False):
            frequency = self.ema_overwrite_frequency or 0
            spec["average"] = {"name": "average", "momentum": self.ema_momentum, "overwrite_frequency": frequency}
        return spec

    def _not_excluded(self, option: str, trainable: Sequence[str], parameters: Iterable[str]) -> list[str]:
        """The trained parameters that an option such as `l2_exclude` leaves."""
        known = {part for name in parameters for part in _parts_of(name)}
        excluded = getattr(self, option)
        for name in excluded:
            choose(f"name in {option}", name, known | set(_EXCLUDED))
        return [name for name in trainable if not set(_parts_of(name)) & set(excluded)]

    def rate(self, step: int) -> float:
        """Learning rate of a step.

        Parameters
        ----------
        step : int
            Number of batches before this one.
        """
        rate = self.learning_rate
        step //= getattr(self, "gradient_accumulation_steps", None) or 1
        return real("learning_rate", f"rate at step {step}", rate(step), minimum=0.0) if callable(rate) else rate

    def rates(self, step: int, count: int) -> NDArray[np.float64]:
        """Learning rates of consecutive steps.

        Parameters
        ----------
        step : int
            Number of batches before the first one.
        count : int
            Number of rates.

        Returns
        -------
        ndarray of float64, of shape (count,)
        """
        if not callable(self.learning_rate):
            return np.full(count, self.learning_rate)
        return np.array([self.rate(step + i) for i in range(count)])


def _makes_schedules(value: Any) -> bool:
    """Whether it is one of the functions with Keras's names in `nnfast.schedules`."""
    return isinstance(value, FunctionType) and value.__module__.startswith("nnfast.schedules.")


def _parts_of(name: str) -> list[str]:
    """What a parameter may be called in options, the most specific name first: its own, its layer's, the last part.

    Of "base/block.dense.kernel" also "base/block.dense", "base/block", "base" and "kernel".
    """
    places = [name[:i] for i in range(len(name) - 1, 0, -1) if name[i] in "./"]
    return [name, *places, name.rpartition(".")[2]]


def _names(where: str, option: str, names: Any) -> tuple[str, ...]:
    if not isinstance(names, list | tuple | set | frozenset) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{where}: expected a list of names as {option}, got {short_repr(names)}")
    return tuple(names)


def _multipliers(where: str, given: Any) -> dict[str, float] | None:
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise TypeError(
            f"{where}: expected a dict of factors by name as learning_rate_multipliers, got {short_repr(given)}"
        )
    option = "learning_rate_multipliers"
    # Sorted like the JSON of checkpoints, so that both print alike.
    return {name: real(where, f"{option}[{name!r}]", given[name], minimum=0.0) for name in sorted(given)}


def _count(where: str, option: str, value: Any) -> int | None:
    return None if value is None else integer(where, option, value)
