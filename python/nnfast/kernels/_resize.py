"""Upsampling, zero padding and cropping of images.

x : ndarray of shape (N, H, W, C)
    Images.
"""

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
    """Upsample images by integer factors.

    Parameters
    ----------
    size : int or (int, int)
        Factors for height and width.
    interpolation : {"nearest", "bilinear"}, default "nearest"
        "nearest" repeats each pixel. "bilinear" interpolates between pixel centers: row o of the output lies at row
        (o + 1/2) / size - 1/2 of the input, and the edge pixels extend beyond the border.

    Returns
    -------
    ndarray of shape (N, size H, size W, C)

    Notes
    -----
    Rows first, then columns; in each pass, an element is w_0 x_0 followed by fused multiply-adds with its other
    neighbors.

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
    size, interpolation
        See `upsample2d_forward`.

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
    """Pad images with zeros.

    Parameters
    ----------
    padding : int, (int, int) or ((top, bottom), (left, right))
        Rows and columns of zeros: for all sides, for each axis, or for each side.

    Returns
    -------
    ndarray of shape (N, top + H + bottom, left + W + right, C)

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.zero_padding2d_forward(np.ones((1, 1, 2, 1)), ((0, 0), (1, 2))).ravel()
    array([0., 1., 1., 0., 0.])
    """
    return _core.zero_padding2d(x, _margins("zero_padding2d_forward", "padding", padding), out)


def zero_padding2d_backward(dy: Array, padding: Any, out: Array | None = None) -> Array:
    """Gradient of `zero_padding2d_forward`: dy cropped.

    Parameters
    ----------
    padding
        See `zero_padding2d_forward`.

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
    """Crop images.

    Parameters
    ----------
    cropping : int, (int, int) or ((top, bottom), (left, right))
        Rows and columns to remove: from all sides, for each axis, or for each side.

    Returns
    -------
    ndarray of shape (N, H - top - bottom, W - left - right, C)

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.cropping2d_forward(np.arange(5.0).reshape(1, 1, 5, 1), ((0, 0), (1, 2))).ravel()
    array([1., 2.])
    """
    return _core.cropping2d(x, _margins("cropping2d_forward", "cropping", cropping), out)


def cropping2d_backward(dy: Array, cropping: Any, out: Array | None = None) -> Array:
    """Gradient of `cropping2d_forward`: dy padded with zeros.

    Parameters
    ----------
    cropping
        See `cropping2d_forward`.

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
