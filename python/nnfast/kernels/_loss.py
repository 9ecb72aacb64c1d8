"""Losses: values per row and the gradient of their mean."""

from __future__ import annotations

from typing import Any

from nnfast import _core
from nnfast.core.options import choose, flag, real
from nnfast.core.typing import Array

_LOSSES = frozenset(_core.loss_names())


def _options(where: str, name: Any, delta: Any, from_logits: Any, label_smoothing: Any) -> dict[str, Any]:
    """The options of a loss, whose name is checked as well."""
    choose("loss", name, _LOSSES)
    return {
        "delta": real(where, "delta", delta),
        "from_logits": flag(where, "from_logits", from_logits),
        "label_smoothing": real(where, "label_smoothing", label_smoothing),
    }


def loss_forward(
    name: str,
    prediction: Array,
    target: Array,
    sample_weight: Array | None = None,
    *,
    delta: float = 1.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
) -> Array:
    """Value of a loss for every row.

    Parameters
    ----------
    name : str
        ====================  ===================================================  ================
        name                  value of one output (prediction p, target t)         over the outputs
        ====================  ===================================================  ================
        mse                   (p - t)^2                                            mean
        half_squared_error    (p - t)^2 / 2                                        sum
        mae                   |p - t|                                              mean
        sum_absolute_error    |p - t|                                              sum
        huber                 (p - t)^2 / 2 up to |p - t| = delta, linear beyond   mean
        binary_cross_entropy  -t log p - (1 - t) log(1 - p)                        mean
        cross_entropy         -sum_k t_k log p_k, over the last axis               mean of the rest
        ====================  ===================================================  ================
    prediction : ndarray of shape (N, ...)
        What the network says.
    target : ndarray
        The truth, of the prediction's shape and dtype. For cross_entropy also class numbers (any integer dtype) of
        the prediction's shape without its last axis.
    sample_weight : ndarray of shape (N,), optional
        Weight of every row, multiplied with its value.
    delta : float, default 1
        Where huber becomes linear; positive.
    from_logits : bool, default False
        For both cross-entropies: whether the prediction comes before the sigmoid or softmax. cross_entropy takes
        probabilities of shape (N, K) only, and logits of any shape.
    label_smoothing : float, default 0
        For cross_entropy from logits, in [0, 1): with e, t becomes (1 - e) t + e / K.

    Returns
    -------
    ndarray of shape (N,)

    Raises
    ------
    ValueError
        If the name is unknown, an option is out of its range or not one of this loss, shapes do not fit, an array is
        not contiguous, or a class number is outside [0, K).
    TypeError
        If an argument is no array, the prediction's dtype is not float32 or float64, or others differ from it.

    Notes
    -----
    The loss of a batch is the sum of these values divided by N. From logits both cross-entropies are computed without
    an exponential that overflows or a logarithm of 0.

    References
    ----------
    Huber (1964), Robust estimation of a location parameter, DOI 10.1214/aoms/1177703732; Szegedy et al. (2016),
    arXiv:1512.00567, section 7 (label smoothing).

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.loss_forward("mse", np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]]))
    array([2.5])
    >>> kernels.loss_forward("cross_entropy", np.array([[0.0, 0.0]]), np.array([1]), from_logits=True).round(4)
    array([0.6931])
    """
    options = _options("loss_forward", name, delta, from_logits, label_smoothing)
    return _core.loss_forward(name, prediction, target, sample_weight, options)


def loss_backward(
    name: str,
    prediction: Array,
    target: Array,
    sample_weight: Array | None = None,
    *,
    delta: float = 1.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
) -> Array:
    """Gradient of a batch's loss: d(sum_i weight_i value_i / N) / d prediction.

    Parameters
    ----------
    name, prediction, target, sample_weight, delta, from_logits, label_smoothing
        As in `loss_forward`.

    Returns
    -------
    ndarray of the prediction's shape

    Raises
    ------
    ValueError, TypeError
        As `loss_forward`.

    Notes
    -----
    From logits, with p their sigmoid, the gradient of binary_cross_entropy is (p - t) weight / (N O), for O outputs of
    a row; with p their softmax, that of cross_entropy is (p sum_k t_k - t) weight / (N L), for L positions of a row
    (L = 1 for shape (N, K)). The slope of |p - t| at 0 is taken as 0.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.loss_backward("mse", np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]]))
    array([[1., 2.]])
    """
    options = _options("loss_backward", name, delta, from_logits, label_smoothing)
    return _core.loss_backward(name, prediction, target, sample_weight, options)
