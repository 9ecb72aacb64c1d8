"""Loss functions: values per row, and the gradient of their mean."""

from __future__ import annotations

from typing import Any

from nnfast import _core
from nnfast.core.options import choose, flag, real
from nnfast.core.typing import Array

_LOSSES = frozenset(_core.loss_names())


def _options(where: str, name: Any, delta: Any, from_logits: Any, label_smoothing: Any) -> dict[str, Any]:
    """Options of a loss function, whose name is checked as well."""
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
    """Value of a loss function for every row; the loss of a batch is their sum divided by N.

    Parameters
    ----------
    name : str
        ====================  ===================================================  ================
        name                  value for an output (prediction p, target t)         over the outputs
        ====================  ===================================================  ================
        mse                   (p - t)^2                                            mean
        half_squared_error    (p - t)^2 / 2                                        sum
        mae                   |p - t|                                              mean
        sum_absolute_error    |p - t|                                              sum
        huber                 (p - t)^2 / 2 up to |p - t| = delta, linear beyond   mean
        binary_cross_entropy  -t log p - (1 - t) log(1 - p)                        mean
        cross_entropy         -sum_k t_k log p_k, along the last axis              mean of the rest
        ====================  ===================================================  ================
    prediction : ndarray of shape (N, ...)
        Output of the network.
    target : ndarray
        Targets, with the shape and dtype of the predictions. For cross_entropy also class indices (of any integer
        dtype), with the shape of the predictions without the last axis.
    sample_weight : ndarray of shape (N,), optional
        Weights of the rows.
    delta : float, default 1
        For huber: |p - t| at which the loss becomes linear; positive.
    from_logits : bool, default False
        For the cross-entropies: whether the predictions are logits, i.e. come before the sigmoid or softmax.
        cross_entropy accepts probabilities of shape (N, K) only, logits of any shape.
    label_smoothing : float, default 0
        For cross_entropy from logits, in [0, 1): with e, t becomes (1 - e) t + e / K.

    Returns
    -------
    ndarray of shape (N,)

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
    """Gradient of the loss of a batch: d(sum_i weight_i value_i / N) / d prediction.

    From logits, it is (p - t) weight / (N O) for binary_cross_entropy with O outputs per row, p being their sigmoid,
    and (p sum_k t_k - t) weight / (N L) for cross_entropy with L positions per row (L = 1 for shape (N, K)), p being
    their softmax. The derivative of |p - t| at 0 is 0.

    Parameters
    ----------
    name, prediction, target, sample_weight, delta, from_logits, label_smoothing
        See `loss_forward`.

    Returns
    -------
    ndarray of the predictions' shape

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.loss_backward("mse", np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]]))
    array([[1., 2.]])
    """
    options = _options("loss_backward", name, delta, from_logits, label_smoothing)
    return _core.loss_backward(name, prediction, target, sample_weight, options)
