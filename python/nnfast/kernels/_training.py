"""Dropout and the updates of optimizers, which run in training only.

Updates are in place. The formulas, options and references are those of `nnfast.optimizers`.
"""

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
    """Dropout: set each element to 0 with probability `rate` and scale the others by 1 / (1 - rate).

    Parameters
    ----------
    x : ndarray
        Input, of any shape.
    rate : float
        0 <= rate < 1.

    Notes
    -----
    Element i is kept if its word of Philox4x32-10, a function of (seed, step, stream, i), is at least floor(rate 2^32).
    Nothing is stored for the backward pass.

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
    """Gradient of dropout: dy is dropped and scaled like x in the forward pass.

    Parameters
    ----------
    rate : float
        As in the forward pass.

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
    """Update by `nnfast.optimizers.SGD`.

    Parameters
    ----------
    parameters : ndarray of shape (P,)
        Updated in place.
    gradients : ndarray of shape (P,)
        Gradient of the loss with respect to the parameters.
    learning_rate, momentum, nesterov
        See `nnfast.optimizers.SGD`.
    velocity : ndarray of shape (P,), optional
        Updated in place; 0 before the first step. Required if `momentum` is not 0.

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
    """Update by `nnfast.optimizers.Adam`.

    m = beta_1 m + (1 - beta_1) g, v = beta_2 v + (1 - beta_2) g^2, m_hat = m / (1 - beta_1^step),
    v_hat = v / (1 - beta_2^step), p -= learning_rate m_hat / (sqrt(v_hat) + epsilon).

    Parameters
    ----------
    parameters, gradients
        See `sgd_update`.
    learning_rate, beta_1, beta_2, epsilon
        See `nnfast.optimizers.Adam`.
    m, v : ndarray of shape (P,)
        Moving averages, updated in place; 0 before the first step.
    step : int, default 1
        Number of this step, from 1.

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
    """Update by any optimizer, as `Trainer` does it, but without the check that the result is finite.

    Parameters
    ----------
    optimizer : Optimizer or str
    parameters, gradients
        See `sgd_update`.
    state : dict of str to ndarray of shape (P,), optional
        State vectors of the optimizer by name, updated in place; 0 before the first step.
    step : int, default 1
        Number of this step, from 1. A learning-rate schedule is evaluated at ``step - 1``.

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
    rate = chosen.rate((number - 1) * (chosen.gradient_accumulation_steps or 1))
    _core.optimizer_update(chosen.spec(), parameters, gradients, dict(vectors), rate, number)
