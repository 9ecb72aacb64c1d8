"""Pooling of images."""

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
    """The largest element of each window of images, channel by channel.

    Parameters
    ----------
    x : ndarray of shape (N, H, W, C)
        Images. Sequences (N, T, C) go in as ``x[:, None]``.
    pool_size : int or pair of int
        Height and width of the window.
    strides : int or pair of int, optional
        Steps between windows; by default `pool_size`.
    padding : "valid", "same" or amounts, default "valid"
        Amounts: one integer for all sides, one for each axis, or ((top, bottom), (left, right)), smaller than the
        window. Padding never wins.
    out : ndarray of shape (N, OH, OW, C), optional
        Where the result goes; apart from `x` in memory.
    winners : ndarray of shape (N, OH, OW, C), optional
        Gets what `max_pool2d_backward` needs: the number of the largest element among those that the window sees of the
        image, row by row from 0, in the dtype of `x`. Apart from the others in memory.

    Returns
    -------
    ndarray of shape (N, OH, OW, C), OH = floor((H + top + bottom - height) / stride) + 1

    Raises
    ------
    ValueError
        If the window is larger than the padded image, the padding not smaller than the window, a size not positive, a
        shape wrong, an array not contiguous, or a result read-only or not apart from the other arrays in memory; with
        winners, if the window has more than 2^24 elements.
    TypeError
        If an argument is no array, a dtype is not float32 or float64, the dtypes differ, or a size is no integer.

    Notes
    -----
    Exact; one pass. The first of equals is taken. A window with a NaN gives NaN, and the last one is its winner.

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
    """Gradient of `max_pool2d_forward`: each dy goes to the first of its window's elements that is largest.

    Parameters
    ----------
    dy : ndarray of shape (N, OH, OW, C)
        Gradient with respect to the output.
    winners : ndarray of shape (N, OH, OW, C)
        As the forward pass left them. A number that no element has: nothing gets dy.
    size : pair of int
        (H, W) of the input.
    pool_size, strides, padding
        As in the forward pass; errors too.
    out : ndarray of shape (N, H, W, C), optional
        Where the result goes; apart from the others in memory.

    Returns
    -------
    ndarray of shape (N, H, W, C)

    Notes
    -----
    Where windows overlap, an element's shares are added up in the order of the windows; otherwise each element is
    written once.

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
    """The mean of each window of images, channel by channel; padding is not counted.

    Parameters, shapes and errors are those of `max_pool2d_forward`.

    Parameters
    ----------
    x : ndarray of shape (N, H, W, C)
        Images.
    pool_size, strides, padding, out
        As in `max_pool2d_forward`.

    Returns
    -------
    ndarray of shape (N, OH, OW, C)

    Notes
    -----
    A sum is a chain over the window, row by row; it is multiplied by 1 / count. Windows of more than 128 elements are
    summed in parts.

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
    """Gradient of `avg_pool2d_forward`: each dy is shared out among the elements of its window.

    Parameters
    ----------
    dy : ndarray of shape (N, OH, OW, C)
        Gradient with respect to the output.
    size : pair of int
        (H, W) of the input.
    pool_size, strides, padding
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
    >>> kernels.avg_pool2d_backward(np.ones((1, 1, 1, 1)), (2, 2), 2)[0, :, :, 0]
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    where = "avg_pool2d_backward"
    extent = each(sizes_of(where, "size", size, 2), 2)
    return _core.avg_pool2d_backward(dy, extent, *_options(where, pool_size, strides, padding), out)


def global_max_pool2d_forward(x: Array, out: Array | None = None, winners: Array | None = None) -> Array:
    """The largest element of each channel over the whole image.

    Parameters
    ----------
    x : ndarray of shape (N, H, W, C)
        Images of one pixel or more.
    out : ndarray of shape (N, C), optional
        Where the result goes; apart from `x` in memory.
    winners : ndarray of shape (N, C), optional
        As in `max_pool2d_forward`: the number of the largest pixel, row by row.

    Returns
    -------
    ndarray of shape (N, C)

    Raises
    ------
    ValueError
        If a shape is wrong, an array not contiguous, or a result read-only or not apart from the other arrays in
        memory; with winners, if the image has more than 2^24 pixels.
    TypeError
        If an argument is no array, a dtype is not float32 or float64, or the dtypes differ.

    Notes
    -----
    Exact; one pass. Ties and NaN as in `max_pool2d_forward`.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.global_max_pool2d_forward(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[6., 7.]])
    """
    return _core.max_pool2d_forward(x, [], [], "valid", out, winners)


def global_max_pool2d_backward(dy: Array, winners: Array, size: Sequence[int], out: Array | None = None) -> Array:
    """Gradient of `global_max_pool2d_forward`: dy goes to the first pixel that is largest.

    Parameters
    ----------
    dy : ndarray of shape (N, C)
        Gradient with respect to the output.
    winners : ndarray of shape (N, C)
        As the forward pass left them. A number that no pixel has: nothing gets dy.
    size : pair of int
        (H, W) of the input; one integer for both.
    out : ndarray of shape (N, H, W, C), optional
        Where the result goes; apart from the others in memory.

    Returns
    -------
    ndarray of shape (N, H, W, C)

    Raises
    ------
    ValueError
        If a size is not positive, a shape is wrong, an array not contiguous, or `out` read-only or not apart from
        the other arrays in memory.
    TypeError
        If an argument is no array, a dtype is not float32 or float64, the dtypes differ, or a size is no integer.

    Notes
    -----
    Each element of the result is written once.

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
    """The mean of each channel over the whole image.

    Parameters and errors are those of `global_max_pool2d_forward`.

    Parameters
    ----------
    x : ndarray of shape (N, H, W, C)
        Images of one pixel or more.
    out : ndarray of shape (N, C), optional
        Where the result goes; apart from `x` in memory.

    Returns
    -------
    ndarray of shape (N, C)

    Notes
    -----
    A sum is a chain over the pixels, row by row; it is multiplied by 1 / (H W). Images of more than 128 pixels are
    summed in parts.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.global_avg_pool2d_forward(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[3., 4.]])
    """
    return _core.avg_pool2d_forward(x, [], [], "valid", out)


def global_avg_pool2d_backward(dy: Array, size: Sequence[int], out: Array | None = None) -> Array:
    """Gradient of `global_avg_pool2d_forward`: every pixel gets dy / (H W).

    Sizes and errors are those of `global_max_pool2d_backward`.

    Parameters
    ----------
    dy : ndarray of shape (N, C)
        Gradient with respect to the output.
    size : pair of int
        (H, W) of the input; one integer for both.
    out : ndarray of shape (N, H, W, C), optional
        Where the result goes; apart from `dy` in memory.

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
