"""Convolution of images and sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnfast import _core
from nnfast.core.options import flag, integer
from nnfast.core.typing import Array
from nnfast.core.window import each, padding_of, plain_padding, sizes_of
from nnfast.kernels._arguments import activation_of


def _sliding(
    where: str, axes: int, strides: Any, padding: Any, dilation_rate: Any, groups: Any
) -> tuple[list[int], str | list[int], list[int], int]:
    """How a window slides, as the core takes it."""
    return (
        each(sizes_of(where, "strides", strides, axes), axes),
        plain_padding(padding_of(where, padding, axes)),
        each(sizes_of(where, "dilation_rate", dilation_rate, axes), axes),
        integer(where, "groups", groups, minimum=-(2**63)),
    )


def _axes(x: Array) -> int:
    return 1 if getattr(x, "ndim", 4) == 3 else 2


def conv2d_forward(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    strides: int | Sequence[int] = 1,
    padding: Any = "valid",
    dilation_rate: int | Sequence[int] = 1,
    groups: int = 1,
    activation: str = "identity",
    alpha: float | None = None,
    out: Array | None = None,
) -> Array:
    """Convolution (as networks mean it: without turning the kernel) with bias and activation.

    y[n, i, j, o] = activation(bias[o] + sum over r, s, c of x[n, i S + r D - P, j S + s D - P, c] kernel[r, s, c, o]),
    for strides S, dilation D and padding P, which counts as zeros.

    Parameters
    ----------
    x : ndarray of shape (N, H, W, C), or (N, T, C) for sequences
        Images.
    kernel : ndarray of shape (KH, KW, C / groups, O), or (K, C / groups, O)
        Filters.
    bias : ndarray of shape (O,), optional
    strides, dilation_rate : int or one for each axis, default 1
        Steps between windows, and between the elements of a window.
    padding : "valid", "same", int, one for each axis, or pairs (before, after); default "valid"
        "valid" pads nothing; "same" gives ceil(H / S) rows, the odd row below and the odd column to the right.
    groups : int, default 1
        The channels and filters are cut into so many groups, each group of filters seeing its own channels.
    activation : str, default "identity"
        Applied to every element; any name of `activation_forward` but softmax and log-softmax.
    alpha : float, optional
        Parameter of the activation.
    out : ndarray of shape (N, OH, OW, O), optional
        Where the result goes; apart from the other arrays in memory.

    Returns
    -------
    ndarray of shape (N, OH, OW, O), or (N, OT, O)
        OH = floor((H + padding - (KH - 1) D - 1) / S) + 1.

    Raises
    ------
    ValueError
        If shapes do not fit, sizes are not positive, the window is larger than the padded image, the activation is
        unknown (the text gives the nearest valid one) or one over rows, alpha is not finite, or an array is not
        contiguous, or `out` is read-only or overlaps another array.
    TypeError
        If a dtype is not float32 or float64, the dtypes differ, or an array is no array.

    Notes
    -----
    2 OH OW KH KW (C / groups) O operations for each image. An implicit matrix product: no window is copied; where there
    is padding, each thread copies a band of rows. Element by element one chain of fused multiply-adds over (r, s, c) in
    ascending order from the bias, so its bits depend on nothing but the numbers.

    3 x 3 with strides of 1 and 16 to 256 channels goes by Winograd's F(2x2, 3x3), 16 multiplications for 36: chains
    over the channels, and sums in a fixed order around them. Its largest error was .3 to .5 of the direct one's; an
    infinity or NaN in `x` reaches the other outputs of its tile of 2 x 2 too.

    References
    ----------
    Chetlur et al. (2014), cuDNN: efficient primitives for deep learning, arXiv:1410.0759.
    Lavin & Gray (2015), Fast algorithms for convolutional neural networks, arXiv:1509.09308.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> kernels.conv2d_forward(x, np.ones((2, 2, 1, 1)))[0, :, :, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    sliding = _sliding("conv2d_forward", _axes(x), strides, padding, dilation_rate, groups)
    return _core.conv_forward(x, kernel, bias, *sliding, *activation_of(activation, alpha), out)


def conv2d_backward(
    dy: Array,
    x: Array,
    kernel: Array,
    strides: int | Sequence[int] = 1,
    padding: Any = "valid",
    dilation_rate: int | Sequence[int] = 1,
    groups: int = 1,
    input_gradient: bool = True,
) -> tuple[Array | None, Array, Array]:
    """Gradients of a convolution at its input, its kernel and its bias.

    Parameters
    ----------
    dy : ndarray of shape (N, OH, OW, O), or (N, OT, O)
        Gradient at the convolution's output, before the activation.
    x, kernel, strides, padding, dilation_rate, groups
        As in `conv2d_forward`.
    input_gradient : bool, default True
        Whether the gradient at `x` is wanted; a first layer needs none.

    Returns
    -------
    dx : ndarray like x, or None
    d_kernel : ndarray like kernel
    d_bias : ndarray of shape (O,)

    Raises
    ------
    ValueError, TypeError
        As `conv2d_forward`.

    Notes
    -----
    Twice the operations of the forward pass. The sums over the batch are taken in at most 8 slabs of images, a number
    that depends on the shapes alone; within a slab sums over about 256 pixels are added up in order.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> dx, d_kernel, d_bias = kernels.conv2d_backward(np.ones((1, 2, 2, 1)), x, np.ones((2, 2, 1, 1)))
    >>> d_kernel[:, :, 0, 0], d_bias
    (array([[ 8., 12.],
           [20., 24.]]), array([4.]))
    """
    sliding = _sliding("conv2d_backward", _axes(x), strides, padding, dilation_rate, groups)
    return _core.conv_backward(dy, x, kernel, *sliding, flag("conv2d_backward", "input_gradient", input_gradient))


def conv2d_algorithms(
    x: Array,
    kernel: Array,
    strides: int | Sequence[int] = 1,
    padding: Any = "valid",
    dilation_rate: int | Sequence[int] = 1,
    groups: int = 1,
) -> dict[str, str]:
    """Names of the algorithms that a convolution's passes take.

    The shape of one image decides, never the number of threads or of images, nor, but for "pairs", the instruction set.

    Parameters
    ----------
    x, kernel, strides, padding, dilation_rate, groups
        As in `conv2d_forward`. Of the arrays only shapes and dtype are read.

    Returns
    -------
    dict
        One of these names for each of "forward", "input_gradient" and "kernel_gradient":

        - "matmul": one matrix product over all pixels, where a window is one pixel;
        - "direct": an implicit matrix product whose rows are windows;
        - "pairs": "direct", with the same bits, for two images at a time in the halves of vectors, where an image's
          filters fill at most half of one and nothing is padded; an image that is left over goes "direct";
        - "depthwise": vectors of channels, where each channel has one filter;
        - "winograd": F(2x2, 3x3), for windows of 3 x 3 with strides of 1 and 16 to 256 channels;
        - "fold": a matrix product whose columns are windows, which are summed where they overlap.

    Raises
    ------
    ValueError, TypeError
        As `conv2d_forward`.

    See Also
    --------
    nnfast.Network.describe : shows the algorithm of each layer.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.conv2d_algorithms(np.zeros((1, 8, 8, 32)), np.zeros((3, 3, 32, 64)), padding="same")
    {'forward': 'winograd', 'input_gradient': 'winograd', 'kernel_gradient': 'winograd'}
    """
    sliding = _sliding("conv2d_algorithms", _axes(x), strides, padding, dilation_rate, groups)
    return _core.conv_algorithms(x, kernel, *sliding)
