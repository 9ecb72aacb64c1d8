"""Reductions, row gathering, and sums and products of two arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnfast import _core
from nnfast.core.options import integer, real
from nnfast.core.typing import Array
from nnfast.kernels._arguments import dtype_of


def _axis(where: str, axis: Any) -> int | None:
    return None if axis is None else integer(where, "axis", axis, minimum=-(2**31), upper_bound=2**31)


def reduce_sum(x: Array, axis: int | None = None) -> Any:
    """Sum of the elements, along one axis or of all.

    Parameters
    ----------
    x : ndarray of shape (M, N), or any shape without an axis
        Input.
    axis : {0, 1}, optional
        Axis that disappears; None (default) sums everything.

    Returns
    -------
    float or ndarray
        A number without an axis, else an array of shape (N,) for axis 0 and (M,) for axis 1.

    Raises
    ------
    ValueError
        If `axis` does not exist or `x` is not contiguous.
    TypeError
        If the dtype is not float32 or float64.

    Notes
    -----
    Partial sums in a fixed order that depends on the shape alone, not on threads or the instruction set. An empty sum
    is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.reduce_sum(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    array([4., 6.])
    """
    return _core.reduce_sum(x, _axis("reduce_sum", axis))


def reduce_max(x: Array, axis: int | None = None) -> Any:
    """Largest element, along one axis or of all.

    Parameters
    ----------
    x : ndarray of shape (M, N), or any shape without an axis
        Input.
    axis : {0, 1}, optional
        Axis that disappears; None (default) takes everything.

    Returns
    -------
    float or ndarray
        A number without an axis, else an array of shape (N,) for axis 0 and (M,) for axis 1.

    Raises
    ------
    ValueError
        If `x` has no elements, `axis` does not exist or `x` is not contiguous.
    TypeError
        If the dtype is not float32 or float64.

    Notes
    -----
    Exact; one pass. The result is NaN where an element is.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.reduce_max(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=1)
    array([2., 4.])
    """
    return _core.reduce_max(x, _axis("reduce_max", axis))


def argmax(x: Array) -> NDArray[np.int32]:
    """Index of the first largest element over the last axis.

    Parameters
    ----------
    x : ndarray of shape (..., K)
        Input.

    Returns
    -------
    ndarray of int32, of x's shape without the last axis

    Raises
    ------
    ValueError
        If K is 0 or `x` is not contiguous.
    TypeError
        If the dtype is not float32 or float64.

    Notes
    -----
    Exact; one pass. Of equals the first; of NaNs too, before any number, as in NumPy.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.argmax(np.array([[1.0, 3.0, 3.0]]))
    array([1], dtype=int32)
    """
    return _core.argmax(x)


def gather_rows(
    x: Array, indices: NDArray[np.int64], scale: float = 1.0, offset: float = 0.0, dtype: str = "float32"
) -> Array:
    """Take rows by number, and rescale them: out[i] = x[indices[i]] * scale + offset.

    Parameters
    ----------
    x : ndarray of shape (N, ...)
        Rows, uint8 or `dtype`.
    indices : ndarray of int64, of shape (B,)
        Row numbers in [0, N), in any order; a number may come twice.
    scale, offset : float, default 1 and 0
        Rescaling, as in `layers.Rescaling`.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.

    Returns
    -------
    ndarray of shape (B, ...)

    Raises
    ------
    ValueError
        If a row number is out of range, an array is not contiguous, or `dtype` is not one of those named.
    TypeError
        If an array is none, `indices` are not int64, or `x` is neither uint8 nor `dtype`.

    Notes
    -----
    One pass over B rows: this makes a training batch from images of one byte a pixel.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.gather_rows(np.array([[0, 255], [64, 32]], np.uint8), np.array([1, 0]), scale=1 / 128)
    array([[0.5      , 0.25     ],
           [0.       , 1.9921875]], dtype=float32)
    """
    where = "gather_rows"
    rescaling = real(where, "scale", scale), real(where, "offset", offset)
    return _core.gather_rows(x, indices, *rescaling, dtype_of(where, dtype))


def add(a: Array, b: Array) -> Array:
    """Sum of two arrays of one shape, element by element: a + b.

    Parameters
    ----------
    a, b : ndarray
        Of the same shape; there is no broadcasting.

    Returns
    -------
    ndarray of that shape

    Raises
    ------
    ValueError
        If the shapes differ or an array is not contiguous.
    TypeError
        If a dtype is not float32 or float64, or the dtypes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.add(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([4., 6.])
    """
    return _core.add(a, b)


def multiply(a: Array, b: Array) -> Array:
    """Product of two arrays of one shape, element by element: a * b.

    Parameters, errors and cost are those of `add`.

    Parameters
    ----------
    a, b : ndarray
        Of the same shape; there is no broadcasting.

    Returns
    -------
    ndarray of that shape

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.multiply(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([3., 8.])
    """
    return _core.multiply(a, b)
