"""Constraints: conditions on the weights of layers, which training restores after each update.

Layers take them as ``kernel_constraint=``, ``bias_constraint=`` and so on, user-defined layers in ``add_weight``. They
apply to trained parameters only, from the first step on: neither initial values nor frozen parameters are changed.

>>> import nnfast as nf
>>> from nnfast import constraints, layers
>>> dense = layers.Dense(1, kernel_initializer="ones", kernel_constraint=constraints.MaxNorm(1.0))
>>> net = nf.Network([layers.Input((4,)), dense])
>>> loss = nf.Trainer(net, loss="mse", optimizer=nf.optimizers.SGD(0.0)).train_on_batch([[0.0] * 4], [[0.0]])
>>> net.parameters["dense.kernel"].ravel().round(6)
array([0.5, 0.5, 0.5, 0.5], dtype=float32)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nnfast.core.options import Configured, choose, from_config, integer, module_names, public_classes, real
from nnfast.core.typing import Array, Shape, Spec

__all__ = ["Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "get"]

__getattr__, __dir__ = module_names(__name__, __all__)

_EPSILON = 1e-7
"""Of Keras: added to a norm before dividing by it."""


class Constraint(Configured):
    """Base class of all constraints: called with an array of weights, they return the constrained ones.

    Examples
    --------
    >>> from nnfast import constraints
    >>> constraints.NonNeg()([1.0, -2.0])
    array([1., 0.])
    """

    name: ClassVar[str]

    def __call__(self, weights: Any) -> Array:
        raise NotImplementedError

    def spec(self, where: str, shape: Shape) -> Spec:
        """Description of the constraint of a parameter of that shape for the core."""
        raise NotImplementedError


class NonNeg(Constraint):
    """Weights are 0 or larger: negative ones become 0.

    Examples
    --------
    >>> from nnfast import constraints
    >>> constraints.NonNeg()([[0.5, -0.5]])
    array([[0.5, 0. ]])
    """

    name = "non_neg"

    def __call__(self, weights: Any) -> Array:
        return np.asarray(np.maximum(weights, 0))

    def spec(self, where: str, shape: Shape) -> Spec:
        return {"name": "non_neg"}


class _Norm(Constraint):
    """Euclidean norms along some axes become rate * clip(norm, min, max) + (1 - rate) * norm."""

    axis: int | tuple[int, ...]

    def limits(self) -> tuple[float, float, float]:
        """min, max and rate."""
        raise NotImplementedError

    def __call__(self, weights: Any) -> Array:
        w = np.asarray(weights)
        least, most, rate = self.limits()
        norms = np.sqrt(np.sum(np.square(w), axis=self.axis, keepdims=True))
        wanted = rate * np.clip(norms, least, most) + (1 - rate) * norms
        return np.asarray(w * (wanted / (_EPSILON + norms)))

    def spec(self, where: str, shape: Shape) -> Spec:
        axes = self.axis if isinstance(self.axis, tuple) else (self.axis,)
        for axis in axes:
            if not -len(shape) <= axis < len(shape):
                raise ValueError(f"{where}: expected a {type(self).__name__} with an axis of {shape}, got axis={axis}")
        least, most, rate = self.limits()
        return {"name": "norm", "min": least, "max": most, "rate": rate, "axes": list(axes)}


def _axis_of(where: str, axis: Any) -> int | tuple[int, ...]:
    if not isinstance(axis, Sequence):
        return integer(where, "axis", axis, minimum=-(2**31), upper_bound=2**31)
    return tuple(integer(where, "axis", each, minimum=-(2**31), upper_bound=2**31) for each in axis)


class MaxNorm(_Norm):
    """Norms are at most `max_value`: w * clip(norm, 0, max_value) / (1e-7 + norm).

    Parameters
    ----------
    max_value : float, default 2
        0 or larger.
    axis : int or sequence of int, default 0
        Axes along which norms are taken. Of the kernel (D, O) of a dense layer, 0 gives the norms of the weights of
        each unit; of the kernel (KH, KW, C, O) of a convolution, ``(0, 1, 2)`` gives those of the filters.

    Notes
    -----
    The formula is that of Keras, in which the small number shortens weights within the limit as well, by 1e-7 of a norm
    of 1 in each step.

    References
    ----------
    Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting, JMLR 15.

    Examples
    --------
    >>> from nnfast import constraints
    >>> constraints.MaxNorm(5.0)([[3.0, 6.0], [4.0, 8.0]]).round(4)
    array([[3., 3.],
           [4., 4.]])
    """

    name = "max_norm"

    def __init__(self, max_value: float = 2.0, axis: int | Sequence[int] = 0) -> None:
        self.max_value = real("MaxNorm", "max_value", max_value, minimum=0.0)
        self.axis = _axis_of("MaxNorm", axis)

    def limits(self) -> tuple[float, float, float]:
        return 0.0, self.max_value, 1.0


class UnitNorm(_Norm):
    """Norms are 1: w / (1e-7 + norm).

    Parameters
    ----------
    axis : int or sequence of int, default 0
        See `MaxNorm`.

    Examples
    --------
    >>> from nnfast import constraints
    >>> constraints.UnitNorm()([[3.0], [4.0]]).round(4)
    array([[0.6],
           [0.8]])
    """

    name = "unit_norm"

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = _axis_of("UnitNorm", axis)

    def limits(self) -> tuple[float, float, float]:
        return 1.0, 1.0, 1.0


class MinMaxNorm(_Norm):
    """Norms are between two limits: w * (rate * clip(norm, min_value, max_value) + (1 - rate) * norm) / (1e-7 + norm).

    Parameters
    ----------
    min_value, max_value : float, default 0 and 1
        0 <= min_value <= max_value.
    rate : float, default 1
        How far a norm is moved toward the limits in each step, from 0 to 1: 1 enforces them.
    axis : int or sequence of int, default 0
        See `MaxNorm`.

    Examples
    --------
    >>> from nnfast import constraints
    >>> constraints.MinMaxNorm(1.0, 2.0, rate=0.5)([[0.5, 4.0]]).round(4)
    array([[0.75, 3.  ]])
    """

    name = "min_max_norm"

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int | Sequence[int] = 0
    ) -> None:
        self.min_value = real("MinMaxNorm", "min_value", min_value, minimum=0.0)
        self.max_value = real("MinMaxNorm", "max_value", max_value, minimum=self.min_value)
        self.rate = real("MinMaxNorm", "rate", rate, minimum=0.0)
        if self.rate > 1:
            raise ValueError(f"MinMaxNorm: expected 0 <= rate <= 1, got {self.rate:g}")
        self.axis = _axis_of("MinMaxNorm", axis)

    def limits(self) -> tuple[float, float, float]:
        return self.min_value, self.max_value, self.rate


CLASSES = public_classes(Constraint)
_NAMES = {c.name: c for c in CLASSES.values()}
_ALIASES = {"non_negative": "non_neg"}

# Keras's short names.
max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm


def get(constraint: Any) -> Constraint | None:
    """Look up or construct a constraint.

    Parameters
    ----------
    constraint : Constraint, str, dict or None
        Case and underscores in names are ignored: "max_norm", "non_neg", "unit_norm", "min_max_norm", with default
        options. A dict is a saved constraint.

    Examples
    --------
    >>> from nnfast import constraints
    >>> constraints.get("max_norm"), constraints.get("NonNeg")
    (MaxNorm(), NonNeg())
    """
    if constraint is None:
        return None
    if isinstance(constraint, Constraint):
        if type(constraint) not in CLASSES.values():
            raise TypeError(
                f"constraint: expected one of {', '.join(CLASSES)}, got {constraint!r}; for another one, write to the "
                "network's parameters in on_batch_end of a callback"
            )
        return constraint
    if isinstance(constraint, type) and issubclass(constraint, Constraint):
        raise TypeError(f"constraint: expected a constraint, got a class; write {constraint.__name__}()")
    if isinstance(constraint, Mapping):
        return from_config("constraint", constraint, CLASSES)
    if isinstance(constraint, str):
        return _NAMES[choose("constraint", constraint, _NAMES, _ALIASES)]()
    raise TypeError(
        f"constraint: expected a name or a Constraint, got {constraint!r}; for other conditions, write to the "
        "network's parameters in on_batch_end of a callback"
    )
