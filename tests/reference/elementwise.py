"""Element-wise functions of one and two numbers, with their gradients, in float64 or longer."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.math_functions import erf

Array = NDArray[Any]

UNARY: dict[str, Callable[[Array], Array]] = {
    "negative": np.negative,
    "abs": np.abs,
    "sign": np.sign,
    "square": np.square,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "reciprocal": lambda x: 1 / x,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "erf": lambda x: erf(x.astype(np.longdouble)),
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.round,
    "logical_not": np.logical_not,
    "is_finite": np.isfinite,
    "is_nan": np.isnan,
}

# The derivatives; 0 where there is none.
UNARY_SLOPE: dict[str, Callable[[Array], Array]] = {
    "negative": lambda x: np.full_like(x, -1),
    "abs": np.sign,
    "square": lambda x: 2 * x,
    "sqrt": lambda x: 0.5 / np.sqrt(x),
    "rsqrt": lambda x: -0.5 / (x * np.sqrt(x)),
    "reciprocal": lambda x: -1 / (x * x),
    "exp": np.exp,
    "expm1": np.exp,
    "log": lambda x: 1 / x,
    "log1p": lambda x: 1 / (1 + x),
    "sin": np.cos,
    "cos": lambda x: -np.sin(x),
    "tanh": lambda x: 1 / np.cosh(x) ** 2,
    "erf": lambda x: 2 / np.sqrt(np.pi) * np.exp(-x * x),
}

BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "power": np.power,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
    "floor_divide": np.floor_divide,
    "mod": np.mod,
}


def _power_slopes(a: Array, b: Array) -> tuple[Array, Array]:
    with np.errstate(all="ignore"):
        da = np.where(b == 0, 0, b * np.power(a, b - 1))
        db = np.where((a == 0) & (b >= 0), 0, np.power(a, b) * np.log(a))
    return da, db


# The derivatives with respect to a and b; none: 0.
BINARY_SLOPES: dict[str, Callable[[Array, Array], tuple[Any, Any]]] = {
    "add": lambda a, b: (1, 1),
    "subtract": lambda a, b: (1, -1),
    "multiply": lambda a, b: (b, a),
    "divide": lambda a, b: (1 / b, -a / (b * b)),
    "power": _power_slopes,
    "maximum": lambda a, b: (a >= b, a < b),
    "minimum": lambda a, b: (a <= b, a > b),
    "mod": lambda a, b: (1, -np.floor(a / b)),
}


def unary(name: str, x: Array) -> Array:
    """Return f(x); truth values are 0 and 1."""
    with np.errstate(all="ignore"):
        return UNARY[name](x.astype(np.longdouble)).astype(np.float64)


def unary_backward(name: str, dy: Array, x: Array) -> Array:
    """Return dy f'(x)."""
    if name not in UNARY_SLOPE:
        return np.zeros(x.shape)
    with np.errstate(all="ignore"):
        return dy.astype(np.float64) * UNARY_SLOPE[name](x.astype(np.float64))


def binary(name: str, a: Array, b: Array) -> Array:
    """Return f(a, b)."""
    wide = np.float64 if name in ("floor_divide", "mod") else np.longdouble
    with np.errstate(all="ignore"):
        return BINARY[name](a.astype(wide), b.astype(wide)).astype(np.float64)


def binary_backward(name: str, dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Return dy df/da and dy df/db."""
    if name not in BINARY_SLOPES:
        return np.zeros(a.shape), np.zeros(a.shape)
    with np.errstate(all="ignore"):
        slopes = BINARY_SLOPES[name](a.astype(np.float64), b.astype(np.float64))
        return dy.astype(np.float64) * slopes[0], dy.astype(np.float64) * slopes[1]
