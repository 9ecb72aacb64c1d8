"""Element-wise functions of one or two arrays, and their gradients.

Truth values are the numbers 0 and 1; every other number, and NaN, counts as true.

x, a, b : ndarray
    Inputs, of any shape; those of one call have the same shape.
y : ndarray of dy's shape
    Result of the forward pass.
"""

from __future__ import annotations

from nnfast import _core
from nnfast.core.options import choose
from nnfast.core.typing import Array

_UNARY = _core.unary_names()
_BINARY = _core.binary_names()


def unary_forward(name: str, x: Array, out: Array | None = None) -> Array:
    """Apply a function of one number: y = f(x).

    Parameters
    ----------
    name : str
        negative, abs, sign, square, sqrt, rsqrt, reciprocal, exp, expm1, log, log1p, sin, cos, tanh, erf, floor, ceil,
        round (half to even), logical_not, is_finite or is_nan.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.unary_forward("round", np.array([0.5, 1.5, -1.2]))
    array([ 0.,  2., -1.])
    """
    return _core.unary_forward(choose("function", name, _UNARY), x, out)


def unary_backward(name: str, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
    """Gradient of a function of one number: dx = dy f'(x).

    The derivative of abs at 0 is 0, and so is that of steps (sign, floor, ceil, round) and truth values everywhere.

    Parameters
    ----------
    name : str
        A name of `unary_forward`.
    x : ndarray of dy's shape
        Input of the forward pass; each derivative uses x or y, whichever is cheaper.
    out : ndarray, optional
        Receives the result; it may be dy.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> x = np.array([-3.0, 0.0, 2.0])
    >>> kernels.unary_backward("square", np.ones(3), x, x * x)
    array([-6.,  0.,  4.])
    """
    return _core.unary_backward(choose("function", name, _UNARY), dy, x, y, out)


def binary_forward(name: str, a: Array, b: Array, out: Array | None = None) -> Array:
    """Apply a function of two numbers: y = f(a, b).

    Parameters
    ----------
    name : str
        add, subtract, multiply, divide, power, maximum, minimum (NaN where either is), equal, not_equal, less,
        less_equal, greater, greater_equal, logical_and, logical_or, logical_xor, floor_divide or mod (as in NumPy).
    out : ndarray, optional
        Receives the result; it may be a or b.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.binary_forward("mod", np.array([-7.0, 7.0]), np.array([3.0, 3.0]))
    array([2., 1.])
    """
    return _core.binary_forward(choose("function", name, _BINARY), a, b, out)


def binary_backward(
    name: str, dy: Array, a: Array, b: Array, y: Array, out: tuple[Array, Array] | None = None
) -> tuple[Array, Array]:
    """Gradients of a function of two numbers: da = dy df/da, db = dy df/db.

    Of a maximum or minimum of equal numbers, the first gets the gradient. The gradients of a power are da = b a^(b-1),
    0 where b is 0, and db = y log(a), 0 where a is 0 and b >= 0. Those of comparisons, logic and floor_divide are 0.

    Parameters
    ----------
    name : str
        A name of `binary_forward`.
    a, b : ndarray of dy's shape
        Inputs of the forward pass.
    out : pair of ndarray, optional
        Receive da and db; one of them may be dy.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> a, b = np.array([2.0, 3.0]), np.array([5.0, 7.0])
    >>> kernels.binary_backward("multiply", np.ones(2), a, b, a * b)
    (array([5., 7.]), array([2., 3.]))
    """
    return _core.binary_backward(choose("function", name, _BINARY), dy, a, b, y, out)


def where_forward(condition: Array, a: Array, b: Array, out: Array | None = None) -> Array:
    """Choose: y = a where the condition is not 0, else b.

    Parameters
    ----------
    condition : ndarray of a's shape
        Zeros, and other numbers. It has the dtype of a.
    out : ndarray, optional
        Receives the result; it may be an input.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.where_forward(np.array([1.0, 0.0]), np.array([2.0, 3.0]), np.array([4.0, 5.0]))
    array([2., 5.])
    """
    return _core.where_forward(condition, a, b, out)


def where_backward(dy: Array, condition: Array, out: tuple[Array, Array] | None = None) -> tuple[Array, Array]:
    """Gradients of `where_forward`: da = dy where the condition is not 0, else 0; db is the rest of dy.

    Parameters
    ----------
    condition : ndarray of dy's shape
        Zeros, and other numbers.
    out : pair of ndarray, optional
        Receive da and db; one of them may be dy.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.where_backward(np.array([2.0, 3.0]), np.array([1.0, 0.0]))
    (array([2., 0.]), array([0., 3.]))
    """
    return _core.where_backward(dy, condition, out)
