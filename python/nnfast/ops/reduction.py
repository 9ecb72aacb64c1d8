"""Reductions: sums, means, maxima and their kin over any axes of a tensor.

Long sums are accurate: they are added up in parts, whose sums are added in turn. A maximum, a minimum and a product are
NaN where a number is. Reduced over the batch axis, a tensor has no batch any more: it broadcasts to all rows.

Parameters
----------
x : Tensor, array_like or number
    Numbers. Booleans count as 0 and 1.
axis : int or tuple of int, optional
    The axes that are reduced, the batch being axis 0; negative ones count from the last. By default all of them.
keepdims : bool, default False
    Whether the reduced axes stay, with size 1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnfast.core.options import integer, real
from nnfast.core.tensor import Tensor
from nnfast.layers.operation import constant
from nnfast.ops.axes import axes_of, axis_of, full_sizes, is_batched, sizes_of
from nnfast.ops.core import apply, domain_of, is_symbolic
from nnfast.ops.elementwise import (
    absolute,
    add,
    cast,
    divide,
    exp,
    log,
    maximum,
    multiply,
    rsqrt,
    sqrt,
    square,
    stop_gradient,
    subtract,
)
from nnfast.ops.logic import equal, greater, isfinite, not_equal, where

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "broadcast_to",
    "count_nonzero",
    "cumsum",
    "log_softmax",
    "logsumexp",
    "max",
    "mean",
    "min",
    "norm",
    "normalize",
    "prod",
    "softmax",
    "std",
    "sum",
    "var",
]

Axis = int | tuple[int, ...] | None


def _reduce(function: str, x: Any, axis: Any, keepdims: bool, domain: str, **attributes: Any) -> Any:
    if axis is not None:
        attributes["axes"] = axes_of(function, axis, x)
    return apply("reduce", [x], domain, function=function, keepdims=bool(keepdims), **attributes)


def _widened(x: Any) -> Any:
    """Integers and booleans of an array as int64, like NumPy's sums."""
    return x if is_symbolic(x) or domain_of(x) == "real" else np.asarray(x, np.int64)


def _number(domain: str) -> str:
    return "integer" if domain == "boolean" else domain


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The sum, 0 of no numbers.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    array([4., 6.])
    """
    return _reduce("sum", _widened(x), axis, keepdims, _number(domain_of(x)))


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The mean, NaN of no numbers.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.mean([[1.0, 2.0], [3.0, 4.0]], axis=-1)
    array([1.5, 3.5])
    """
    return _reduce("mean", x, axis, keepdims, "real")


def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The largest number; of equal ones the first gets the gradient.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.max([[1.0, 2.0], [3.0, 4.0]], axis=0)
    array([3., 4.])
    """
    return _reduce("max", x, axis, keepdims, domain_of(x))


def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The smallest number; of equal ones the first gets the gradient.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.min([[1.0, 2.0], [3.0, 4.0]], axis=0)
    array([1., 2.])
    """
    return _reduce("min", x, axis, keepdims, domain_of(x))


def prod(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The product, 1 of no numbers. Its gradient is exact where numbers are 0, too.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.prod([[1.0, 2.0], [3.0, 4.0]], axis=1)
    array([ 2., 12.])
    """
    return _reduce("prod", _widened(x), axis, keepdims, _number(domain_of(x)))


def var(x: Any, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Any:
    """The variance: the mean of the squared distances from the mean.

    Parameters
    ----------
    ddof : int, default 0
        What is subtracted from the number of squares before their sum is divided by it: 1 for an unbiased estimate.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.var([1.0, 2.0, 3.0])), float(nf.ops.var([1.0, 2.0, 3.0], ddof=1))
    (0.6666666666666666, 1.0)
    """
    distance = subtract(x, mean(x, axis, keepdims=True))
    ddof = integer("var", "ddof", ddof, minimum=0)
    return _reduce("mean", square(distance), axis, keepdims, "real", **({"ddof": ddof} if ddof else {}))


def std(x: Any, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Any:
    """The standard deviation: the square root of `var`. It has no gradient (NaN) where all numbers are equal.

    Parameters
    ----------
    ddof : int, default 0
        See `var`.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.std([1.0, 3.0]))
    1.0
    """
    return sqrt(var(x, axis, keepdims, ddof))


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))), without overflow; -inf if all numbers are.

    Examples
    --------
    >>> import nnfast as nf
    >>> float(nf.ops.logsumexp([1000.0, 1000.0]))
    1000.6931471805599
    """
    largest = max(x, axis, keepdims=True)
    shift = stop_gradient(where(isfinite(largest), largest, 0.0))
    total = log(sum(exp(subtract(x, shift)), axis, keepdims))
    return add(total, sum(shift, axis, keepdims) if not keepdims else shift)


def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Whether any number is not 0; False of no numbers.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.any([[0, 0], [0, 2]], axis=1)
    array([False,  True])
    """
    return greater(count_nonzero(x, axis, keepdims), 0)


def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Whether all numbers are not 0; True of no numbers.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.all([[0, 1], [3, 2]], axis=1)
    array([False,  True])
    """
    return equal(sum(equal(x, 0), axis, keepdims), 0)


def count_nonzero(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """How many numbers are not 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.count_nonzero([[0, 1], [3, 2]], axis=1)
    array([1, 2])
    """
    return sum(not_equal(x, 0), axis, keepdims)


def _arg(function: str, x: Any, axis: int | None, keepdims: bool) -> Any:
    axes: dict[str, Any] = {} if axis is None else {"axes": [axis_of(function, axis, x)]}
    domain = "integer" if is_symbolic(x) else "real"
    place = apply("arg_reduce", [x], domain, function=function, keepdims=bool(keepdims), **axes)
    return place if is_symbolic(x) else cast(place, "int64")


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The place of the first largest number along an axis, or of the first NaN.

    Parameters
    ----------
    axis : int, optional
        By default the place among all numbers, in the order of a flat array.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.argmax([[1.0, 3.0, 3.0], [2.0, 1.0, 0.0]], axis=1)
    array([1, 0])
    """
    return _arg("argmax", x, axis, keepdims)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The place of the first smallest number along an axis, or of the first NaN.

    Parameters
    ----------
    axis : int, optional
        By default the place among all numbers, in the order of a flat array.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.argmin([[1.0, 3.0, 3.0], [2.0, 1.0, 0.0]], axis=1)
    array([0, 2])
    """
    return _arg("argmin", x, axis, keepdims)


def cumsum(x: Any, axis: int | None = None, *, reverse: bool = False, exclusive: bool = False) -> Any:
    """The sums of all numbers up to each place of an axis, added up in float64.

    Parameters
    ----------
    axis : int, optional
        Without it, x is flattened first.
    reverse : bool, default False
        Whether to begin at the end of the axis.
    exclusive : bool, default False
        Whether to leave out the number at the place itself, so that the first sum is 0.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.cumsum([1.0, 2.0, 3.0]), nf.ops.cumsum([1.0, 2.0, 3.0], reverse=True, exclusive=True)
    (array([1., 3., 6.]), array([5., 3., 0.]))
    """
    if axis is None:
        if is_batched(x) and x.ndim > 1:
            raise ValueError(f"cumsum: expected an axis of {x!r}, because the batch axis stays, got None")
        x, axis = x if is_batched(x) else apply("reshape", [x], domain_of(x), shape=[-1]), 0
    attributes = {"axis": axis_of("cumsum", axis, x), "reverse": bool(reverse), "exclusive": bool(exclusive)}
    return apply("cumulative_sum", [_widened(x)], _number(domain_of(x)), **attributes)


def _is_of_rows(function: str, x: Any, axis: Any) -> bool:
    """Whether it works along the last axis, of a fixed size."""
    sizes = sizes_of(x)
    return axis is not None and axes_of(function, axis, x) == [len(sizes) - 1] and sizes[-1] is not None


def softmax(x: Any, axis: Axis = -1) -> Any:
    """exp(x) / sum(exp(x)), without overflow.

    Parameters
    ----------
    axis : int or tuple of int, default -1
        The axes over which the results sum to 1; None for all.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.softmax([0.0, 0.0])
    array([0.5, 0.5])
    """
    if _is_of_rows("softmax", x, axis):
        return apply("softmax", [x], function="softmax")
    weights = exp(subtract(x, stop_gradient(max(x, axis, keepdims=True))))
    return divide(weights, sum(weights, axis, keepdims=True))


def log_softmax(x: Any, axis: Axis = -1) -> Any:
    """The logarithm of `softmax`: x - log(sum(exp(x))), without overflow.

    Parameters
    ----------
    axis : int or tuple of int, default -1
        See `softmax`.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.log_softmax([0.0, 0.0]).round(4)
    array([-0.6931, -0.6931])
    """
    if _is_of_rows("log_softmax", x, axis):
        return apply("softmax", [x], function="log_softmax")
    shifted = subtract(x, stop_gradient(max(x, axis, keepdims=True)))
    return subtract(shifted, log(sum(exp(shifted), axis, keepdims=True)))


def norm(x: Any, ord: float | None = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """The norm of vectors: the square root of the sum of squares. Its gradient at 0 is 0.

    Parameters
    ----------
    ord : {None, 1, 2, inf}, default None
        None and 2 for the norm above, 1 for the sum of absolute values, inf for the largest of them.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.norm([[3.0, 4.0], [0.0, 2.0]], axis=1)
    array([5., 2.])
    """
    if ord not in (None, 1, 2, math.inf):
        raise ValueError(f"norm: expected an ord of None, 1, 2 or inf, got {ord!r}")
    if ord == 1:
        return sum(absolute(x), axis, keepdims)
    if ord == math.inf:
        return max(absolute(x), axis, keepdims)
    squares = sum(square(x), axis, keepdims)
    nothing = equal(squares, 0)
    return where(nothing, 0.0, sqrt(where(nothing, 1.0, squares)))


def normalize(x: Any, axis: Axis = -1, epsilon: float = 1e-12) -> Any:
    """x divided by its `norm` along an axis.

    Parameters
    ----------
    axis : int or tuple of int, default -1
    epsilon : float, default 1e-12
        The least divisor.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.normalize([3.0, 4.0])
    array([0.6, 0.8])
    """
    least = real("normalize", "epsilon", epsilon) ** 2
    return multiply(x, rsqrt(maximum(sum(square(x), axis, keepdims=True), least)))


def broadcast_to(x: Any, shape: tuple[int | None, ...]) -> Any:
    """x, repeated along axes of size 1, and new ones in front, so that it has that shape.

    Parameters
    ----------
    shape : tuple of int
        The sizes of all axes. A first size of None is the batch, as in the result of `shape`.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.ops.broadcast_to([1.0, 2.0], (2, 2))
    array([[1., 2.],
           [1., 2.]])
    """
    sizes, batched = full_sizes("broadcast_to", shape)
    tensor = constant(x) if batched and not is_symbolic(x) else x
    return apply("broadcast_to", [tensor], domain_of(x), shape=sizes)


Tensor.operators["sum"] = sum
