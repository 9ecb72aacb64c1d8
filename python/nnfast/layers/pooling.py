"""Max and average pooling over windows, or over the whole image or sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from nnfast.core.options import flag
from nnfast.core.tensor import Tensor
from nnfast.core.typing import Shape, Spec
from nnfast.core.window import each, padding_of, plain_padding, sizes_of
from nnfast.layers.base import Layer
from nnfast.layers.operation import Operation
from nnfast.layers.reshape import Reshape

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
    """Maximum over each window of an image, per channel.

    Parameters
    ----------
    pool_size : int or (int, int), default 2
        Height and width of the window.
    strides : int or (int, int), optional
        Step between windows; by default `pool_size`.
    padding : {"valid", "same"}, int, (int, int) or ((top, bottom), (left, right)), default "valid"
        "same" gives an output of ceil(H / stride) rows, an odd row or column of padding coming last. Explicit padding
        must be smaller than the window. Padding never wins.

    Raises
    ------
    ValueError
        When the layer is called: if the window is larger than the padded image. In training: if the window has more
        than 2^24 elements.

    Notes
    -----
    Shape (N, H, W, C) to (N, OH, OW, C), OH = floor((H + top + bottom - height) / stride) + 1. Among equal maxima, the
    first in row-major order receives the gradient.

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
    """Mean of each window of an image, per channel.

    Parameters
    ----------
    pool_size, strides, padding
        See `MaxPool2D`. Padding does not count: the mean is taken over the elements inside the image.

    Notes
    -----
    Shape (N, H, W, C) to (N, OH, OW, C), as for `MaxPool2D`.

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
    """Maximum over each window of a sequence, per channel; shape (N, T, C) to (N, OT, C).

    Parameters
    ----------
    pool_size, strides, padding
        See `MaxPool2D`; explicit padding is an int or ((before, after),).

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((4, 1)), layers.MaxPool1D()]).predict([[[1], [2], [4], [3]]])[0, :, 0]
    array([2., 4.], dtype=float32)
    """

    op = "max_pool"
    axes = 1


class AvgPool1D(_Pool):
    """Mean of each window of a sequence, per channel; shape (N, T, C) to (N, OT, C).

    Parameters
    ----------
    pool_size, strides, padding
        See `MaxPool1D`. Padding does not count: the mean is taken over the elements inside the sequence.

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
    """Mean of each channel over the image: (N, H, W, C) to (N, C).

    Parameters
    ----------
    keepdims : bool, default False
        Whether to keep the pooled axes with size 1: (N, 1, 1, C).

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
    """Maximum of each channel over the image: (N, H, W, C) to (N, C). The first of equal maxima receives the gradient.

    Parameters
    ----------
    keepdims : bool, default False
        Whether to keep the pooled axes with size 1: (N, 1, 1, C).

    Raises
    ------
    ValueError
        In training: if the image has more than 2^24 pixels.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((2, 2, 1)), layers.GlobalMaxPool2D()]).predict([[[[1], [2]], [[3], [6]]]])
    array([[6.]], dtype=float32)
    """

    op = "global_max_pool"
    axes = 2


class _MeanOfSteps(_GlobalPool):
    op = "global_avg_pool"
    axes = 1


class GlobalAvgPool1D(_GlobalPool):
    """Mean of each channel over the sequence: (N, T, C) to (N, C).

    Parameters
    ----------
    keepdims : bool, default False
        Whether to keep the time axis with size 1: (N, 1, C).

    Notes
    -----
    With a mask, see `layers.Masking`, it is the mean over the steps that count, and 0 if there are none.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((3, 1)), layers.GlobalAvgPool1D()]).predict([[[1], [2], [6]]])
    array([[3.]], dtype=float32)
    """

    takes_mask = True

    def build(self, input_shape: Any) -> None:
        self.mean = _MeanOfSteps(self.keepdims, name=self.place)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return self.mean(inputs)
        counts = Reshape((*mask.shape, 1))(mask)
        total: Any = self._sum(inputs * counts)
        return total / Operation("elementwise", {"function": "maximum", "constant": 1.0, "constant_at": 1})(
            self._sum(counts)
        )

    def _sum(self, x: Tensor) -> Tensor:
        return Operation("reduce", {"function": "sum", "axes": [1], "keepdims": int(self.keepdims)})(x)


class GlobalMaxPool1D(_GlobalPool):
    """Maximum of each channel over the sequence: (N, T, C) to (N, C). The first of equal maxima receives the gradient.

    Parameters
    ----------
    keepdims : bool, default False
        Whether to keep the time axis with size 1: (N, 1, C).

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((3, 1)), layers.GlobalMaxPool1D()]).predict([[[1], [6], [2]]])
    array([[6.]], dtype=float32)
    """

    op = "global_max_pool"
    axes = 1
