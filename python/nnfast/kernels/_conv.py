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
    """How the window slides, as the core expects it."""
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
    """Convolution (in fact cross-correlation) with bias and activation function.

    y[n, i, j, o] = activation(bias[o] + sum over r, s, c of x[n, i S + r D - P, j S + s D - P, c] kernel[r, s, c, o])
    for strides S, dilation D and zero padding P.

    Parameters
    ----------
    x : ndarray of shape (N, H, W, C), or (N, T, C) for sequences
        Input.
    kernel : ndarray of shape (KH, KW, C / groups, O), or (K, C / groups, O)
        Filters.
    strides, dilation_rate : int or one per axis, default 1
        Step between windows, and spacing between the elements of a window.
    padding : {"valid", "same"}, int, one per axis, or pairs (before, after); default "valid"
        "valid" is no padding; "same" gives ceil(H / S) rows, an odd row or column of padding coming last.
    groups : int, default 1
        Number of groups that channels and filters are divided into; a filter sees only the channels of its group.
    bias : ndarray of shape (O,), optional
    activation : str, default "identity"
        A name from `nnfast.activations`, except softmax and log_softmax.

    Returns
    -------
    ndarray of shape (N, OH, OW, O), or (N, OT, O)
        OH = floor((H + padding - (KH - 1) D - 1) / S) + 1.

    Notes
    -----
    2 OH OW KH KW (C / groups) O operations per image. The default algorithm is an implicit matrix product that copies
    no windows (with padding, each thread copies a band of rows). Each element is one chain of fused multiply-adds over
    (r, s, c) in ascending order, starting from the bias.

    3 x 3 convolutions with strides of 1 and 16 to 256 channels use Winograd's F(2x2, 3x3), with 16 instead of 36
    multiplications; its largest error was 0.3 to 0.5 of that of the direct algorithm. An infinity or NaN in `x` affects
    all outputs of its 2 x 2 tile.

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
    """Gradients of a convolution with respect to input, kernel and bias.

    Parameters
    ----------
    dy : ndarray of shape (N, OH, OW, O), or (N, OT, O)
        Gradient with respect to the output before the activation function.
    x, kernel, strides, padding, dilation_rate, groups
        See `conv2d_forward`.
    input_gradient : bool, default True
        Whether to compute the gradient with respect to `x`, which a first layer does not need.

    Returns
    -------
    dx : ndarray like x, or None
    d_kernel : ndarray like kernel
    d_bias : ndarray of shape (O,)

    Notes
    -----
    Twice the operations of the forward pass. Sums over the batch are divided into at most 8 slabs of images, depending
    on the shapes alone; within a slab, partial sums over about 256 pixels are added in order.

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
    """Names of the algorithms chosen for the passes of a convolution.

    The choice depends on the shape of one image, not on the batch size or the number of threads and, except for
    "pairs", not on the instruction set. `Network.describe` shows it for each layer.

    Parameters
    ----------
    x, kernel, strides, padding, dilation_rate, groups
        See `conv2d_forward`; only shapes and dtypes of the arrays are read.

    Returns
    -------
    dict
        One of these names for each of "forward", "input_gradient" and "kernel_gradient":

        - "matmul": one matrix product over all pixels, for 1 x 1 windows;
        - "direct": an implicit matrix product whose rows are windows;
        - "pairs": "direct", with the same bits, for two images at a time in the halves of vectors, if the filters fill
          at most half a vector and nothing is padded; an odd image at the end uses "direct";
        - "depthwise": vectors of channels, if each channel has one filter;
        - "winograd": F(2x2, 3x3), for 3 x 3 windows with strides of 1 and 16 to 256 channels;
        - "fold": a matrix product whose columns are windows, which are summed where they overlap.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import kernels
    >>> kernels.conv2d_algorithms(np.zeros((1, 8, 8, 32)), np.zeros((3, 3, 32, 64)), padding="same")
    {'forward': 'winograd', 'input_gradient': 'winograd', 'kernel_gradient': 'winograd'}
    """
    sliding = _sliding("conv2d_algorithms", _axes(x), strides, padding, dilation_rate, groups)
    return _core.conv_algorithms(x, kernel, *sliding)
