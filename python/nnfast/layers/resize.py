"""Upsampling, zero padding and cropping of images and sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from nnfast.core.options import choose
from nnfast.core.typing import Shape, Spec
from nnfast.core.window import each, margins_of, plain_margins, sizes_of
from nnfast.layers.base import Layer

__all__ = ["Cropping1D", "Cropping2D", "UpSampling1D", "UpSampling2D", "ZeroPadding1D", "ZeroPadding2D"]


class UpSampling2D(Layer):
    """Upsample images by integer factors: (N, H, W, C) to (N, size H, size W, C), with the values of Keras.

    Parameters
    ----------
    size : int or (int, int), default 2
        Factors for height and width.
    interpolation : {"nearest", "bilinear"}, default "nearest"
        "nearest" repeats each pixel. "bilinear" interpolates between pixel centers: row o of the output lies at row
        (o + 1/2) / size - 1/2 of the input, and the edge pixels extend beyond the border.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> for interpolation in ("nearest", "bilinear"):
    ...     net = Network([layers.Input((1, 2, 1)), layers.UpSampling2D((1, 2), interpolation)])
    ...     print(net.predict([[[[0], [4]]]]).ravel())
    [0. 0. 4. 4.]
    [0. 1. 3. 4.]
    """

    op = "upsampling"

    def __init__(
        self, size: int | Sequence[int] = 2, interpolation: str = "nearest", *, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self.size = sizes_of("UpSampling2D", "size", size, 2)
        self.interpolation = choose("interpolation of UpSampling2D", interpolation, ("nearest", "bilinear"), {})

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "size": each(self.size, 2), "interpolation": self.interpolation}


class UpSampling1D(Layer):
    """Repeat each time step: (N, T, C) to (N, size T, C).

    Parameters
    ----------
    size : int, default 2
        Number of repetitions.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((2, 1)), layers.UpSampling1D(2)]).predict([[[1], [2]]]).ravel()
    array([1., 1., 2., 2.], dtype=float32)
    """

    op = "upsampling"

    def __init__(self, size: int = 2, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.size = sizes_of("UpSampling1D", "size", size, 1)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "size": each(self.size, 1), "interpolation": "nearest"}


class _ZeroPadding(Layer):
    op = "zero_padding"
    axes: ClassVar[int]

    def __init__(self, padding: Any = 1, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.padding = margins_of(type(self).__name__, "padding", padding, self.axes)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "padding": plain_margins(self.padding, self.axes)}


class ZeroPadding2D(_ZeroPadding):
    """Pad images with zeros: (N, H, W, C) to (N, top + H + bottom, left + W + right, C).

    The ``padding=`` of a convolution costs less.

    Parameters
    ----------
    padding : int, (int, int) or ((top, bottom), (left, right)), default 1
        Rows and columns of zeros: for all sides, for each axis, or for each side.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((1, 2, 1)), layers.ZeroPadding2D(((1, 0), (0, 1)))])
    >>> net.predict([[[[1], [2]]]])[0, :, :, 0]
    array([[0., 0., 0.],
           [1., 2., 0.]], dtype=float32)
    """

    axes = 2


class ZeroPadding1D(_ZeroPadding):
    """Pad sequences with zeros: (N, T, C) to (N, before + T + after, C).

    Parameters
    ----------
    padding : int or (before, after), default 1
        Number of zero steps, at both ends or at each.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((2, 1)), layers.ZeroPadding1D((2, 1))]).predict([[[1], [2]]]).ravel()
    array([0., 0., 1., 2., 0.], dtype=float32)
    """

    axes = 1


class _Cropping(Layer):
    op = "cropping"
    axes: ClassVar[int]

    def __init__(self, cropping: Any, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.cropping = margins_of(type(self).__name__, "cropping", cropping, self.axes)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "cropping": plain_margins(self.cropping, self.axes)}


class Cropping2D(_Cropping):
    """Crop images: (N, H, W, C) to (N, H - top - bottom, W - left - right, C).

    Parameters
    ----------
    cropping : int, (int, int) or ((top, bottom), (left, right))
        Rows and columns to remove: from all sides, for each axis, or for each side.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((2, 3, 1)), layers.Cropping2D(((1, 0), (0, 1)))])
    >>> net.predict([[[[1], [2], [3]], [[4], [5], [6]]]]).ravel()
    array([4., 5.], dtype=float32)
    """

    axes = 2


class Cropping1D(_Cropping):
    """Crop sequences: (N, T, C) to (N, T - before - after, C).

    Parameters
    ----------
    cropping : int or (before, after)
        Number of steps to remove, from both ends or from each.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((4, 1)), layers.Cropping1D((2, 1))]).predict([[[1], [2], [3], [4]]]).ravel()
    array([3.], dtype=float32)
    """

    axes = 1
