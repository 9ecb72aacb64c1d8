"""Activations, softmax and log-softmax, forward and backward."""

from __future__ import annotations

from nnfast import _core
from nnfast.core.typing import Array
from nnfast.kernels._arguments import activation_of


def activation_forward(name: str, x: Array, alpha: float | None = None, out: Array | None = None) -> Array:
    """Apply an activation to every element: y = f(x).

    Parameters
    ----------
    name : str
        ===============  =====================================================================
        identity         x
        heaviside        1 where x >= alpha, else 0 (alpha: threshold, default 0)
        sigmoid          1 / (1 + exp(-x))
        tanh             tanh(x)
        relu             max(x, 0)
        leaky_relu       x where x > 0, else alpha x (default 0.01)
        elu              x where x > 0, else alpha (exp(x) - 1) (default 1)
        selu             1.0507... x where x > 0, else 1.0507... 1.6733... (exp(x) - 1)
        gelu             x Phi(x), with Phi the normal distribution function
        gelu_tanh        x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
        silu             x / (1 + exp(-x))
        softplus         log(1 + exp(x))
        softsign         x / (1 + |x|)
        hard_sigmoid     clip(x / 6 + 1 / 2, 0, 1)
        softmax          exp(x) / sum(exp(x)) over the last axis
        log_softmax      x - log(sum(exp(x))) over the last axis
        ===============  =====================================================================
    x : ndarray
        Input, of any shape.
    alpha : float, optional
        Parameter of heaviside, leaky_relu and elu; the others have none.
    out : ndarray of x's shape, optional
        Where the result goes: `x` itself, or apart from it in memory.

    Returns
    -------
    ndarray of x's shape

    Raises
    ------
    ValueError
        If the name is unknown (the text gives the nearest valid one), alpha is not finite (or negative, for leaky_relu
        and elu), an array is not contiguous, or `out` has another shape, is read-only or overlaps `x` in part.
    TypeError
        If an argument is no array, or a dtype is not float32 or float64, or the dtypes differ.

    Notes
    -----
    One pass; the exponential functions are polynomials with errors of a few units in the last place.

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
    """Gradient of an activation: dx = dy f'(x).

    Parameters
    ----------
    name : str
        A name of `activation_forward`.
    dy : ndarray
        Gradient with respect to the output.
    x, y : ndarray of dy's shape
        Input and output of the forward pass; each derivative uses the one that it is cheaper in.
    alpha : float, optional
        As in the forward pass.
    out : ndarray of dy's shape, optional
        Where the result goes: one of the arrays itself, or apart from them in memory.

    Returns
    -------
    ndarray of dy's shape

    Raises
    ------
    ValueError
        If the name is unknown, alpha is not finite or negative, the shapes differ, an array is not contiguous, or `out`
        is read-only or overlaps another array in part.
    TypeError
        If an argument is no array, a dtype is not float32 or float64, or the dtypes differ.

    Notes
    -----
    One pass. At a kink the derivative is the one from the left, so relu'(0) = 0; hard_sigmoid's is 0 where y
    is 0 or 1, heaviside's everywhere.

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
    """Softmax over the last axis: y = exp(x) / sum(exp(x)).

    Parameters
    ----------
    x : ndarray of shape (..., K)
        Logits.
    out : ndarray of x's shape, optional
        Where the result goes: `x` itself, or apart from it in memory.

    Returns
    -------
    ndarray of shape (..., K)
        Probabilities; every row sums to 1 up to rounding.

    Raises
    ------
    ValueError
        If `x` is a number or an array is not contiguous, or `out` has another shape, is read-only or overlaps `x` in
        part.
    TypeError
        If an argument is no array, a dtype is not float32 or float64, or the dtypes differ.

    Notes
    -----
    The row's maximum is subtracted first, so no exponential overflows.

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
    dy : ndarray of shape (..., K)
        Gradient with respect to the output.
    y : ndarray of shape (..., K)
        Output of `softmax_forward`.
    out : ndarray of shape (..., K), optional
        Where the result goes: `dy` or `y` itself, or apart from both in memory.

    Returns
    -------
    ndarray of shape (..., K)

    Raises
    ------
    ValueError
        If the shapes differ, an array is a number or not contiguous, or `out` is read-only or overlaps another array
        in part.
    TypeError
        If an argument is no array, a dtype is not float32 or float64, or the dtypes differ.

    Notes
    -----
    One pass for the sum and one for the result; 4 K operations a row.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.softmax_backward(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
    array([[ 0.25, -0.25]])
    """
    return _core.softmax_backward(dy, y, False, out)


def log_softmax_forward(x: Array, out: Array | None = None) -> Array:
    """Logarithm of softmax over the last axis: y = x - log(sum(exp(x))).

    Parameters, errors and cost are those of `softmax_forward`; small probabilities keep their accuracy here.

    Parameters
    ----------
    x : ndarray of shape (..., K)
        Logits.
    out : ndarray of x's shape, optional
        Where the result goes: `x` itself, or apart from it in memory.

    Returns
    -------
    ndarray of shape (..., K)

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

    Parameters, errors and cost are those of `softmax_backward`.

    Parameters
    ----------
    dy : ndarray of shape (..., K)
        Gradient with respect to the output.
    y : ndarray of shape (..., K)
        Output of `log_softmax_forward`.
    out : ndarray of shape (..., K), optional
        Where the result goes: `dy` or `y` itself, or apart from both in memory.

    Returns
    -------
    ndarray of shape (..., K)

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.log_softmax_backward(np.array([[1.0, 1.0]]), np.array([[0.0, -np.inf]]))
    array([[-1.,  1.]])
    """
    return _core.softmax_backward(dy, y, True, out)
