"""Batch, layer, root mean square and group normalization."""

from __future__ import annotations

from typing import Any

from nnfast import _core
from nnfast.core.options import choose, flag, integer, real
from nnfast.core.typing import Array


def _batch_options(where: str, epsilon: Any, activation: Any) -> tuple[float, str]:
    return real(where, "epsilon", epsilon), choose(f"activation of {where}", activation, ("identity", "relu"))


def batch_norm_forward(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    mean: Array | None = None,
    variance: Array | None = None,
    epsilon: float = 1e-3,
    activation: str = "identity",
    out: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Batch normalization: y = f(gamma (x - mean) / sqrt(variance + epsilon) + beta), for each channel.

    Parameters
    ----------
    x : ndarray of shape (N, ..., C)
        Input.
    gamma, beta : ndarray of shape (C,), optional
        Scale and shift; 1 and 0 if not given.
    mean, variance : ndarray of shape (C,), optional
        Statistics, as in prediction; by default those of x, as in training (the variance is biased).
    epsilon : float, default 1e-3
        Larger than 0.
    activation : {"identity", "relu"}, default "identity"
        Activation function f.

    Returns
    -------
    y : ndarray of x's shape
    mean, variance : ndarray of shape (C,)

    Notes
    -----
    Two passes over x. The variance is summed around the mean of a tile of rows, and tiles are merged in float64, so a
    mean much larger than the deviation does no harm. y = fma(x - center, scale, shift), where center is the mean
    rounded to the dtype, scale = gamma / sqrt(variance + epsilon) and shift = beta - (mean - center) scale; a constant
    channel becomes exactly beta.

    References
    ----------
    Ioffe & Szegedy (2015), Batch normalization, arXiv:1502.03167; Chan, Golub & LeVeque (1983), Algorithms for
    computing the sample variance, DOI 10.1080/00031305.1983.10483115.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> y, mean, variance = kernels.batch_norm_forward(np.array([[1.0, 5.0], [3.0, 1.0]]), epsilon=1e-12)
    >>> y.round(6), mean, variance
    (array([[-1.,  1.],
           [ 1., -1.]]), array([2., 3.]), array([1., 4.]))
    """
    epsilon, activation = _batch_options("batch_norm_forward", epsilon, activation)
    return _core.batch_norm_forward(x, gamma, beta, mean, variance, epsilon, activation, out)


def batch_norm_backward(
    dy: Array,
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    mean: Array | None = None,
    variance: Array | None = None,
    epsilon: float = 1e-3,
    activation: str = "identity",
    constant: bool = True,
    out: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Gradients of batch normalization.

    With s = sqrt(variance + epsilon), u = (x - mean) / s and dy multiplied by f' first: d_gamma = sum(dy u),
    d_beta = sum(dy) and dx = gamma / s (dy - mean(dy) - u mean(dy u)); for constant mean and variance, gamma / s dy.

    Parameters
    ----------
    x, gamma, beta, mean, variance, epsilon, activation
        See `batch_norm_forward`.
    constant : bool, default True
        Whether the given mean and variance are constants, as in prediction. If False, they are those of x as returned
        by the forward pass, which need not be computed again.
    out : ndarray of x's shape, optional
        Array for dx; may be `dy`.

    Returns
    -------
    dx : ndarray of x's shape
    d_gamma, d_beta : ndarray of shape (C,)

    Notes
    -----
    Given statistics are rounded to the dtype, which changes u by at most |mean| / s units in the last place.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> x = np.array([[1.0], [2.0], [4.0]])
    >>> dx, d_gamma, d_beta = kernels.batch_norm_backward(np.ones((3, 1)), x)
    >>> bool(np.abs(dx).max() < 1e-12), d_beta
    (True, array([3.]))
    """
    where = "batch_norm_backward"
    epsilon, activation = _batch_options(where, epsilon, activation)
    constant = flag(where, "constant", constant)
    return _core.batch_norm_backward(dy, x, gamma, beta, mean, variance, epsilon, activation, constant, out)


def layer_norm_forward(
    x: Array, gamma: Array | None = None, beta: Array | None = None, epsilon: float = 1e-3, out: Array | None = None
) -> Array:
    """Layer normalization: y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with moments of the last axis.

    Parameters
    ----------
    x, gamma, beta, epsilon
        See `batch_norm_forward`.

    References
    ----------
    Ba, Kiros & Hinton (2016), Layer normalization, arXiv:1607.06450.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.layer_norm_forward(np.array([[1.0, 3.0], [9.0, 5.0]]), epsilon=1e-12).round(6)
    array([[-1.,  1.],
           [ 1., -1.]])
    """
    return _core.layer_norm_forward(x, gamma, beta, real("layer_norm_forward", "epsilon", epsilon), out)


def layer_norm_backward(
    dy: Array, x: Array, gamma: Array | None = None, epsilon: float = 1e-3
) -> tuple[Array, Array, Array]:
    """Gradients of layer normalization.

    With g = gamma dy, s = sqrt(variance + epsilon), u = (x - mean) / s and means over the last axis:
    dx = (g - mean(g) - u mean(g u)) / s, d_gamma = sum(dy u), d_beta = sum(dy). The moments are computed again.

    Parameters
    ----------
    x, gamma, epsilon
        See `batch_norm_forward`.

    Returns
    -------
    dx : ndarray of x's shape
    d_gamma, d_beta : ndarray of shape (C,)
        Summed in tiles of 64 rows, which are added in float64.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> dx, d_gamma, d_beta = kernels.layer_norm_backward(np.ones((1, 3)), np.array([[1.0, 2.0, 4.0]]))
    >>> bool(np.abs(dx).max() < 1e-12), d_beta
    (True, array([1., 1., 1.]))
    """
    return _core.layer_norm_backward(dy, x, gamma, real("layer_norm_backward", "epsilon", epsilon))


def rms_norm_forward(x: Array, gamma: Array | None = None, epsilon: float = 1e-6, out: Array | None = None) -> Array:
    """Root mean square normalization: y = gamma x / sqrt(mean(x^2) + epsilon), with the mean of the last axis.

    Parameters
    ----------
    x, gamma
        See `batch_norm_forward`.
    epsilon : float, default 1e-6
        Larger than 0.

    References
    ----------
    Zhang & Sennrich (2019), Root mean square layer normalization, arXiv:1910.07467.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.rms_norm_forward(np.array([[3.0, 3.0], [1.0, -7.0]])).round(6)
    array([[ 1. ,  1. ],
           [ 0.2, -1.4]])
    """
    return _core.rms_norm_forward(x, gamma, real("rms_norm_forward", "epsilon", epsilon), out)


def rms_norm_backward(dy: Array, x: Array, gamma: Array | None = None, epsilon: float = 1e-6) -> tuple[Array, Array]:
    """Gradients of root mean square normalization.

    With g = gamma dy, s = sqrt(mean(x^2) + epsilon), u = x / s and means over the last axis:
    dx = (g - u mean(g u)) / s, d_gamma = sum(dy u).

    Parameters
    ----------
    x, gamma, epsilon
        See `rms_norm_forward`.

    Returns
    -------
    dx : ndarray of x's shape
    d_gamma : ndarray of shape (C,)

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> x = np.array([[1.0, 2.0, 2.0]])
    >>> dx, d_gamma = kernels.rms_norm_backward(x, x)
    >>> bool(np.abs(dx).max() < 1e-6), d_gamma.round(4)
    (True, array([0.5774, 2.3094, 2.3094]))
    """
    return _core.rms_norm_backward(dy, x, gamma, real("rms_norm_backward", "epsilon", epsilon))


def group_norm_forward(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    groups: int = 32,
    epsilon: float = 1e-3,
    out: Array | None = None,
) -> Array:
    """Group normalization: `layer_norm_forward` with the moments of C / groups adjacent channels of an image.

    Parameters
    ----------
    x, gamma, beta, epsilon
        See `batch_norm_forward`.
    groups : int, default 32
        Number of groups; must divide C.

    References
    ----------
    Wu & He (2018), Group normalization, arXiv:1803.08494.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.group_norm_forward(np.array([[1.0, 3.0, 30.0, 10.0]]), groups=2, epsilon=1e-12).round(6)
    array([[-1.,  1.,  1., -1.]])
    """
    return _core.group_norm_forward(
        x,
        gamma,
        beta,
        integer("group_norm_forward", "groups", groups),
        real("group_norm_forward", "epsilon", epsilon),
        out,
    )


def group_norm_backward(
    dy: Array, x: Array, gamma: Array | None = None, groups: int = 32, epsilon: float = 1e-3
) -> tuple[Array, Array, Array]:
    """Gradients of group normalization: `layer_norm_backward` with means over a group of an image.

    Parameters
    ----------
    x, gamma, epsilon
        See `batch_norm_forward`.
    groups : int, default 32
        Number of groups.

    Returns
    -------
    dx : ndarray of x's shape
    d_gamma, d_beta : ndarray of shape (C,)

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> x = np.array([[[1.0, 2.0], [4.0, 8.0]]])
    >>> dx, d_gamma, d_beta = kernels.group_norm_backward(np.ones((1, 2, 2)), x, groups=1)
    >>> bool(np.abs(dx).max() < 1e-12), d_beta
    (True, array([2., 2.]))
    """
    return _core.group_norm_backward(
        dy, x, gamma, integer("group_norm_backward", "groups", groups), real("group_norm_backward", "epsilon", epsilon)
    )
