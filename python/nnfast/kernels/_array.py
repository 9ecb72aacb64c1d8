"""Reductions, gathering of rows, and element-wise sums and products."""

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
    """Sum of the elements along an axis, or of all elements. An empty sum is 0.

    The order of summation depends on the shape alone.

    Parameters
    ----------
    x : ndarray of shape (M, N), or of any shape if `axis` is None
    axis : {0, 1}, optional
        Axis to reduce; None reduces all.

    Returns
    -------
    float or ndarray of shape (N,) or (M,)

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.reduce_sum(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    array([4., 6.])
    """
    return _core.reduce_sum(x, _axis("reduce_sum", axis))


def reduce_max(x: Array, axis: int | None = None) -> Any:
    """Maximum along an axis, or of all elements; NaN if any element is NaN.

    Parameters
    ----------
    x : ndarray of shape (M, N), or of any shape if `axis` is None
        At least one element.
    axis : {0, 1}, optional
        Axis to reduce; None reduces all.

    Returns
    -------
    float or ndarray of shape (N,) or (M,)

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.reduce_max(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=1)
    array([2., 4.])
    """
    return _core.reduce_max(x, _axis("reduce_max", axis))


def argmax(x: Array) -> NDArray[np.int32]:
    """Index of the first maximum along the last axis; as in NumPy, a NaN counts as the maximum.

    Parameters
    ----------
    x : ndarray of shape (..., K)
        K is at least 1.

    Returns
    -------
    ndarray of int32, of x's shape without the last axis

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
    """Gather and rescale rows: out[i] = x[indices[i]] * scale + offset.

    This is how a training batch is made from images of one byte per pixel.

    Parameters
    ----------
    x : ndarray of shape (N, ...)
        Rows, of dtype uint8 or `dtype`.
    indices : ndarray of int64, of shape (B,)
        Row indices in [0, N), in any order and possibly repeated.
    scale, offset : float, default 1 and 0
        See `layers.Rescaling`.

    Returns
    -------
    ndarray of shape (B, ...)

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
    """Element-wise sum of two arrays of the same shape.

    Parameters
    ----------
    a, b : ndarray

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.add(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([4., 6.])
    """
    return _core.add(a, b)


def multiply(a: Array, b: Array) -> Array:
    """Element-wise product of two arrays of the same shape.

    Parameters
    ----------
    a, b : ndarray

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.multiply(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([3., 8.])
    """
    return _core.multiply(a, b)
