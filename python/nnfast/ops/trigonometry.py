"""The tangent and the inverse trigonometric functions, composed of element-wise functions.

Parameters
----------
x : Tensor, array_like or number
    Real numbers.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from nnfast.ops.elementwise import absolute, add, cos, divide, multiply, sign, sin, sqrt, square, subtract
from nnfast.ops.logic import greater
from nnfast.ops.logic import where as choose

__all__ = ["arccos", "arcsin", "arctan", "tan"]

_TAN_3_PI_8: Final = 2.414213562373095
_MIDDLE: Final = 0.66
_NUMERATOR: Final = (
    -8.750608600031904122785e-1,
    -1.615753718733365076637e1,
    -7.500855792314704667340e1,
    -1.228866684490136173410e2,
    -6.485021904942025371773e1,
)
_DENOMINATOR: Final = (
    1.0,
    2.485846490142306297962e1,
    1.650270098316988542046e2,
    4.328810604912902668951e2,
    4.853903996359136964868e2,
    1.945506571482613964425e2,
)


def tan(x: Any) -> Any:
    """The tangent of x, in radians.


    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.tan(0.0))
    0.0
    """
    return divide(sin(x), cos(x))


def _polynomial(coefficients: tuple[float, ...], z: Any) -> Any:
    """By Horner's rule, the highest power first."""
    total: Any = coefficients[0]
    for coefficient in coefficients[1:]:
        total = add(multiply(total, z), coefficient)
    return total


def arctan(x: Any) -> Any:
    """The angle from -pi/2 to pi/2 whose tangent is x, in radians.

    References
    ----------
    The argument is brought to at most 0.66, where atan t = t + t^3 P(t^2) / Q(t^2) with the polynomials of `atan.c` in
    S. L. Moshier's Cephes library (1992), https://www.netlib.org/cephes.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.arctan([0.0, 1.0, -1e9]).round(4)
    array([ 0.    ,  0.7854, -1.5708])
    """
    size, side = absolute(x), sign(x)
    large, middle = greater(size, _TAN_3_PI_8), greater(size, _MIDDLE)
    # One division for all three cases: a branch that is not taken would divide by 0 in the gradient.
    above = choose(large, -1.0, choose(middle, subtract(x, side), x))
    below = choose(large, x, choose(middle, add(size, 1.0), 1.0))
    t = divide(above, below)
    z = square(t)
    rest = divide(multiply(z, _polynomial(_NUMERATOR, z)), _polynomial(_DENOMINATOR, z))
    start = choose(large, np.pi / 2, choose(middle, np.pi / 4, 0.0))
    return add(multiply(side, start), add(t, multiply(t, rest)))


def arcsin(x: Any) -> Any:
    """The angle from -pi/2 to pi/2 whose sine is x, in radians; NaN outside of -1 to 1.


    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.arcsin([0.0, 0.5, -1.0]).round(4)
    array([ 0.    ,  0.5236, -1.5708])
    """
    rest = multiply(subtract(1.0, x), add(1.0, x))
    return multiply(2.0, arctan(divide(x, add(1.0, sqrt(rest)))))


def arccos(x: Any) -> Any:
    """The angle from 0 to pi whose cosine is x, in radians; NaN outside of -1 to 1.


    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.arccos([1.0, 0.5, -1.0]).round(4)
    array([0.    , 1.0472, 3.1416])
    """
    return multiply(2.0, arctan(sqrt(divide(subtract(1.0, x), add(1.0, x)))))
