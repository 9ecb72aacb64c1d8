"""Pooling of images. Sequences (N, T, C) can be passed as ``x[:, None]``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnfast import _core
from nnfast.core.typing import Array
from nnfast.core.window import each, padding_of, plain_padding, sizes_of

Sizes = int | Sequence[int]


def _options(where: str, pool_size: Sizes, strides: Sizes | None, padding: Any) -> tuple[Any, Any, Any]:
    size = each(sizes_of(where, "pool_size", pool_size, 2), 2)
    steps = size if strides is None else each(sizes_of(where, "strides", strides, 2), 2)
    return size, steps, plain_padding(padding_of(where, padding, 2))


def max_pool2d_forward(
    x: Array,
    pool_size: Sizes,
    strides: Sizes | None = None,
    padding: Any = "valid",
    out: Array | None = None,
    winners: Array | None = None,
) -> Array:
    """Maximum over each window, per channel; padding never wins.

    The first of equal maxima counts. A window that contains NaN gives NaN, and its last NaN is the winner.

    Parameters
    ----------
    x : ndarray of shape (N, H, W, C)
        Images.
    pool_size : int or (int, int)
        Height and width of the window.
    strides : int or (int, int), optional
        Step between windows; by default `pool_size`.
    padding : {"valid", "same"}, int, (int, int) or ((top, bottom), (left, right)), default "valid"
        Must be smaller than the window.
    winners : ndarray of the result's shape and dtype, optional
        Receives the index of each maximum within its window, clipped to the image, in row-major order; needed by the
        backward pass. The window or image may then have at most 2^24 elements.

    Returns
    -------
    ndarray of shape (N, OH, OW, C), OH = floor((H + top + bottom - height) / stride) + 1

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.max_pool2d_forward(np.arange(16.0).reshape(1, 4, 4, 1), 2)[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    return _core.max_pool2d_forward(x, *_options("max_pool2d_forward", pool_size, strides, padding), out, winners)


def max_pool2d_backward(
    dy: Array,
    winners: Array,
    size: Sequence[int],
    pool_size: Sizes,
    strides: Sizes | None = None,
    padding: Any = "valid",
    out: Array | None = None,
) -> Array:
    """Gradient of `max_pool2d_forward`: each dy is added to the winner of its window.

    Parameters
    ----------
    winners : ndarray of shape (N, OH, OW, C)
        From the forward pass. For an index outside the window, dy is dropped.
    size : int or (int, int)
        (H, W) of the input of the forward pass.
    pool_size, strides, padding
        See `max_pool2d_forward`.

    Returns
    -------
    ndarray of shape (N, H, W, C)

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> x = np.array([[1.0, 3.0], [3.0, 2.0]]).reshape(1, 2, 2, 1)
    >>> winners = np.empty((1, 1, 1, 1))
    >>> y = kernels.max_pool2d_forward(x, 2, winners=winners)
    >>> winners.item()
    1.0
    >>> kernels.max_pool2d_backward(np.ones((1, 1, 1, 1)), winners, (2, 2), 2)[0, :, :, 0]
    array([[0., 1.],
           [0., 0.]])
    """
    where = "max_pool2d_backward"
    extent = each(sizes_of(where, "size", size, 2), 2)
    return _core.max_pool2d_backward(dy, winners, extent, *_options(where, pool_size, strides, padding), out)


def avg_pool2d_forward(
    x: Array, pool_size: Sizes, strides: Sizes | None = None, padding: Any = "valid", out: Array | None = None
) -> Array:
    """Mean of each window, per channel, over the elements inside the image.

    The sum runs over the window in row-major order (in parts if it has more than 128 elements) and is multiplied by
    1 / count.

    Parameters
    ----------
    x, pool_size, strides, padding
        See `max_pool2d_forward`.

    Returns
    -------
    ndarray of shape (N, OH, OW, C), as for `max_pool2d_forward`

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.avg_pool2d_forward(np.arange(4.0).reshape(1, 2, 2, 1), 3, padding="same", strides=1)[0, :, :, 0]
    array([[1.5, 1.5],
           [1.5, 1.5]])
    """
    return _core.avg_pool2d_forward(x, *_options("avg_pool2d_forward", pool_size, strides, padding), out)


def avg_pool2d_backward(
    dy: Array,
    size: Sequence[int],
    pool_size: Sizes,
    strides: Sizes | None = None,
    padding: Any = "valid",
    out: Array | None = None,
) -> Array:
    """Gradient of `avg_pool2d_forward`: each dy is distributed evenly over its window.

    Parameters
    ----------
    size, pool_size, strides, padding
        See `max_pool2d_backward`.

    Returns
    -------
    ndarray of shape (N, H, W, C)

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.avg_pool2d_backward(np.ones((1, 1, 1, 1)), (2, 2), 2)[0, :, :, 0]
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    where = "avg_pool2d_backward"
    extent = each(sizes_of(where, "size", size, 2), 2)
    return _core.avg_pool2d_backward(dy, extent, *_options(where, pool_size, strides, padding), out)


def global_max_pool2d_forward(x: Array, out: Array | None = None, winners: Array | None = None) -> Array:
    """Maximum of each channel over the image; see `max_pool2d_forward` for ties and NaN.

    Parameters
    ----------
    x, winners
        See `max_pool2d_forward`.

    Returns
    -------
    ndarray of shape (N, C)

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.global_max_pool2d_forward(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[6., 7.]])
    """
    return _core.max_pool2d_forward(x, [], [], "valid", out, winners)


def global_max_pool2d_backward(dy: Array, winners: Array, size: Sequence[int], out: Array | None = None) -> Array:
    """Gradient of `global_max_pool2d_forward`: dy goes to the winning pixel.

    Parameters
    ----------
    winners : ndarray of shape (N, C)
        From the forward pass. For an index outside the image, dy is dropped.
    size : int or (int, int)
        (H, W) of the input of the forward pass.

    Returns
    -------
    ndarray of shape (N, H, W, C)

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> x, winners = np.array([1.0, 3.0, 3.0]).reshape(1, 3, 1, 1), np.empty((1, 1))
    >>> y = kernels.global_max_pool2d_forward(x, winners=winners)
    >>> kernels.global_max_pool2d_backward(np.ones((1, 1)), winners, (3, 1)).ravel()
    array([0., 1., 0.])
    """
    extent = each(sizes_of("global_max_pool2d_backward", "size", size, 2), 2)
    return _core.max_pool2d_backward(dy, winners, extent, [], [], "valid", out)


def global_avg_pool2d_forward(x: Array, out: Array | None = None) -> Array:
    """Mean of each channel over the image; sums are computed as in `avg_pool2d_forward`.

    Parameters
    ----------
    x : ndarray of shape (N, H, W, C)
        Images.

    Returns
    -------
    ndarray of shape (N, C)

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.global_avg_pool2d_forward(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[3., 4.]])
    """
    return _core.avg_pool2d_forward(x, [], [], "valid", out)


def global_avg_pool2d_backward(dy: Array, size: Sequence[int], out: Array | None = None) -> Array:
    """Gradient of `global_avg_pool2d_forward`: every pixel receives dy / (H W).

    Parameters
    ----------
    size : int or (int, int)
        (H, W) of the input of the forward pass.

    Returns
    -------
    ndarray of shape (N, H, W, C)

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.global_avg_pool2d_backward(np.ones((1, 1)), (1, 2)).ravel()
    array([0.5, 0.5])
    """
    extent = each(sizes_of("global_avg_pool2d_backward", "size", size, 2), 2)
    return _core.avg_pool2d_backward(dy, extent, [], [], "valid", out)
