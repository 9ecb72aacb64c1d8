"""Pooling: the largest element or the mean of each window, or of the whole image or sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from nnfast.core.options import flag
from nnfast.core.typing import Shape, Spec
from nnfast.core.window import each, padding_of, plain_padding, sizes_of
from nnfast.layers.base import Layer

__all__ = [
    "AvgPool1D",
    "AvgPool2D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "MaxPool1D",
    "MaxPool2D",
]


class _Pool(Layer):
    axes: ClassVar[int]

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: Any = "valid",
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        where = type(self).__name__
        self.pool_size = sizes_of(where, "pool_size", pool_size, self.axes)
        self.strides = None if strides is None else sizes_of(where, "strides", strides, self.axes)
        self.padding = padding_of(where, padding, self.axes)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {
            "op": self.op,
            "pool_size": each(self.pool_size, self.axes),
            "strides": each(self.pool_size if self.strides is None else self.strides, self.axes),
            "padding": plain_padding(self.padding),
        }


class MaxPool2D(_Pool):
    """The largest element of each window of an image, channel by channel.

    Parameters
    ----------
    pool_size : int or pair of int, default 2
        Height and width of the window.
    strides : int or pair of int, optional
        Steps between windows; by default the windows stand side by side.
    padding : "valid", "same" or amounts, default "valid"
        "valid": none. "same": output size ceil(H / stride), the odd row or column at the end. Amounts: one integer for
        all sides, one for each axis, or ((top, bottom), (left, right)); smaller than the window. Padding never wins.
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        If a size or a step is below 1, a pair has not two numbers, or the padding is negative or an unknown word. Where
        the layer is called: if the input is not of (N, H, W, C), the window is larger than the padded image, or the
        padding is not smaller than the window. In training: if the window has more than 2^24 elements.
    TypeError
        If a size, a step or an amount is no integer.

    Notes
    -----
    Shape (N, H, W, C) to (N, OH, OW, C), OH = floor((H + top + bottom - height) / stride) + 1. Where several elements
    of a window are largest, the first of them, row by row, gets the gradient. Costs one comparison for each element of
    each window.

    References
    ----------
    Riesenhuber & Poggio (1999), Hierarchical models of object recognition in cortex, DOI 10.1038/14819.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> image = [[[1], [2], [5], [6]], [[3], [4], [8], [7]]]
    >>> Network([layers.Input((2, 4, 1)), layers.MaxPool2D()]).predict([image])[0, :, :, 0]
    array([[4., 8.]], dtype=float32)
    """

    op = "max_pool"
    axes = 2


class AvgPool2D(_Pool):
    """The mean of each window of an image, channel by channel.

    Parameters
    ----------
    pool_size : int or pair of int, default 2
        Height and width of the window.
    strides : int or pair of int, optional
        Steps between windows; by default the windows stand side by side.
    padding : "valid", "same" or amounts, default "valid"
        As in `MaxPool2D`, errors too. Padding is not counted: the mean is that of the elements inside of the image.
    name : str, optional
        As in `Layer`; errors too.

    Notes
    -----
    Shape (N, H, W, C) to (N, OH, OW, C), as `MaxPool2D`. Costs one addition for each element of each window, and the
    window may have any number of them.

    References
    ----------
    LeCun et al. (1998), Gradient-based learning applied to document recognition, DOI 10.1109/5.726791.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> image = [[[1], [2], [5], [6]], [[3], [4], [8], [7]]]
    >>> Network([layers.Input((2, 4, 1)), layers.AvgPool2D()]).predict([image])[0, :, :, 0]
    array([[2.5, 6.5]], dtype=float32)
    """

    op = "avg_pool"
    axes = 2


class MaxPool1D(_Pool):
    """The largest element of each window of a sequence, channel by channel.

    Parameters
    ----------
    pool_size : int, default 2
        Length of the window.
    strides : int, optional
        Step between windows; by default the windows stand side by side.
    padding : "valid", "same" or amounts, default "valid"
        As in `MaxPool2D`, errors too; amounts are one integer for both ends, or ((before, after),).
    name : str, optional
        As in `Layer`; errors too.

    Notes
    -----
    Shape (N, T, C) to (N, OT, C), OT = floor((T + before + after - length) / stride) + 1. Ties and cost are as in
    `MaxPool2D`.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((4, 1)), layers.MaxPool1D()]).predict([[[1], [2], [4], [3]]])[0, :, 0]
    array([2., 4.], dtype=float32)
    """

    op = "max_pool"
    axes = 1


class AvgPool1D(_Pool):
    """The mean of each window of a sequence, channel by channel.

    Parameters
    ----------
    pool_size : int, default 2
        Length of the window.
    strides : int, optional
        Step between windows; by default the windows stand side by side.
    padding : "valid", "same" or amounts, default "valid"
        As in `MaxPool1D`, errors too. Padding is not counted: the mean is that of the elements inside of the sequence.
    name : str, optional
        As in `Layer`; errors too.

    Notes
    -----
    Shape (N, T, C) to (N, OT, C), as `MaxPool1D`.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((4, 1)), layers.AvgPool1D()]).predict([[[1], [2], [4], [3]]])[0, :, 0]
    array([1.5, 3.5], dtype=float32)
    """

    op = "avg_pool"
    axes = 1


class _GlobalPool(Layer):
    axes: ClassVar[int]

    def __init__(self, keepdims: bool = False, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.keepdims = flag(type(self).__name__, "keepdims", keepdims)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "axes": self.axes, "keepdims": int(self.keepdims)}


class GlobalAvgPool2D(_GlobalPool):
    """The mean of each channel over the whole image.

    Parameters
    ----------
    keepdims : bool, default False
        Whether height and width stay as axes of one element.
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        Where the layer is called: if the input is not of (N, H, W, C).

    Notes
    -----
    Shape (N, H, W, C) to (N, C), or (N, 1, 1, C). A sum is a chain over the pixels, row by row.

    References
    ----------
    Lin, Chen & Yan (2014), Network in network, arXiv:1312.4400.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((2, 2, 1)), layers.GlobalAvgPool2D()]).predict([[[[1], [2]], [[3], [6]]]])
    array([[3.]], dtype=float32)
    """

    op = "global_avg_pool"
    axes = 2


class GlobalMaxPool2D(_GlobalPool):
    """The largest element of each channel over the whole image.

    Parameters
    ----------
    keepdims : bool, default False
        Whether height and width stay as axes of one element.
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        Where the layer is called: if the input is not of (N, H, W, C). In training: if it has more than 2^24 pixels.

    Notes
    -----
    Shape (N, H, W, C) to (N, C), or (N, 1, 1, C). The first of equals gets the gradient.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((2, 2, 1)), layers.GlobalMaxPool2D()]).predict([[[[1], [2]], [[3], [6]]]])
    array([[6.]], dtype=float32)
    """

    op = "global_max_pool"
    axes = 2


class GlobalAvgPool1D(_GlobalPool):
    """The mean of each channel over the whole sequence.

    Parameters
    ----------
    keepdims : bool, default False
        Whether time stays as an axis of one element.
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        Where the layer is called: if the input is not of (N, T, C).

    Notes
    -----
    Shape (N, T, C) to (N, C), or (N, 1, C). A sum is a chain over the steps in time.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((3, 1)), layers.GlobalAvgPool1D()]).predict([[[1], [2], [6]]])
    array([[3.]], dtype=float32)
    """

    op = "global_avg_pool"
    axes = 1


class GlobalMaxPool1D(_GlobalPool):
    """The largest element of each channel over the whole sequence.

    Parameters
    ----------
    keepdims : bool, default False
        Whether time stays as an axis of one element.
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        Where the layer is called: if the input is not of (N, T, C). In training: if it has more than 2^24 steps.

    Notes
    -----
    Shape (N, T, C) to (N, C), or (N, 1, C). The first of equals gets the gradient.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((3, 1)), layers.GlobalMaxPool1D()]).predict([[[1], [6], [2]]])
    array([[6.]], dtype=float32)
    """

    op = "global_max_pool"
    axes = 1
