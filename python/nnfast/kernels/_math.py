"""Elementary functions of every element: nnfast's own polynomials, with the same bits on every machine with FMA.

Arrays are float32 or float64, contiguous, of any shape; anything else raises ValueError or TypeError. Beyond the
range of the dtype the results are those of IEEE 754: exp(1000) is inf, log(0) is -inf, log(-1) is nan.
"""

from __future__ import annotations

from nnfast import _core
from nnfast.core.typing import Array


def exp(x: Array) -> Array:
    """Exponential: exp(x).

    Parameters
    ----------
    x : ndarray
        Input, of any shape.

    Returns
    -------
    ndarray of x's shape

    Raises
    ------
    ValueError
        If the array is not contiguous.
    TypeError
        If `x` is no array, or its dtype is not float32 or float64.

    Notes
    -----
    Largest error measured, with FMA: 0.91 (float32) and 0.89 (float64) units in the last place. Results below 2^-126.5
    (float32) or 2^-1022.5 (float64) are 0, those beyond the largest number inf.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.exp(np.array([-1.0, 0.0])).round(4)
    array([0.3679, 1.    ])
    """
    return _core.math_forward("exp", x)


def expm1(x: Array) -> Array:
    """Exponential minus one, accurate near 0: exp(x) - 1.

    Parameters
    ----------
    x : ndarray
        Input, of any shape; errors as in `exp`.

    Returns
    -------
    ndarray of x's shape

    Notes
    -----
    Largest error measured, with FMA: 1.24 (float32) and 1.16 (float64) units in the last place.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.expm1(np.array([0.0, 1.0])).round(4)
    array([0.    , 1.7183])
    """
    return _core.math_forward("expm1", x)


def log(x: Array) -> Array:
    """Natural logarithm: log(x).

    Parameters
    ----------
    x : ndarray
        Input, of any shape; errors as in `exp`.

    Returns
    -------
    ndarray of x's shape

    Notes
    -----
    Largest error measured, with FMA: 0.89 (float32) and 1.02 (float64) units in the last place. log(0) is -inf, and of
    a negative number nan.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.log(np.array([1.0, 10.0])).round(4)
    array([0.    , 2.3026])
    """
    return _core.math_forward("log", x)


def log1p(x: Array) -> Array:
    """Logarithm of one plus x, accurate near 0: log(1 + x).

    Parameters
    ----------
    x : ndarray
        Input, of any shape; errors as in `exp`.

    Returns
    -------
    ndarray of x's shape

    Notes
    -----
    Largest error measured, with FMA: 0.89 (float32) and 0.99 (float64) units in the last place. log1p(-1) is -inf, and
    of a smaller number nan.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.log1p(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.6931])
    """
    return _core.math_forward("log1p", x)


def tanh(x: Array) -> Array:
    """Hyperbolic tangent: (exp(2 x) - 1) / (exp(2 x) + 1).

    Parameters
    ----------
    x : ndarray
        Input, of any shape; errors as in `exp`.

    Returns
    -------
    ndarray of x's shape

    Notes
    -----
    Largest error measured, with FMA: 1.37 (float32) and 1.37 (float64) units in the last place.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.tanh(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.7616])
    """
    return _core.math_forward("tanh", x)


def sigmoid(x: Array) -> Array:
    """Logistic function: 1 / (1 + exp(-x)).

    Parameters
    ----------
    x : ndarray
        Input, of any shape; errors as in `exp`.

    Returns
    -------
    ndarray of x's shape

    Notes
    -----
    Largest error measured, with FMA: 2.00 (float32) and 2.00 (float64) units in the last place. Where x is below -88
    (float32) or -709 (float64) it is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.sigmoid(np.array([0.0, 1.075])).round(4)
    array([0.5   , 0.7455])
    """
    return _core.math_forward("sigmoid", x)


def erf(x: Array) -> Array:
    """Error function: 2 / sqrt(pi) * integral of exp(-t^2) from 0 to x.

    Parameters
    ----------
    x : ndarray
        Input, of any shape; errors as in `exp`.

    Returns
    -------
    ndarray of x's shape

    Notes
    -----
    Largest error measured, with FMA: 1.80 (float32) and 2.09 (float64) units in the last place.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.erf(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.8427])
    """
    return _core.math_forward("erf", x)
