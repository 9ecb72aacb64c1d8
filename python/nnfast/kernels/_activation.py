"""Activation functions, softmax and log-softmax, forward and backward."""

from __future__ import annotations

from nnfast import _core
from nnfast.core.typing import Array
from nnfast.kernels._arguments import activation_of


def activation_forward(name: str, x: Array, alpha: float | None = None, out: Array | None = None) -> Array:
    """Apply an activation function: y = f(x).

    Parameters
    ----------
    name : str
        A name from `nnfast.activations`, which has the formulas.
    x : ndarray
        Input, of any shape; softmax and log_softmax act along the last axis.

    Notes
    -----
    The exponential functions are polynomials with errors of a few units in the last place.

    References
    ----------
    Glorot et al. (2011), Deep sparse rectifier neural networks (relu); Clevert et al. (2016), arXiv:1511.07289 (elu);
    Klambauer et al. (2017), arXiv:1706.02515 (selu); Hendrycks & Gimpel (2016), arXiv:1606.08415 (gelu, silu).

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.activation_forward("leaky_relu", np.array([-2.0, 0.0, 3.0]), alpha=0.5)
    array([-1.,  0.,  3.])
    """
    name, alpha = activation_of(name, alpha)
    return _core.activation_forward(name, x, alpha, out)


def activation_backward(
    name: str, dy: Array, x: Array, y: Array, alpha: float | None = None, out: Array | None = None
) -> Array:
    """Gradient of an activation function: dx = dy f'(x).

    At kinks, the derivative is the one from the left, so relu'(0) = 0; that of hard_sigmoid is 0 where y is 0 or 1.

    Parameters
    ----------
    name : str
        A name from `nnfast.activations`.
    x, y : ndarray of dy's shape
        Input and output of the forward pass; each derivative uses the one from which it is cheaper to compute.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> x = np.array([-1.0, 2.0])
    >>> kernels.activation_backward("relu", np.array([5.0, 5.0]), x, np.maximum(x, 0))
    array([0., 5.])
    """
    name, alpha = activation_of(name, alpha)
    return _core.activation_backward(name, dy, x, y, alpha, out)


def softmax_forward(x: Array, out: Array | None = None) -> Array:
    """Softmax along the last axis: y = exp(x) / sum(exp(x)), computed without overflow.

    Parameters
    ----------
    x : ndarray of shape (..., K)
        Logits.

    Returns
    -------
    ndarray of shape (..., K)
        Probabilities; every row sums to 1 up to rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.softmax_forward(np.array([[1000.0, 1000.0]]))
    array([[0.5, 0.5]])
    """
    return _core.softmax_forward(x, False, out)


def softmax_backward(dy: Array, y: Array, out: Array | None = None) -> Array:
    """Gradient of softmax: dx_j = y_j (dy_j - sum_k dy_k y_k).

    Parameters
    ----------
    y : ndarray of shape (..., K)
        Output of `softmax_forward`.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.softmax_backward(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
    array([[ 0.25, -0.25]])
    """
    return _core.softmax_backward(dy, y, False, out)


def log_softmax_forward(x: Array, out: Array | None = None) -> Array:
    """Logarithm of softmax along the last axis: y = x - log(sum(exp(x))), accurate for small probabilities too.

    Parameters
    ----------
    x : ndarray of shape (..., K)
        Logits.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.log_softmax_forward(np.array([[0.0, 1000.0]]))
    array([[-1000.,     0.]])
    """
    return _core.softmax_forward(x, True, out)


def log_softmax_backward(dy: Array, y: Array, out: Array | None = None) -> Array:
    """Gradient of log-softmax: dx_j = dy_j - exp(y_j) sum_k dy_k.

    Parameters
    ----------
    y : ndarray of shape (..., K)
        Output of `log_softmax_forward`.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.log_softmax_backward(np.array([[1.0, 1.0]]), np.array([[0.0, -np.inf]]))
    array([[-1.,  1.]])
    """
    return _core.softmax_backward(dy, y, True, out)
