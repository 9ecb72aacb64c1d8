"""Elementary functions, element by element: polynomials with the same bits on every machine with fused multiply-add.

Beyond the range of the dtype, results are those of IEEE 754: exp(1000) is inf, log(0) is -inf, log(-1) is nan. The
errors stated are the largest ones measured with FMA, in units in the last place (ULP), for float32 and float64.

x : ndarray
    Input, of any shape; the result has the same shape.
"""

from __future__ import annotations

from nnfast import _core
from nnfast.core.typing import Array


def exp(x: Array) -> Array:
    """Exponential function, exp(x).

    Error: 0.91 and 0.89 ULP. Results below 2^-126.5 (float32) or 2^-1022.5 (float64) are 0.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.exp(np.array([-1.0, 0.0])).round(4)
    array([0.3679, 1.    ])
    """
    return _core.math_forward("exp", x)


def expm1(x: Array) -> Array:
    """exp(x) - 1, accurate near 0.

    Error: 1.24 and 1.16 ULP.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.expm1(np.array([0.0, 1.0])).round(4)
    array([0.    , 1.7183])
    """
    return _core.math_forward("expm1", x)


def log(x: Array) -> Array:
    """Natural logarithm, log(x).

    Error: 0.89 and 1.02 ULP.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.log(np.array([1.0, 10.0])).round(4)
    array([0.    , 2.3026])
    """
    return _core.math_forward("log", x)


def log1p(x: Array) -> Array:
    """log(1 + x), accurate near 0.

    Error: 0.89 and 0.99 ULP.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.log1p(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.6931])
    """
    return _core.math_forward("log1p", x)


def tanh(x: Array) -> Array:
    """Hyperbolic tangent, (exp(2 x) - 1) / (exp(2 x) + 1).

    Error: 1.37 and 1.37 ULP.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.tanh(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.7616])
    """
    return _core.math_forward("tanh", x)


def sigmoid(x: Array) -> Array:
    """Logistic function, 1 / (1 + exp(-x)).

    Error: 2.00 and 2.00 ULP. The result is 0 for x below -88 (float32) or -709 (float64).

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.sigmoid(np.array([0.0, 1.075])).round(4)
    array([0.5   , 0.7455])
    """
    return _core.math_forward("sigmoid", x)


def erf(x: Array) -> Array:
    """Error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.

    Error: 1.80 and 2.09 ULP.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.erf(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.8427])
    """
    return _core.math_forward("erf", x)
