"""Up-sampling, zero padding and cropping of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnfast import _core
from nnfast.core.options import choose
from nnfast.core.typing import Array
from nnfast.core.window import each, margins_of, plain_margins, sizes_of

_INTERPOLATIONS = ("nearest", "bilinear")


def _margins(where: str, name: str, value: Any) -> list[int]:
    return plain_margins(margins_of(where, name, value, 2), 2)


def upsample2d_forward(
    x: Array, size: int | Sequence[int], interpolation: str = "nearest", out: Array | None = None
) -> Array:
    """Images made larger by whole factors.

    Parameters
    ----------
    x : ndarray of shape (N, H, W, C)
        Images.
    size : int or pair of int
        Factors of height and width.
    interpolation : {"nearest", "bilinear"}, default "nearest"
        "nearest" repeats each pixel. "bilinear" interpolates between the centres of pixels: row o of the output lies
        at row (o + 1/2) / size - 1/2 of the input; beyond the outermost centres the image goes on as it is there.
    out : ndarray of shape (N, size H, size W, C), optional
        Where the result goes; apart from `x` in memory.

    Returns
    -------
    ndarray of shape (N, size H, size W, C)

    Raises
    ------
    ValueError
        If a size is not positive, the interpolation unknown, a shape wrong or an array not contiguous.
    TypeError
        If a dtype is not float32 or float64, or the dtypes differ.

    Notes
    -----
    Rows first, then columns. An element of either pass is w_0 x_0, then fused multiply-adds with its other neighbours.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.upsample2d_forward(np.array([0.0, 4.0]).reshape(1, 1, 2, 1), (1, 2), "bilinear").ravel()
    array([0., 1., 3., 4.])
    """
    factors = each(sizes_of("upsample2d_forward", "size", size, 2), 2)
    return _core.upsample2d_forward(x, factors, choose("interpolation", interpolation, _INTERPOLATIONS), out)


def upsample2d_backward(
    dy: Array, size: int | Sequence[int], interpolation: str = "nearest", out: Array | None = None
) -> Array:
    """Gradient of `upsample2d_forward`: the transpose of its linear map.

    Parameters
    ----------
    dy : ndarray of shape (N, size H, size W, C)
        Gradient with respect to the output.
    size, interpolation
        As in the forward pass; errors too.
    out : ndarray of shape (N, H, W, C), optional
        Where the result goes; apart from `dy` in memory.

    Returns
    -------
    ndarray of shape (N, H, W, C)

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.upsample2d_backward(np.arange(4.0).reshape(1, 1, 4, 1), (1, 2)).ravel()
    array([1., 5.])
    """
    factors = each(sizes_of("upsample2d_backward", "size", size, 2), 2)
    return _core.upsample2d_backward(dy, factors, choose("interpolation", interpolation, _INTERPOLATIONS), out)


def zero_padding2d_forward(x: Array, padding: Any, out: Array | None = None) -> Array:
    """Images with zeros around.

    Parameters
    ----------
    x : ndarray of shape (N, H, W, C)
        Images.
    padding : int, pair of int, or pair of pairs
        Rows and columns of zeros: on all sides, for each axis, or ((top, bottom), (left, right)).
    out : ndarray of shape (N, top + H + bottom, left + W + right, C), optional
        Where the result goes; apart from `x` in memory.

    Returns
    -------
    ndarray of shape (N, top + H + bottom, left + W + right, C)

    Raises
    ------
    ValueError
        If an amount is negative, a shape wrong or an array not contiguous.
    TypeError
        If an amount is no integer, a dtype is not float32 or float64, or the dtypes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.zero_padding2d_forward(np.ones((1, 1, 2, 1)), ((0, 0), (1, 2))).ravel()
    array([0., 1., 1., 0., 0.])
    """
    return _core.zero_padding2d(x, _margins("zero_padding2d_forward", "padding", padding), out)


def zero_padding2d_backward(dy: Array, padding: Any, out: Array | None = None) -> Array:
    """Gradient of `zero_padding2d_forward`: dy without its margins.

    Parameters
    ----------
    dy : ndarray of shape (N, top + H + bottom, left + W + right, C)
        Gradient with respect to the output.
    padding
        As in the forward pass; errors too.
    out : ndarray of shape (N, H, W, C), optional
        Where the result goes; apart from `dy` in memory.

    Returns
    -------
    ndarray of shape (N, H, W, C)

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.zero_padding2d_backward(np.arange(5.0).reshape(1, 1, 5, 1), ((0, 0), (1, 2))).ravel()
    array([1., 2.])
    """
    return _core.cropping2d(dy, _margins("zero_padding2d_backward", "padding", padding), out)


def cropping2d_forward(x: Array, cropping: Any, out: Array | None = None) -> Array:
    """Images without their margins.

    Parameters
    ----------
    x : ndarray of shape (N, H, W, C)
        Images.
    cropping : int, pair of int, or pair of pairs
        Rows and columns that fall away: on all sides, for each axis, or ((top, bottom), (left, right)).
    out : ndarray of shape (N, H - top - bottom, W - left - right, C), optional
        Where the result goes; apart from `x` in memory.

    Returns
    -------
    ndarray of shape (N, H - top - bottom, W - left - right, C)

    Raises
    ------
    ValueError
        If nothing would be left, an amount is negative, a shape wrong or an array not contiguous.
    TypeError
        If an amount is no integer, a dtype is not float32 or float64, or the dtypes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.cropping2d_forward(np.arange(5.0).reshape(1, 1, 5, 1), ((0, 0), (1, 2))).ravel()
    array([1., 2.])
    """
    return _core.cropping2d(x, _margins("cropping2d_forward", "cropping", cropping), out)


def cropping2d_backward(dy: Array, cropping: Any, out: Array | None = None) -> Array:
    """Gradient of `cropping2d_forward`: dy with zeros around.

    Parameters
    ----------
    dy : ndarray of shape (N, H - top - bottom, W - left - right, C)
        Gradient with respect to the output.
    cropping
        As in the forward pass; errors too.
    out : ndarray of shape (N, H, W, C), optional
        Where the result goes; apart from `dy` in memory.

    Returns
    -------
    ndarray of shape (N, H, W, C)

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.cropping2d_backward(np.ones((1, 1, 2, 1)), ((0, 0), (1, 2))).ravel()
    array([0., 1., 1., 0., 0.])
    """
    return _core.zero_padding2d(dy, _margins("cropping2d_backward", "cropping", cropping), out)
