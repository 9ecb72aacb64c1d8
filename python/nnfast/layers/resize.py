"""Layers that make images and sequences larger or smaller: up-sampling, zero padding, cropping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from nnfast.core.options import choose
from nnfast.core.typing import Shape, Spec
from nnfast.core.window import each, margins_of, plain_margins, sizes_of
from nnfast.layers.base import Layer

__all__ = ["Cropping1D", "Cropping2D", "UpSampling1D", "UpSampling2D", "ZeroPadding1D", "ZeroPadding2D"]


class UpSampling2D(Layer):
    """Images made larger by whole factors.

    Parameters
    ----------
    size : int or pair of int, default 2
        Factors of height and width.
    interpolation : {"nearest", "bilinear"}, default "nearest"
        "nearest" repeats each pixel. "bilinear" interpolates between the centres of pixels: row o of the output lies
        at row (o + 1/2) / size - 1/2 of the input; beyond the outermost centres the image goes on as it is there.
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        If a factor is below 1, a pair has not two numbers, or the interpolation is unknown. Where the layer is called:
        if the input is not of (N, H, W, C), or an axis of the output reaches 2^30.
    TypeError
        If a factor is no integer.

    Notes
    -----
    Shape (N, H, W, C) to (N, size H, size W, C), with Keras's values.

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
    """Sequences made longer: each step is repeated.

    Parameters
    ----------
    size : int, default 2
        How often.
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        If `size` is below 1. Where the layer is called: if the input is not of (N, T, C), or the output reaches
        2^30 steps.
    TypeError
        If `size` is no integer.

    Notes
    -----
    Shape (N, T, C) to (N, size T, C).

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
    """Zeros around images.

    Parameters
    ----------
    padding : int, pair of int, or pair of pairs, default 1
        Rows and columns of zeros: on all sides, for each axis, or ((top, bottom), (left, right)).
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        If an amount is negative, or a pair has not two entries. Where the layer is called: if the input is not of
        (N, H, W, C), or an amount reaches 2^30.
    TypeError
        If an amount is no integer.

    Notes
    -----
    Shape (N, H, W, C) to (N, top + H + bottom, left + W + right, C). A convolution's own ``padding=`` costs less.

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
    """Zeros before and after sequences.

    Parameters
    ----------
    padding : int or pair of int, default 1
        Steps of zeros: at both ends, or (before, after).
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        If an amount is negative, or there are more than two. Where the layer is called: if the input is not of
        (N, T, C), or an amount reaches 2^30.
    TypeError
        If an amount is no integer.

    Notes
    -----
    Shape (N, T, C) to (N, before + T + after, C).

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
    """Images without their margins.

    Parameters
    ----------
    cropping : int, pair of int, or pair of pairs
        Rows and columns that fall away: on all sides, for each axis, or ((top, bottom), (left, right)).
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        If an amount is negative, or a pair has not two entries. Where the layer is called: if the input is not of
        (N, H, W, C), or nothing is left of an axis.
    TypeError
        If an amount is no integer.

    Notes
    -----
    Shape (N, H, W, C) to (N, H - top - bottom, W - left - right, C).

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((2, 3, 1)), layers.Cropping2D(((1, 0), (0, 1)))])
    >>> net.predict([[[[1], [2], [3]], [[4], [5], [6]]]]).ravel()
    array([4., 5.], dtype=float32)
    """

    axes = 2


class Cropping1D(_Cropping):
    """Sequences without their first and last steps.

    Parameters
    ----------
    cropping : int or pair of int
        Steps that fall away: at both ends, or (before, after).
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        If an amount is negative, or there are more than two. Where the layer is called: if the input is not of
        (N, T, C), or nothing is left.
    TypeError
        If an amount is no integer.

    Notes
    -----
    Shape (N, T, C) to (N, T - before - after, C).

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((4, 1)), layers.Cropping1D((2, 1))]).predict([[[1], [2], [3], [4]]]).ravel()
    array([3.], dtype=float32)
    """

    axes = 1
