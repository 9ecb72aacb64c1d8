"""Element-wise functions.

They take symbolic tensors, arrays and numbers; operands of different shapes are broadcast by NumPy's rules, the batch
axis included. On symbolic tensors they return a tensor, else an array. Integers and booleans give integers where the
function of integers is one.

Parameters
----------
x, x1, x2 : Tensor, array_like or number
    Operands.
"""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from nnfast.core.options import real
from nnfast.core.tensor import Tensor
from nnfast.ops.core import apply, domain_of, is_symbolic, require_real

__all__ = [
    "absolute",
    "add",
    "cast",
    "ceil",
    "clip",
    "cos",
    "divide",
    "elu",
    "equal",
    "erf",
    "exp",
    "expm1",
    "floor",
    "floor_divide",
    "gelu",
    "greater",
    "greater_equal",
    "hard_sigmoid",
    "isfinite",
    "isnan",
    "leaky_relu",
    "less",
    "less_equal",
    "log",
    "log10",
    "log1p",
    "log2",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "negative",
    "not_equal",
    "power",
    "reciprocal",
    "relu",
    "round",
    "rsqrt",
    "selu",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "softplus",
    "softsign",
    "sqrt",
    "square",
    "stop_gradient",
    "subtract",
    "tan",
    "tanh",
    "where",
]


def _constant(value: Any) -> float | None:
    """The value of a single number, which becomes part of the operation; None for others."""
    if isinstance(value, numbers.Real | np.bool_) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return float(value)
    return None


def _elementwise(function: str, operands: list[Any], domain: str, **attributes: Any) -> Any:
    if is_symbolic(*operands):
        numbers_at = [i for i, value in enumerate(operands) if not isinstance(value, Tensor) and _constant(value) is not None]
        if numbers_at:
            place = numbers_at[-1]
            attributes |= {"constant": _constant(operands[place]), "constant_at": place}
            operands = operands[:place] + operands[place + 1 :]
    return apply("elementwise", operands, domain, function=function, **attributes)


def _same_domain(*operands: Any) -> str:
    """Integer if all operands are integers or booleans, else real."""
    return "real" if any(domain_of(value) == "real" for value in operands) else "integer"


def _real(function: str, x: Any, **attributes: Any) -> Any:
    return _elementwise(function, [x], "real", **attributes)


def exp(x: Any) -> Any:
    """e^x.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.exp(0.0))
    1.0
    """
    return _real("exp", x)


def expm1(x: Any) -> Any:
    """e^x - 1, accurate for small x.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.expm1(0.0))
    0.0
    """
    return _real("expm1", x)


def log(x: Any) -> Any:
    """The natural logarithm of x: -inf at 0, NaN below.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.log(1.0))
    0.0
    """
    return _real("log", x)


def log1p(x: Any) -> Any:
    """log(1 + x), accurate for small x.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.log1p(0.0))
    0.0
    """
    return _real("log1p", x)


def sqrt(x: Any) -> Any:
    """The square root of x: NaN below 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.sqrt(9.0))
    3.0
    """
    return _real("sqrt", x)


def rsqrt(x: Any) -> Any:
    """1 / sqrt(x).

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.rsqrt(4.0))
    0.5
    """
    return _real("rsqrt", x)


def reciprocal(x: Any) -> Any:
    """1 / x.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.reciprocal(4.0))
    0.25
    """
    return _real("reciprocal", x)


def sin(x: Any) -> Any:
    """The sine of x, in radians.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.sin(0.0))
    0.0
    """
    return _real("sin", x)


def cos(x: Any) -> Any:
    """The cosine of x, in radians.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.cos(0.0))
    1.0
    """
    return _real("cos", x)


def tanh(x: Any) -> Any:
    """The hyperbolic tangent of x.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.tanh(0.0))
    0.0
    """
    return _real("tanh", x)


def erf(x: Any) -> Any:
    """The error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.erf(0.0))
    0.0
    """
    return _real("erf", x)


def sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x).

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.sigmoid(0.0))
    0.5
    """
    return _real("sigmoid", x)


def relu(x: Any) -> Any:
    """max(0, x).

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.relu(-2.0))
    0.0
    """
    return _real("relu", x)


def silu(x: Any) -> Any:
    """x sigmoid(x).

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.silu(0.0))
    0.0
    """
    return _real("silu", x)


def softplus(x: Any) -> Any:
    """log(1 + e^x).

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.softplus(0.0))
    0.6931471805599453
    """
    return _real("softplus", x)


def softsign(x: Any) -> Any:
    """x / (1 + abs(x)).

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.softsign(1.0))
    0.5
    """
    return _real("softsign", x)


def hard_sigmoid(x: Any) -> Any:
    """max(0, min(1, x / 6 + 1 / 2)).

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.hard_sigmoid(0.0))
    0.5
    """
    return _real("hard_sigmoid", x)


def selu(x: Any) -> Any:
    """scale * elu(x), with the constants of Klambauer et al. (2017), arXiv:1706.02515.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.selu(0.0))
    0.0
    """
    return _real("selu", x)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where it is above 0, else alpha (e^x - 1).

    Parameters
    ----------
    alpha : float, default 1


    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.elu(0.0))
    0.0
    """
    return _real("elu", x, alpha=real("elu", "alpha", alpha))


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """x where it is above 0, else negative_slope * x.

    Parameters
    ----------
    negative_slope : float, default 0.2
        As in Keras.


    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.leaky_relu(-10.0))
    -2.0
    """
    return _real("leaky_relu", x, alpha=real("leaky_relu", "negative_slope", negative_slope))


def gelu(x: Any, approximate: bool = True) -> Any:
    """x P(X <= x) for a standard normal X.

    Parameters
    ----------
    approximate : bool, default True
        Whether to use the approximation by tanh, as Keras does by default.

    References
    ----------
    Hendrycks, Gimpel (2016), Gaussian error linear units, arXiv:1606.08415.


    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.gelu(0.0))
    0.0
    """
    return _real("gelu_tanh" if approximate else "gelu", x)


def negative(x: Any) -> Any:
    """-x.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.negative(2.0))
    -2.0
    """
    return _elementwise("negative", [x], _same_domain(x))


def absolute(x: Any) -> Any:
    """The absolute value of x; its derivative at 0 is 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.absolute(-2.0))
    2.0
    """
    return _elementwise("abs", [x], _same_domain(x))


def sign(x: Any) -> Any:
    """-1, 0 or 1 by the sign of x, with derivative 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.sign(-2.0))
    -1.0
    """
    return _elementwise("sign", [x], _same_domain(x))


def square(x: Any) -> Any:
    """x^2.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.square(3.0))
    9.0
    """
    return _elementwise("square", [x], _same_domain(x))


def floor(x: Any) -> Any:
    """The largest whole number not above x, with derivative 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.floor(-1.5))
    -2.0
    """
    return _elementwise("floor", [x], _same_domain(x))


def ceil(x: Any) -> Any:
    """The smallest whole number not below x, with derivative 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.ceil(-1.5))
    -1.0
    """
    return _elementwise("ceil", [x], _same_domain(x))


def round(x: Any) -> Any:
    """The nearest whole number, halves to the even one, with derivative 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.round(2.5))
    2.0
    """
    return _elementwise("round", [x], _same_domain(x))


def logical_not(x: Any) -> Any:
    """Whether x is 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.logical_not([0, 2])
    array([ True, False])
    """
    return _elementwise("logical_not", [x], "boolean")


def isfinite(x: Any) -> Any:
    """Whether x is neither infinite nor NaN.

    Examples
    --------
    >>> import nnfast as nf
    >>> bool(nf.ops.isfinite(1.0))
    True
    """
    return _elementwise("is_finite", [x], "boolean")


def isnan(x: Any) -> Any:
    """Whether x is NaN.

    Examples
    --------
    >>> import nnfast as nf
    >>> bool(nf.ops.isnan(1.0))
    False
    """
    return _elementwise("is_nan", [x], "boolean")


def add(x1: Any, x2: Any) -> Any:
    """x1 + x2.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.add(2.0, 3.0))
    5.0
    """
    return _elementwise("add", [x1, x2], _same_domain(x1, x2))


def subtract(x1: Any, x2: Any) -> Any:
    """x1 - x2.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.subtract(2.0, 3.0))
    -1.0
    """
    return _elementwise("subtract", [x1, x2], _same_domain(x1, x2))


def multiply(x1: Any, x2: Any) -> Any:
    """x1 * x2.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.multiply(2.0, 3.0))
    6.0
    """
    return _elementwise("multiply", [x1, x2], _same_domain(x1, x2))


def maximum(x1: Any, x2: Any) -> Any:
    """The larger of both; of equal ones the first gets the gradient.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.maximum(2.0, 3.0))
    3.0
    """
    return _elementwise("maximum", [x1, x2], _same_domain(x1, x2))


def minimum(x1: Any, x2: Any) -> Any:
    """The smaller of both; of equal ones the first gets the gradient.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.minimum(2.0, 3.0))
    2.0
    """
    return _elementwise("minimum", [x1, x2], _same_domain(x1, x2))


def floor_divide(x1: Any, x2: Any) -> Any:
    """floor(x1 / x2), with derivative 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> int(nf.ops.floor_divide(7, 2))
    3
    """
    return _elementwise("floor_divide", [x1, x2], _same_domain(x1, x2))


def mod(x1: Any, x2: Any) -> Any:
    """x1 - floor(x1 / x2) x2, which has the sign of x2.

    Examples
    --------
    >>> import nnfast as nf
    >>> int(nf.ops.mod(-7, 3))
    2
    """
    return _elementwise("mod", [x1, x2], _same_domain(x1, x2))


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
    return _elementwise("divide", [x1, x2], "real")


def power(x1: Any, x2: Any) -> Any:
    """x1^x2; NaN for a negative x1 and an x2 that is not whole.


    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.power(2.0, 3.0))
    8.0
    """
    exponent = None if isinstance(x2, Tensor) else _constant(x2)
    if exponent == 2:
        return square(x1)
    if exponent == 0.5 and domain_of(x1) == "real":
        return sqrt(x1)
    if exponent == -1 and domain_of(x1) == "real":
        return reciprocal(x1)
    return _elementwise("power", [x1, x2], _same_domain(x1, x2))


def equal(x1: Any, x2: Any) -> Any:
    """Whether x1 = x2.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.equal([1, 2], 2)
    array([False,  True])
    """
    return _elementwise("equal", [x1, x2], "boolean")


def not_equal(x1: Any, x2: Any) -> Any:
    """Whether x1 and x2 differ.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.not_equal([1, 2], 2)
    array([ True, False])
    """
    return _elementwise("not_equal", [x1, x2], "boolean")


def less(x1: Any, x2: Any) -> Any:
    """Whether x1 < x2.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.less([1, 2], 2)
    array([ True, False])
    """
    return _elementwise("less", [x1, x2], "boolean")


def less_equal(x1: Any, x2: Any) -> Any:
    """Whether x1 <= x2.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.less_equal([2, 3], 2)
    array([ True, False])
    """
    return _elementwise("less_equal", [x1, x2], "boolean")


def greater(x1: Any, x2: Any) -> Any:
    """Whether x1 > x2.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.greater([2, 3], 2)
    array([False,  True])
    """
    return _elementwise("greater", [x1, x2], "boolean")


def greater_equal(x1: Any, x2: Any) -> Any:
    """Whether x1 >= x2.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.greater_equal([1, 2], 2)
    array([False,  True])
    """
    return _elementwise("greater_equal", [x1, x2], "boolean")


def logical_and(x1: Any, x2: Any) -> Any:
    """Whether both are true, that is, not 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.logical_and([True, True], [True, False])
    array([ True, False])
    """
    return _elementwise("logical_and", [x1, x2], "boolean")


def logical_or(x1: Any, x2: Any) -> Any:
    """Whether one of them is true, that is, not 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.logical_or([True, False], [False, False])
    array([ True, False])
    """
    return _elementwise("logical_or", [x1, x2], "boolean")


def logical_xor(x1: Any, x2: Any) -> Any:
    """Whether one of them is true and the other is not.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.logical_xor([True, True], [True, False])
    array([False,  True])
    """
    return _elementwise("logical_xor", [x1, x2], "boolean")


def where(condition: Any, x1: Any, x2: Any) -> Any:
    """x1 where the condition holds, else x2, element by element.

    Parameters
    ----------
    condition : Tensor or array_like
        Booleans; of other numbers, all but 0 count as true. It has no gradient.


    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.where([True, False], [1.0, 2.0], 0.0)
    array([1., 0.])
    """
    if not is_symbolic(condition, x1, x2):
        condition = np.asarray(condition) != 0
    return _elementwise("where", [condition, x1, x2], _same_domain(x1, x2))


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
    >>> round(float(nf.ops.log10(1000.0)), 6)
    3.0
    """
    return divide(log(x), np.log(10.0))


def tan(x: Any) -> Any:
    """The tangent of x, in radians.


    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.tan(0.0))
    0.0
    """
    return divide(sin(x), cos(x))


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
        for function in (
            add,
            subtract,
            multiply,
            divide,
            floor_divide,
            mod,
            power,
            equal,
            not_equal,
            less,
            less_equal,
            greater,
            greater_equal,
            negative,
            absolute,
            logical_not,
        )
    }
)
