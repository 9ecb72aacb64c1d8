"""Comparisons and logic, element by element, and the choice between two values.

They take symbolic tensors, arrays and numbers; operands of different shapes are broadcast by NumPy's rules, the batch
axis included. On symbolic tensors they return a tensor, else an array. Booleans have no gradient.

Parameters
----------
x, x1, x2 : Tensor, array_like or number
    Operands.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnfast.core.tensor import Tensor
from nnfast.ops.core import elementwise, is_symbolic, same_domain

__all__ = [
    "equal",
    "greater",
    "greater_equal",
    "isfinite",
    "isnan",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "not_equal",
    "where",
]


def logical_not(x: Any) -> Any:
    """Whether x is 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.logical_not([0, 2])
    array([ True, False])
    """
    return elementwise("logical_not", [x], "boolean")


def isfinite(x: Any) -> Any:
    """Whether x is neither infinite nor NaN.

    Examples
    --------
    >>> import nnfast as nf
    >>> bool(nf.ops.isfinite(1.0))
    True
    """
    return elementwise("is_finite", [x], "boolean")


def isnan(x: Any) -> Any:
    """Whether x is NaN.

    Examples
    --------
    >>> import nnfast as nf
    >>> bool(nf.ops.isnan(1.0))
    False
    """
    return elementwise("is_nan", [x], "boolean")


def equal(x1: Any, x2: Any) -> Any:
    """Whether x1 = x2.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.equal([1, 2], 2)
    array([False,  True])
    """
    return elementwise("equal", [x1, x2], "boolean")


def not_equal(x1: Any, x2: Any) -> Any:
    """Whether x1 and x2 differ.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.not_equal([1, 2], 2)
    array([ True, False])
    """
    return elementwise("not_equal", [x1, x2], "boolean")


def less(x1: Any, x2: Any) -> Any:
    """Whether x1 < x2.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.less([1, 2], 2)
    array([ True, False])
    """
    return elementwise("less", [x1, x2], "boolean")


def less_equal(x1: Any, x2: Any) -> Any:
    """Whether x1 <= x2.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.less_equal([2, 3], 2)
    array([ True, False])
    """
    return elementwise("less_equal", [x1, x2], "boolean")


def greater(x1: Any, x2: Any) -> Any:
    """Whether x1 > x2.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.greater([2, 3], 2)
    array([False,  True])
    """
    return elementwise("greater", [x1, x2], "boolean")


def greater_equal(x1: Any, x2: Any) -> Any:
    """Whether x1 >= x2.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.greater_equal([1, 2], 2)
    array([False,  True])
    """
    return elementwise("greater_equal", [x1, x2], "boolean")


def logical_and(x1: Any, x2: Any) -> Any:
    """Whether both are true, that is, not 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.logical_and([True, True], [True, False])
    array([ True, False])
    """
    return elementwise("logical_and", [x1, x2], "boolean")


def logical_or(x1: Any, x2: Any) -> Any:
    """Whether one of them is true, that is, not 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.logical_or([True, False], [False, False])
    array([ True, False])
    """
    return elementwise("logical_or", [x1, x2], "boolean")


def logical_xor(x1: Any, x2: Any) -> Any:
    """Whether one of them is true and the other is not.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.logical_xor([True, True], [True, False])
    array([False,  True])
    """
    return elementwise("logical_xor", [x1, x2], "boolean")


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
    return elementwise("where", [condition, x1, x2], same_domain(x1, x2))


Tensor.operators.update(
    {
        function.__name__: function
        for function in (equal, not_equal, less, less_equal, greater, greater_equal, logical_not)
    }
)
