"""Optimisers: how a step changes the parameters. The update is one pass over all of them, inside the core.

The learning rate is a number, a schedule of `nnfast.schedules`, or any function of the step (0, 1, 2, ...); it may be
set at any time, the other options are fixed once an optimiser is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

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


class Optimizer(Configured):
    """Base of all optimisers.

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
        """The core's description of this optimiser."""
        raise NotImplementedError

    def rate(self, step: int) -> float:
        """The learning rate of a step.

        Parameters
        ----------
        step : int
            Number of steps before it.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If a schedule or function gives a rate that is negative or not finite.
        TypeError
            If it gives no real number. What it raises itself is passed on.
        """
        rate = self.learning_rate
        return real("learning_rate", f"rate at step {step}", rate(step), minimum=0.0) if callable(rate) else rate

    def rates(self, step: int, count: int) -> NDArray[np.float64]:
        """The learning rates of consecutive steps; errors are those of `rate`.

        Parameters
        ----------
        step : int
            Number of steps before the first.
        count : int
            Number of rates.

        Returns
        -------
        ndarray of float64, of shape (count,)
        """
        if not callable(self.learning_rate):
            return np.full(count, self.learning_rate)
        return np.array([self.rate(step + i) for i in range(count)])


class SGD(Optimizer):
    """v := momentum v - rate g, then p := p + v; with Nesterov's form p := p + momentum v - rate g.

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default .01
        At least 0.
    momentum : float, default 0
        0 <= momentum < 1.
    nesterov : bool, default False
        Needs a momentum above 0.

    Raises
    ------
    ValueError
        If a number is out of range, or `nesterov` comes without momentum.
    TypeError
        If a number is none, or `learning_rate` is a class.
    AttributeError
        If an option other than `learning_rate` is set later.

    Notes
    -----
    One number of state per parameter with momentum, none without.

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

    def __init__(self, learning_rate: LearningRate = 0.01, momentum: float = 0.0, nesterov: bool = False) -> None:
        self.learning_rate = learning_rate
        self.momentum = real("SGD", "momentum", momentum, minimum=0.0, upper_bound=1.0)
        self.nesterov = flag("SGD", "nesterov", nesterov)
        if self.nesterov and not self.momentum:
            raise ValueError("SGD: expected a momentum above 0 with nesterov=True, got 0; pass momentum=0.9")

    def spec(self) -> Spec:
        return {"name": self.name, "momentum": self.momentum, "nesterov": int(self.nesterov)}


class Adam(Optimizer):
    """p := p - rate m / (sqrt(v) + epsilon) with bias-corrected running means m of g and v of g^2.

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default .001
        At least 0.
    beta_1 : float, default .9
        Decay of m; 0 <= beta_1 < 1.
    beta_2 : float, default .999
        Decay of v; 0 <= beta_2 < 1.
    epsilon : float, default 1e-7
        At least 1.18e-38, the smallest normal float32.

    Raises
    ------
    ValueError
        If a number is out of range.
    TypeError
        If a number is none, or `learning_rate` is a class.
    AttributeError
        If an option other than `learning_rate` is set later.

    Notes
    -----
    Two numbers of state, m and v, per parameter. The correction counts the steps of each parameter itself: one that was
    frozen at first starts as a new one does. Squares of gradients that overflow (above 1e19 in float32) void the step
    with an error.

    References
    ----------
    Kingma and Ba (2014), Adam: a method for stochastic optimization, arXiv:1412.6980, algorithm 1.

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
    ) -> None:
        self.learning_rate = learning_rate
        self.beta_1 = real("Adam", "beta_1", beta_1, minimum=0.0, upper_bound=1.0)
        self.beta_2 = real("Adam", "beta_2", beta_2, minimum=0.0, upper_bound=1.0)
        self.epsilon = real("Adam", "epsilon", epsilon, minimum=float(np.finfo(np.float32).tiny))

    def spec(self) -> Spec:
        return {"name": self.name, "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


class RMSprop(Optimizer):
    """p := p - rate g / sqrt(v + epsilon) with a running mean v of g^2.

    Parameters
    ----------
    learning_rate : float, Schedule or callable, default .001
        At least 0.
    rho : float, default .9
        Decay of v; 0 <= rho < 1.
    momentum : float, default 0
        0 <= momentum < 1. Above 0, p moves by a velocity instead, which is momentum times the one before minus
        rate g / sqrt(v + epsilon).
    epsilon : float, default 1e-7
        Added under the root, as in Keras; at least 1.18e-38, the smallest normal float32.
    centered : bool, default False
        Divide by the root of the variance, v - m^2 + epsilon, with a running mean m of g. A variance that rounding
        takes below 0 counts as 0.

    Raises
    ------
    ValueError
        If a number is out of range.
    TypeError
        If a number is none, or `learning_rate` is a class.
    AttributeError
        If an option other than `learning_rate` is set later.

    Notes
    -----
    One number of state, v, per parameter; with `centered` also m, and with momentum also the velocity. Nothing corrects
    for the zeros that they start from, so that the first step is as long as rate / sqrt(1 - rho). Squares of gradients
    that overflow (above 1e19 in float32) void the step with an error.

    References
    ----------
    Tieleman and Hinton (2012), Lecture 6.5 - RMSprop, COURSERA: Neural networks for machine learning. Graves (2013),
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
    ) -> None:
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
    """The optimiser that a name stands for, with its default options.

    Parameters
    ----------
    optimizer : Optimizer or str
        Case does not count in a name.

    Returns
    -------
    Optimizer

    Raises
    ------
    ValueError
        For an unknown name; the text gives the nearest valid one.
    TypeError
        For a class, or for anything else.

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
    """An optimiser as a checkpoint keeps it; a function as learning rate by its name alone."""
    description = description_of(optimizer)
    config = description["config"]
    if callable(config["learning_rate"]):
        config["learning_rate"] = {"function": function_name(config["learning_rate"])}
    return description


def from_description(description: Any, custom_objects: Mapping[str, Any]) -> Optimizer:
    """The optimiser that `describe` wrote; functions, own schedules and own classes are found in `custom_objects`."""
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
