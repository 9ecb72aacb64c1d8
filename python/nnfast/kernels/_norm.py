"""Batch, layer and group normalisation."""

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
    """Batch normalisation: y = f(gamma (x - mean) / sqrt(variance + epsilon) + beta), for each channel.

    Parameters
    ----------
    x : ndarray of shape (N, ..., C)
        Input.
    gamma, beta : ndarray of shape (C,), optional
        Without them 1 and 0.
    mean, variance : ndarray of shape (C,), optional
        As in prediction; without them those of x, over all axes but the last, as in training. The variance is the mean
        of squared distances from the mean.
    epsilon : float, default 1e-3
        Above 0.
    activation : {"identity", "relu"}, default "identity"
        f.
    out : ndarray of x's shape, optional
        Receives y; it may be `x`.

    Returns
    -------
    y : ndarray of x's shape
    mean, variance : ndarray of shape (C,)

    Raises
    ------
    ValueError
        If shapes differ, a variance is negative, a number is out of its range, or an array is not contiguous.
    TypeError
        If a dtype is not float32 or float64, or the dtypes differ.

    Notes
    -----
    Two passes over x. The variance is summed around the mean of a tile of rows and the tiles are merged in float64, so
    a mean that is large beside the deviation does no harm. y = fma(x - center, scale, shift) with the mean in the dtype
    of x as center, scale = gamma / sqrt(variance + epsilon) and shift = beta - (mean - center) scale: a channel of
    equal numbers becomes beta.

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
    """Gradients of batch normalisation.

    With g = dy f', u = (x - mean) / s and s = sqrt(variance + epsilon): d_beta = sum(g), d_gamma = sum(g u) and
    dx = gamma / s (g - mean(g) - u mean(g u)); where mean and variance are constants, dx = gamma / s g.

    Parameters
    ----------
    dy : ndarray of shape (N, ..., C)
        Gradient with respect to y.
    x, gamma, beta, mean, variance, epsilon, activation
        As in the forward pass; errors too.
    constant : bool, default True
        Whether a given mean and variance are constants, as in prediction. False: they are those of x, as the forward
        pass returned them; that saves finding them again.
    out : ndarray of x's shape, optional
        Receives dx; it may be `dy`, and lies apart from `x` in memory.

    Returns
    -------
    dx : ndarray of x's shape
    d_gamma, d_beta : ndarray of shape (C,)

    Notes
    -----
    Two passes over dy and x, besides those that find mean and variance again where they are not given. Given ones are
    rounded to x's dtype, which moves u by at most |mean| / s units in the last place.

    References
    ----------
    Ioffe & Szegedy (2015), Batch normalization, section 3, arXiv:1502.03167.

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
    """Layer normalisation: y = gamma (x - mean) / sqrt(variance + epsilon) + beta, over the last axis.

    Parameters
    ----------
    x : ndarray of shape (N, ..., D)
        Input.
    gamma, beta : ndarray of shape (D,), optional
        Without them 1 and 0.
    epsilon : float, default 1e-3
        Above 0.
    out : ndarray of x's shape, optional
        Receives the result; it may be `x`.

    Returns
    -------
    ndarray of x's shape

    Raises
    ------
    ValueError
        If shapes differ, a number is out of its range, or an array is not contiguous.
    TypeError
        If a dtype is not float32 or float64, or the dtypes differ.

    Notes
    -----
    Three passes over a row, which stays in the cache; the second sums around the first one's mean.

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
    """Gradients of layer normalisation.

    With g = gamma dy, u = (x - mean) / s and s = sqrt(variance + epsilon), means over the last axis and sums over the
    others: dx = (g - mean(g) - u mean(g u)) / s, d_gamma = sum(dy u), d_beta = sum(dy).

    Parameters
    ----------
    dy : ndarray of shape (N, ..., D)
        Gradient with respect to y.
    x, gamma, epsilon
        As in the forward pass; errors too.

    Returns
    -------
    dx : ndarray of x's shape
    d_gamma, d_beta : ndarray of shape (D,)

    Notes
    -----
    Mean and variance are found again. Parameter gradients are summed in tiles of 64 rows, which are added in float64.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> dx, d_gamma, d_beta = kernels.layer_norm_backward(np.ones((1, 3)), np.array([[1.0, 2.0, 4.0]]))
    >>> bool(np.abs(dx).max() < 1e-12), d_beta
    (True, array([1., 1., 1.]))
    """
    return _core.layer_norm_backward(dy, x, gamma, real("layer_norm_backward", "epsilon", epsilon))


def group_norm_forward(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    groups: int = 32,
    epsilon: float = 1e-3,
    out: Array | None = None,
) -> Array:
    """Group normalisation: y = gamma (x - mean) / sqrt(variance + epsilon) + beta, within each image and group.

    Parameters
    ----------
    x : ndarray of shape (N, ..., C)
        Input; the first axis counts images.
    gamma, beta : ndarray of shape (C,), optional
        Without them 1 and 0.
    groups : int, default 32
        Divides C; a group has C / groups neighbouring channels.
    epsilon : float, default 1e-3
        Above 0.
    out : ndarray of x's shape, optional
        Receives the result; it may be `x`.

    Returns
    -------
    ndarray of x's shape

    Raises
    ------
    ValueError
        If shapes differ, a number is out of its range, or an array is not contiguous.
    TypeError
        If a dtype is not float32 or float64, or the dtypes differ.

    Notes
    -----
    Channels are summed as in `batch_norm_forward`, and those of a group are merged in float64.

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
    """Gradients of group normalisation: those of `layer_norm_backward`, with means over an image's group.

    Parameters
    ----------
    dy : ndarray of shape (N, ..., C)
        Gradient with respect to y.
    x, gamma, groups, epsilon
        As in the forward pass; errors too.

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
