"""Element-wise functions.

They take symbolic tensors, arrays and numbers; operands of different shapes are broadcast by NumPy's rules, the batch
axis included. On symbolic tensors they return a tensor, else an array. Integers give integers where the function of
integers is one.

Parameters
----------
x, x1, x2 : Tensor, array_like or number
    Operands.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnfast.core.tensor import Tensor
from nnfast.ops.core import (
    apply,
    constant_of,
    domain_of,
    elementwise,
    is_symbolic,
    real_function,
    require_real,
    same_domain,
)
from nnfast.ops.logic import not_equal

__all__ = [
    "absolute",
    "add",
    "cast",
    "ceil",
    "clip",
    "cos",
    "divide",
    "erf",
    "exp",
    "expm1",
    "floor",
    "floor_divide",
    "log",
    "log1p",
    "log2",
    "log10",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "negative",
    "power",
    "reciprocal",
    "round",
    "rsqrt",
    "sign",
    "sin",
    "sqrt",
    "square",
    "stop_gradient",
    "subtract",
    "tanh",
]


def exp(x: Any) -> Any:
    """e^x.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.exp(0.0))
    1.0
    """
    return real_function("exp", x)


def expm1(x: Any) -> Any:
    """e^x - 1, accurate for small x.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.expm1(0.0))
    0.0
    """
    return real_function("expm1", x)


def log(x: Any) -> Any:
    """The natural logarithm of x: -inf at 0, NaN below.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.log(1.0))
    0.0
    """
    return real_function("log", x)


def log1p(x: Any) -> Any:
    """log(1 + x), accurate for small x.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.log1p(0.0))
    0.0
    """
    return real_function("log1p", x)


def sqrt(x: Any) -> Any:
    """The square root of x: NaN below 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.sqrt(9.0))
    3.0
    """
    return real_function("sqrt", x)


def rsqrt(x: Any) -> Any:
    """1 / sqrt(x).

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.rsqrt(4.0))
    0.5
    """
    return real_function("rsqrt", x)


def reciprocal(x: Any) -> Any:
    """1 / x.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.reciprocal(4.0))
    0.25
    """
    return real_function("reciprocal", x)


def sin(x: Any) -> Any:
    """The sine of x, in radians.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.sin(0.0))
    0.0
    """
    return real_function("sin", x)


def cos(x: Any) -> Any:
    """The cosine of x, in radians.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.cos(0.0))
    1.0
    """
    return real_function("cos", x)


def tanh(x: Any) -> Any:
    """The hyperbolic tangent of x.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.tanh(0.0))
    0.0
    """
    return real_function("tanh", x)


def erf(x: Any) -> Any:
    """The error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.erf(0.0))
    0.0
    """
    return real_function("erf", x)


def negative(x: Any) -> Any:
    """-x.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.negative(2.0))
    -2.0
    """
    return elementwise("negative", [x], same_domain(x))


def absolute(x: Any) -> Any:
    """The absolute value of x; its derivative at 0 is 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.absolute(-2.0))
    2.0
    """
    return elementwise("abs", [x], same_domain(x))


def sign(x: Any) -> Any:
    """-1, 0 or 1 by the sign of x, with derivative 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.sign(-2.0))
    -1.0
    """
    return elementwise("sign", [x], same_domain(x))


def square(x: Any) -> Any:
    """x^2.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.square(3.0))
    9.0
    """
    return elementwise("square", [x], same_domain(x))


def floor(x: Any) -> Any:
    """The largest whole number not above x, with derivative 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.floor(-1.5))
    -2.0
    """
    return elementwise("floor", [x], same_domain(x))


def ceil(x: Any) -> Any:
    """The smallest whole number not below x, with derivative 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.ceil(-1.5))
    -1.0
    """
    return elementwise("ceil", [x], same_domain(x))


def round(x: Any) -> Any:
    """The nearest whole number, halves to the even one, with derivative 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.round(2.5))
    2.0
    """
    return elementwise("round", [x], same_domain(x))


def add(x1: Any, x2: Any) -> Any:
    """x1 + x2.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.add(2.0, 3.0))
    5.0
    """
    return elementwise("add", [x1, x2], same_domain(x1, x2))


def subtract(x1: Any, x2: Any) -> Any:
    """x1 - x2.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.subtract(2.0, 3.0))
    -1.0
    """
    return elementwise("subtract", [x1, x2], same_domain(x1, x2))


def multiply(x1: Any, x2: Any) -> Any:
    """x1 * x2.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.multiply(2.0, 3.0))
    6.0
    """
    return elementwise("multiply", [x1, x2], same_domain(x1, x2))


def maximum(x1: Any, x2: Any) -> Any:
    """The larger of both; of equal ones the first gets the gradient.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.maximum(2.0, 3.0))
    3.0
    """
    return elementwise("maximum", [x1, x2], same_domain(x1, x2))


def minimum(x1: Any, x2: Any) -> Any:
    """The smaller of both; of equal ones the first gets the gradient.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.minimum(2.0, 3.0))
    2.0
    """
    return elementwise("minimum", [x1, x2], same_domain(x1, x2))


def floor_divide(x1: Any, x2: Any) -> Any:
    """floor(x1 / x2), with derivative 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> int(nf.ops.floor_divide(7, 2))
    3
    """
    return elementwise("floor_divide", [x1, x2], same_domain(x1, x2))


def mod(x1: Any, x2: Any) -> Any:
    """x1 - floor(x1 / x2) x2, which has the sign of x2.

    Examples
    --------
    >>> import nnfast as nf
    >>> int(nf.ops.mod(-7, 3))
    2
    """
    return elementwise("mod", [x1, x2], same_domain(x1, x2))


def divide(x1: Any, x2: Any) -> Any:
    """x1 / x2.

    Raises
    ------
    TypeError
        For two integers; use `floor_divide`, or `cast` one of them.


    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.divide(1.0, 4.0))
    0.25
    """
    require_real("divide", x1, x2)
    return elementwise("divide", [x1, x2], "real")


def power(x1: Any, x2: Any) -> Any:
    """x1^x2; NaN for a negative x1 and an x2 that is not whole.


    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.power(2.0, 3.0))
    8.0
    """
    exponent = None if isinstance(x2, Tensor) else constant_of(x2)
    if exponent == 2:
        return square(x1)
    if exponent == 3:
        return multiply(square(x1), x1)
    if exponent == 4:
        return square(square(x1))
    if exponent == 0.5 and domain_of(x1) == "real":
        return sqrt(x1)
    if exponent == -1 and domain_of(x1) == "real":
        return reciprocal(x1)
    return elementwise("power", [x1, x2], same_domain(x1, x2))


def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """min(max(x, x_min), x_max); the derivative is 1 within the bounds and on them, else 0.

    Parameters
    ----------
    x_min, x_max : Tensor, array_like or number


    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.clip([-2.0, 0.5, 3.0], 0.0, 1.0)
    array([0. , 0.5, 1. ])
    """
    return minimum(maximum(x, x_min), x_max)


def log2(x: Any) -> Any:
    """The logarithm of x to the base 2.


    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.log2(8.0))
    3.0
    """
    return divide(log(x), np.log(2.0))


def log10(x: Any) -> Any:
    """The logarithm of x to the base 10.


    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.log10([1000.0]).round(6)
    array([3.])
    """
    return divide(log(x), np.log(10.0))


def cast(x: Any, dtype: Any) -> Any:
    """x as numbers of another kind.

    In a network all numbers have its dtype; the cast determines what functions make of them.

    Parameters
    ----------
    dtype : str or dtype
        "float32", "int32" (towards 0), "bool" (whether not 0) and their kin.


    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.cast([1.7, -1.7], "int32")
    array([ 1, -1], dtype=int32)
    """
    name = np.dtype(dtype)
    if not is_symbolic(x):
        return np.asarray(x).astype(name)[()]
    if name.kind == "b":
        return not_equal(x, 0)
    if name.kind in "iu":
        whole = x if domain_of(x) != "real" else multiply(sign(x), floor(absolute(x)))
        return apply("stop_gradient", [whole], "integer")
    return x if domain_of(x) == "real" else apply("stop_gradient", [x])


def stop_gradient(x: Any) -> Any:
    """x, through which no gradient passes.


    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.stop_gradient(2.0))
    2.0
    """
    return apply("stop_gradient", [x], domain_of(x)) if is_symbolic(x) else np.asarray(x)[()]


Tensor.operators.update(
    {
        function.__name__: function
        for function in (add, subtract, multiply, divide, floor_divide, mod, power, negative, absolute)
    }
)
