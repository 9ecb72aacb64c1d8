"""Regularizers: penalties on the weights of layers, which training adds to the loss.

Layers take them as ``kernel_regularizer=``, ``bias_regularizer=`` and so on, user-defined layers in ``add_weight``. The
sum of the penalties is part of the loss that training and evaluation report, and of the gradient. Frozen parameters
have none.

>>> import nnfast as nf
>>> from nnfast import layers, regularizers
>>> hidden = layers.Dense(1, kernel_initializer="ones", kernel_regularizer=regularizers.L2(0.25))
>>> net = nf.Network([layers.Input((2,)), hidden])
>>> nf.Trainer(net, loss="mse").evaluate([[1.0, 1.0]], [[2.0]])
{'loss': 0.5}

The ``activity_regularizer=`` of a dense or convolutional layer is a penalty on its output. Those of L1, L2 and L1L2 are
averaged over the rows of a batch. (In Keras 3, they are summed, and grow with the batch.) A function gets a tensor with
the batch axis, here to make hidden units rarely active (Ng 2011, Sparse autoencoder, CS294A lecture notes): each should
have a mean of r over the batch.

>>> def sparsity(h, r=0.05):
...     mean = nf.ops.mean(h, axis=0)
...     divergence = r * nf.ops.log(r / mean) + (1 - r) * nf.ops.log((1 - r) / (1 - mean))
...     return 0.1 * nf.ops.sum(divergence)
>>> hidden = layers.Dense(8, "sigmoid", kernel_initializer="zeros", activity_regularizer=sparsity)
>>> net = nf.Network([layers.Input((2,)), hidden])
>>> round(nf.Trainer(net).evaluate([[1.0, 1.0]])["loss"], 4)
0.3957

Adaptive optimizers such as `optimizers.Adam` scale the gradient of a penalty as they scale all gradients; the option
``weight_decay=`` of optimizers does not, see `optimizers.Optimizer`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from nnfast.core.options import (
    Configured,
    choose,
    custom_classes,
    custom_function,
    from_config,
    function_name,
    module_names,
    public_classes,
    real,
)
from nnfast.core.tensor import Tensor

__all__ = ["L1", "L1L2", "L2", "FunctionRegularizer", "OrthogonalRegularizer", "Regularizer", "get"]

__getattr__, __dir__ = module_names(__name__, __all__)

_TINY = 1e-12
"""Added to the squared length of a vector before it is divided by its length."""


class Regularizer(Configured):
    """Base class of all regularizers: called with weights, they return the penalty.

    To define one, derive it from this class and compute the penalty in `__call__` with operators and the functions of
    `nnfast.ops`; its gradient follows. Every constructor argument must be stored in an attribute of the same name.
    Where a regularizer without arguments is expected, a function will do. `Network.load` needs the class or function:
    ``custom_objects={"Sparse": Sparse}``.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import layers, regularizers
    >>> class NearOne(regularizers.Regularizer):
    ...     '''strength * sum (w - 1)^2.'''
    ...     def __init__(self, strength):
    ...         self.strength = strength
    ...     def __call__(self, weights):
    ...         return self.strength * nf.ops.sum((weights - 1) ** 2)
    >>> dense = layers.Dense(1, kernel_initializer="zeros", kernel_regularizer=NearOne(0.5))
    >>> net = nf.Network([layers.Input((4,)), dense])
    >>> nf.Trainer(net, loss="mse").evaluate([[0.0] * 4], [[0.0]])
    {'loss': 2.0}
    """

    name: ClassVar[str] = ""

    def __call__(self, weights: Any) -> Any:
        """The penalty: a tensor of one number, or for arrays the number.

        Parameters
        ----------
        weights : Tensor or array_like
        """
        raise NotImplementedError(f"{type(self).__name__}: expected a method __call__")

    def factors(self) -> tuple[float, float] | None:
        """l1 and l2 of a penalty that the core computes by itself; None for other ones."""
        return None

    def of_activity(self, y: Any) -> Any:
        """The penalty on a layer's output: a tensor of one number, or one with the batch axis, whose mean counts.

        Parameters
        ----------
        y : Tensor
            With the batch axis.
        """
        return self(y)


def _sum(values: Any, **axes: Any) -> Any:
    return Tensor.operators["sum"](values, **axes) if isinstance(values, Tensor) else np.sum(values, **axes)


class _Elementwise(Regularizer):
    """l1 sum abs(w) + l2 sum w^2."""

    def __call__(self, weights: Any) -> Any:
        w: Any = weights if isinstance(weights, Tensor) else np.asarray(weights)
        l1, l2 = self.factors()
        return l1 * _sum(abs(w)) + l2 * _sum(w * w)

    def of_activity(self, y: Any) -> Any:
        l1, l2 = self.factors()
        size = math.prod(y.shape)  # the mean over the elements of a row becomes their sum
        if l1 and l2:
            return size * (l1 * abs(y) + l2 * (y * y))
        return size * l1 * abs(y) if l1 else size * l2 * (y * y)

    def factors(self) -> tuple[float, float]:
        raise NotImplementedError


class L1(_Elementwise):
    """l1 sum abs(w), which makes many weights 0 (the lasso). The derivative at 0 is taken as 0.

    Parameters
    ----------
    l1 : float, default 0.01
        0 or larger.

    References
    ----------
    Tibshirani (1996), Regression shrinkage and selection via the lasso, DOI 10.1111/j.2517-6161.1996.tb02080.x.

    Examples
    --------
    >>> from nnfast import regularizers
    >>> float(regularizers.L1(0.5)([1.0, -3.0]))
    2.0
    """

    name = "l1"

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = real("L1", "l1", l1, minimum=0.0)

    def factors(self) -> tuple[float, float]:
        return self.l1, 0.0


class L2(_Elementwise):
    """l2 sum w^2, which keeps weights small (ridge regression).

    Parameters
    ----------
    l2 : float, default 0.01
        0 or larger. The gradient is 2 l2 w, so that `SGD` with a learning rate r decays weights by 2 r l2 w in a step.

    References
    ----------
    Hoerl & Kennard (1970), Ridge regression: biased estimation for nonorthogonal problems, DOI
    10.1080/00401706.1970.10488634. Krogh & Hertz (1991), A simple weight decay can improve generalization, NIPS.

    Examples
    --------
    >>> from nnfast import regularizers
    >>> float(regularizers.L2(0.5)([1.0, -3.0]))
    5.0
    """

    name = "l2"

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = real("L2", "l2", l2, minimum=0.0)

    def factors(self) -> tuple[float, float]:
        return 0.0, self.l2


class L1L2(_Elementwise):
    """l1 sum abs(w) + l2 sum w^2 (the elastic net).

    Parameters
    ----------
    l1, l2 : float, default 0
        0 or larger. The name "l1_l2" stands for ``L1L2(0.01, 0.01)``.

    References
    ----------
    Zou & Hastie (2005), Regularization and variable selection via the elastic net,
    DOI 10.1111/j.1467-9868.2005.00503.x.

    Examples
    --------
    >>> from nnfast import regularizers
    >>> regularizers.L1L2(l1=0.5, l2=0.25)
    L1L2(l1=0.5, l2=0.25)
    >>> float(regularizers.L1L2(l1=0.5, l2=0.25)([2.0, -2.0]))
    4.0
    """

    name = "l1_l2"

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = real("L1L2", "l1", l1, minimum=0.0)
        self.l2 = real("L1L2", "l2", l2, minimum=0.0)

    def factors(self) -> tuple[float, float]:
        return self.l1, self.l2


class OrthogonalRegularizer(Regularizer):
    """Encourages the rows (or columns) of a matrix to be orthogonal: factor times the mean of abs(cos) over all pairs.

    Parameters
    ----------
    factor : float, default 0.01
        0 or larger.
    mode : {"rows", "columns"}, default "rows"

    Notes
    -----
    As in Keras, for a matrix with two rows (or columns) or more. Directions of weights that are all 0 count as
    orthogonal to the others.

    Examples
    --------
    >>> from nnfast import regularizers
    >>> penalty = regularizers.OrthogonalRegularizer(0.5)
    >>> float(penalty([[1.0, 0.0], [0.0, 2.0]])), round(float(penalty([[1.0, 1.0], [3.0, 3.0]])), 6)
    (0.0, 0.5)
    """

    name = "orthogonal_regularizer"

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = real("OrthogonalRegularizer", "factor", factor, minimum=0.0)
        self.mode = choose("mode of OrthogonalRegularizer", mode, ("rows", "columns"))

    def __call__(self, weights: Any) -> Any:
        w: Any = weights if isinstance(weights, Tensor) else np.asarray(weights, float)
        if w.ndim != 2:
            raise ValueError(
                f"OrthogonalRegularizer: expected a matrix, got weights of shape {tuple(w.shape)}; use another one"
            )
        if self.mode == "columns":
            w = Tensor.operators["transpose"](w) if isinstance(w, Tensor) else w.T
        count = w.shape[0]
        if count < 2:
            raise ValueError(
                f"OrthogonalRegularizer: expected two {self.mode} or more, got weights of shape {tuple(w.shape)}"
            )
        w = w * (_sum(w * w, axis=1, keepdims=True) + _TINY) ** -0.5
        other = Tensor.operators["transpose"](w) if isinstance(w, Tensor) else w.T
        return self.factor / (count * (count - 1)) * (_sum(abs(w @ other)) - _sum(w * w))

    def of_activity(self, y: Any) -> Any:
        raise ValueError("OrthogonalRegularizer: expected weights, got the output of a layer; use kernel_regularizer=")


class FunctionRegularizer(Regularizer):
    """A function of a tensor, written with `nnfast.ops`, that returns the penalty.

    Where a regularizer is expected, the function itself will do: ``kernel_regularizer=function``.

    Parameters
    ----------
    function : callable
        ``function(weights)`` returns one number. It is called once, with a symbolic tensor.

    Notes
    -----
    Files store the function by name, and `Network.load` needs it: ``custom_objects={"function": function}``.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import layers, regularizers
    >>> def largest(weights):
    ...     return 0.5 * nf.ops.max(abs(weights))
    >>> regularizers.get(largest)([1.0, -4.0])
    2.0
    """

    name = "function"

    def __init__(self, function: Callable[[Any], Any]) -> None:
        if not callable(function):
            raise TypeError(f"FunctionRegularizer: expected a function, got {function!r}")
        self.function = function

    def __call__(self, weights: Any) -> Any:
        if isinstance(weights, Tensor):
            return self.function(weights)
        return float(self.function(np.asarray(weights, float)))

    def get_config(self) -> dict[str, Any]:
        return {"function": function_name(self.function)}


CLASSES = public_classes(Regularizer)
_NAMES = {c.name: c for c in CLASSES.values() if c is not FunctionRegularizer}
_ALIASES = {"lasso": "l1", "ridge": "l2", "elastic_net": "l1_l2", "orthogonal": "orthogonal_regularizer"}

# Keras's short names.
l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer


def get(regularizer: Any, custom_objects: Mapping[str, Any] | None = None) -> Regularizer | None:
    """Look up or construct a regularizer.

    Parameters
    ----------
    regularizer : Regularizer, str, callable, dict or None
        Case and underscores in names are ignored: "l1", "l2", "l1_l2" with factors of 0.01, "orthogonal_regularizer".
        A function is one of tensors, see `FunctionRegularizer`; a dict is a saved regularizer.
    custom_objects : dict, optional
        User-defined classes and functions by name, for a saved regularizer.

    Examples
    --------
    >>> from nnfast import regularizers
    >>> regularizers.get("l2"), regularizers.get("L1_L2")
    (L2(), L1L2(l1=0.01, l2=0.01))
    """
    if regularizer is None or isinstance(regularizer, Regularizer):
        return regularizer
    if isinstance(regularizer, type):
        raise TypeError(f"regularizer: expected a regularizer, got a class; write {regularizer.__name__}(...)")
    if callable(regularizer):
        return FunctionRegularizer(regularizer)
    if isinstance(regularizer, Mapping):
        config = regularizer.get("config")
        if regularizer.get("class") == FunctionRegularizer.__name__ and isinstance(config, Mapping):
            return FunctionRegularizer(custom_function(custom_objects, "function", config.get("function")))
        return from_config("regularizer", regularizer, CLASSES | custom_classes(custom_objects, Regularizer))
    if isinstance(regularizer, str):
        name = choose("regularizer", regularizer, _NAMES, _ALIASES)
        return L1L2(0.01, 0.01) if name == "l1_l2" else _NAMES[name]()
    raise TypeError(
        f"regularizer: expected a name, a Regularizer or a function, got {regularizer!r}; write regularizers.L2(...)"
    )
