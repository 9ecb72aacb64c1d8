"""Activation functions of each element; `nnfast.activations` describes them.

They take symbolic tensors, arrays and numbers; operands of different shapes are broadcast by NumPy's rules, the batch
axis included. On symbolic tensors they return a tensor, else an array.

Parameters
----------
x : Tensor, array_like or number
"""

from __future__ import annotations

from typing import Any

from nnfast.core.options import real
from nnfast.ops.core import real_function

__all__ = [
    "elu",
    "gelu",
    "hard_sigmoid",
    "leaky_relu",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
]


def sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x).

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.sigmoid(0.0))
    0.5
    """
    return real_function("sigmoid", x)


def relu(x: Any) -> Any:
    """max(0, x).

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.relu(-2.0))
    0.0
    """
    return real_function("relu", x)


def silu(x: Any) -> Any:
    """x sigmoid(x).

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.silu(0.0))
    0.0
    """
    return real_function("silu", x)


def softplus(x: Any) -> Any:
    """log(1 + e^x).

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.softplus(0.0))
    0.6931471805599453
    """
    return real_function("softplus", x)


def softsign(x: Any) -> Any:
    """x / (1 + abs(x)).

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.softsign(1.0))
    0.5
    """
    return real_function("softsign", x)


def hard_sigmoid(x: Any) -> Any:
    """max(0, min(1, x / 6 + 1 / 2)).

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.hard_sigmoid(0.0))
    0.5
    """
    return real_function("hard_sigmoid", x)


def selu(x: Any) -> Any:
    """scale * elu(x), with the constants of Klambauer et al. (2017), arXiv:1706.02515.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.selu(0.0))
    0.0
    """
    return real_function("selu", x)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where it is above 0, else alpha (e^x - 1).

    Parameters
    ----------
    alpha : float, default 1


    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.elu(0.0))
    0.0
    """
    return real_function("elu", x, alpha=real("elu", "alpha", alpha))


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """x where it is above 0, else negative_slope * x.

    Parameters
    ----------
    negative_slope : float, default 0.2
        As in Keras.


    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.leaky_relu(-10.0))
    -2.0
    """
    return real_function("leaky_relu", x, alpha=real("leaky_relu", "negative_slope", negative_slope))


def gelu(x: Any, approximate: bool = True) -> Any:
    """x P(X <= x) for a standard normal X.

    Parameters
    ----------
    approximate : bool, default True
        Whether to use the approximation by tanh, as Keras does by default.

    References
    ----------
    Hendrycks, Gimpel (2016), Gaussian error linear units, arXiv:1606.08415.


    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.gelu(0.0))
    0.0
    """
    return real_function("gelu_tanh" if approximate else "gelu", x)
