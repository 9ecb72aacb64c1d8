"""Optimizers: update rules for the parameters. An update is a single pass over all parameters in the core.

All take this parameter, which may be changed at any time; other options are fixed once an optimizer is constructed:

learning_rate : float, Schedule or callable
    A number of 0 or more, a schedule from `nnfast.schedules`, or a function of the step (0, 1, 2, ...).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from nnfast import schedules
from nnfast.core.options import (
    Configured,
    choose,
    custom_classes,
    description_of,
    flag,
    from_config,
    function_name,
    module_names,
    public_classes,
    real,
)
from nnfast.core.typing import Spec

__all__ = ["SGD", "Adam", "Optimizer", "RMSprop", "get"]

__getattr__, __dir__ = module_names(__name__, __all__)

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


CLASSES = public_classes(Optimizer)
_NAMES = {c.name: c for c in CLASSES.values()}


def get(optimizer: Any) -> Optimizer:
    """Look up an optimizer by name, with default options.

    Parameters
    ----------
    optimizer : Optimizer or str
        Case is ignored in names.

    Examples
    --------
    >>> from nnfast import optimizers
    >>> optimizers.get("adam")
    Adam()
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, type):
        raise TypeError(f"optimizer: expected an optimizer, got a class; write {optimizer.__name__}()")
    return _NAMES[choose("optimizer", optimizer, _NAMES, {})]()


def describe(optimizer: Optimizer) -> dict[str, Any]:
    """Description of an optimizer for checkpoints; a learning-rate function is stored by its name only."""
    description = description_of(optimizer)
    config = description["config"]
    if callable(config["learning_rate"]):
        config["learning_rate"] = {"function": function_name(config["learning_rate"])}
    return description


def from_description(description: Any, custom_objects: Mapping[str, Any]) -> Optimizer:
    """Optimizer from the output of `describe`; functions and user-defined classes are looked up in `custom_objects`."""
    config = description.get("config") if isinstance(description, Mapping) else None
    rate = config.get("learning_rate") if isinstance(config, Mapping) else None
    if isinstance(config, Mapping) and isinstance(rate, Mapping):
        found: Any
        if "function" in rate:
            found = custom_objects[choose("learning rate in custom_objects", rate["function"], custom_objects)]
        else:
            found = schedules.from_description(rate, custom_objects)
        description = {**description, "config": {**config, "learning_rate": found}}
    return from_config("optimizer", description, CLASSES | custom_classes(custom_objects, Optimizer))
