"""Dropout and the optimisers' updates: what happens in training only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnfast import _core, optimizers
from nnfast.core.options import flag, integer, real
from nnfast.core.text import short_repr
from nnfast.core.typing import Array
from nnfast.kernels._arguments import counter_of, seed_of


def _counters(where: str, seed: int, step: int, stream: int) -> tuple[int, int, int]:
    return seed_of(where, seed), counter_of(where, "step", step), counter_of(where, "stream", stream)


def dropout_forward(x: Array, rate: float, seed: int = 0, step: int = 0, stream: int = 0) -> Array:
    """Dropout: each element is 0 with probability `rate`, else x / (1 - rate).

    Parameters
    ----------
    x : ndarray
        Input, of any shape.
    rate : float
        Probability to drop, in [0, 1).
    seed : int, default 0
        In [0, 2^64).
    step, stream : int, default 0
        In [0, 2^32): the training step, and which of several dropouts in it.

    Returns
    -------
    ndarray of x's shape

    Raises
    ------
    ValueError
        If a number is out of its range or `x` is not contiguous.
    TypeError
        If `x` is no array, its dtype is not float32 or float64, or a counter is no integer.

    Notes
    -----
    Which elements stay is a function of (seed, step, stream, element) alone: element i stays where its word of
    Philox4x32-10 is at least floor(rate 2^32). So nothing is stored for the backward pass.

    References
    ----------
    Srivastava et al. (2014), Dropout, JMLR 15, 1929-1958; Salmon et al. (2011), DOI 10.1145/2063384.2063405.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> np.unique(kernels.dropout_forward(np.ones(100), rate=0.5, seed=1))
    array([0., 2.])
    """
    return _core.dropout_forward(
        x,
        real("dropout_forward", "rate", rate, minimum=0.0, upper_bound=1.0),
        *_counters("dropout_forward", seed, step, stream),
    )


def dropout_backward(dy: Array, rate: float, seed: int = 0, step: int = 0, stream: int = 0) -> Array:
    """Gradient of dropout: dy is dropped and scaled as the forward pass did with x.

    Parameters
    ----------
    dy : ndarray
        Gradient with respect to the output.
    rate, seed, step, stream
        As in the forward pass; errors too.

    Returns
    -------
    ndarray of dy's shape

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> x = np.ones(100)
    >>> bool((kernels.dropout_backward(x, 0.5, seed=1) == kernels.dropout_forward(x, 0.5, seed=1)).all())
    True
    """
    return _core.dropout_backward(
        dy,
        real("dropout_backward", "rate", rate, minimum=0.0, upper_bound=1.0),
        *_counters("dropout_backward", seed, step, stream),
    )


def sgd_update(
    parameters: Array,
    gradients: Array,
    velocity: Array | None = None,
    learning_rate: float = 0.01,
    momentum: float = 0.0,
    nesterov: bool = False,
) -> None:
    """Stochastic gradient descent, in place: v = momentum v - lr g; p += v, or p += momentum v - lr g (Nesterov).

    Parameters
    ----------
    parameters : ndarray of shape (P,)
        Updated in place.
    gradients : ndarray of shape (P,)
        Of the loss with respect to the parameters.
    velocity : ndarray of shape (P,), optional
        Updated in place; zeros before the first step. Needed when `momentum` is not 0.
    learning_rate : float, default 0.01
        Finite, 0 or more.
    momentum : float, default 0
        In [0, 1).
    nesterov : bool, default False
        Whether the velocity is looked at one step ahead.

    Raises
    ------
    ValueError
        If shapes differ, an array is read-only or not contiguous, arrays overlap in memory, a number is out of its
        range, or the velocity is missing.
    TypeError
        If a dtype is not float32 or float64, or the dtypes differ.

    Notes
    -----
    One pass over the vectors. The form is that of Keras.

    References
    ----------
    Sutskever et al. (2013), On the importance of initialization and momentum in deep learning, PMLR 28(3), 1139-1147.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> p = np.array([1.0, 2.0])
    >>> kernels.sgd_update(p, np.array([1.0, -1.0]), learning_rate=0.5)
    >>> p
    array([0.5, 2.5])
    """
    where = "sgd_update"
    rate, momentum = real(where, "learning_rate", learning_rate), real(where, "momentum", momentum)
    _core.sgd_update(parameters, gradients, velocity, rate, momentum, flag(where, "nesterov", nesterov))


def adam_update(
    parameters: Array,
    gradients: Array,
    m: Array,
    v: Array,
    learning_rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    step: int = 1,
) -> None:
    """Adam, in place: p -= lr m_hat / (sqrt(v_hat) + epsilon).

    With m = beta_1 m + (1 - beta_1) g and v = beta_2 v + (1 - beta_2) g^2, m_hat = m / (1 - beta_1^step) and
    v_hat = v / (1 - beta_2^step).

    Parameters
    ----------
    parameters : ndarray of shape (P,)
        Updated in place.
    gradients : ndarray of shape (P,)
        Of the loss with respect to the parameters.
    m, v : ndarray of shape (P,)
        First and second moment, updated in place; zeros before the first step.
    learning_rate : float, default 0.001
        Finite, 0 or more.
    beta_1, beta_2 : float, default 0.9 and 0.999
        In [0, 1).
    epsilon : float, default 1e-7
        Finite, 2^-126 or more: a normal number in either dtype.
    step : int, default 1
        Number of this step, from 1.

    Raises
    ------
    ValueError
        If shapes differ, an array is read-only or not contiguous, arrays overlap in memory, or a number is out of its
        range.
    TypeError
        If a dtype is not float32 or float64, or the dtypes differ.

    Notes
    -----
    One pass over the vectors.

    References
    ----------
    Kingma & Ba (2015), Adam: a method for stochastic optimization, algorithm 1, arXiv:1412.6980.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> p, m, v = np.array([1.0]), np.zeros(1), np.zeros(1)
    >>> kernels.adam_update(p, np.array([20.0]), m, v, learning_rate=0.5)
    >>> p.round(6)
    array([0.5])
    """
    where = "adam_update"
    rate, epsilon = real(where, "learning_rate", learning_rate), real(where, "epsilon", epsilon)
    beta_1, beta_2 = real(where, "beta_1", beta_1), real(where, "beta_2", beta_2)
    step = integer(where, "step", step)
    _core.adam_update(parameters, gradients, m, v, rate, beta_1, beta_2, epsilon, step)


def optimizer_update(
    optimizer: Any, parameters: Array, gradients: Array, state: Mapping[str, Array] | None = None, step: int = 1
) -> None:
    """One step of any optimiser of `nnfast.optimizers`, in place.

    Parameters
    ----------
    optimizer : Optimizer or str
    parameters : ndarray of shape (P,)
        Updated in place.
    gradients : ndarray of shape (P,)
        Of the loss with respect to the parameters.
    state : dict of str to ndarray of shape (P,), optional
        The optimiser's state vectors by name, updated in place; zeros before the first step. Which an optimiser has,
        its notes say, and the error where one is missing.
    step : int, default 1
        Number of this step, from 1. A schedule or function as learning rate is asked for the rate after ``step - 1``
        steps.

    Raises
    ------
    ValueError
        If a state vector is missing or there is one too many, shapes differ, or an array is read-only, not contiguous
        or overlaps with another in memory.
    TypeError
        If a dtype is not float32 or float64, or the dtypes differ.

    Notes
    -----
    What `Trainer` does with all parameters of a network, but without its check that what comes out is finite.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels, optimizers
    >>> p, v = np.array([1.0]), np.zeros(1)
    >>> kernels.optimizer_update(optimizers.RMSprop(0.1, rho=0.75), p, np.array([20.0]), {"v": v})
    >>> p.round(6), v
    (array([0.8]), array([100.]))
    """
    chosen, number = optimizers.get(optimizer), integer("optimizer_update", "step", step)
    vectors = {} if state is None else state
    if not isinstance(vectors, Mapping):
        raise TypeError(f"optimizer_update: expected state as a dict of arrays by name, got {short_repr(state)}")
    _core.optimizer_update(chosen.spec(), parameters, gradients, dict(vectors), chosen.rate(number - 1), number)
