"""Layers that act in training only."""

from __future__ import annotations

from typing import ClassVar

from nnfast.core.options import real
from nnfast.core.typing import Shape, Spec
from nnfast.layers.base import Layer

__all__ = ["Dropout", "GaussianNoise", "SpatialDropout1D", "SpatialDropout2D"]


class Dropout(Layer):
    """In training, each element is 0 with probability `rate` and else x / (1 - rate); otherwise y = x.

    Parameters
    ----------
    rate : float
        0 <= rate < 1.
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        If `rate` is below 0, or 1 or more.
    TypeError
        If `rate` is no number.

    Notes
    -----
    Shape (N, ...) to the same. Which elements fall is a function of the network's seed, the step, the layer and the
    element alone: the same for any number of threads and after a resume from a checkpoint.

    References
    ----------
    Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting, JMLR 15.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((2,)), layers.Dropout(0.5)]).predict([[1.0, 2.0]])
    array([[1., 2.]], dtype=float32)
    """

    op = "dropout"

    def __init__(self, rate: float, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.rate = real("Dropout", "rate", rate, minimum=0.0, upper_bound=1.0)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "rate": self.rate}


class _SpatialDropout(Layer):
    """Dropout of whole channels."""

    op = "spatial_dropout"
    axes: ClassVar[int]

    def __init__(self, rate: float, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.rate = real(type(self).__name__, "rate", rate, minimum=0.0, upper_bound=1.0)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "rate": self.rate, "axes": self.axes}


class SpatialDropout1D(_SpatialDropout):
    """In training, each channel of a sequence is 0 with probability `rate` and else x / (1 - rate); otherwise y = x.

    Parameters
    ----------
    rate : float
        0 <= rate < 1.
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        If `rate` is below 0, or 1 or more, or, where the layer is called, the input is not of (N, T, C).
    TypeError
        If `rate` is no number.

    Notes
    -----
    Shape (N, T, C) to the same. A channel falls at all times or at none, because neighbours in time are much alike
    and would tell what a single dropped number was. Which channels fall is a function of the network's seed, the step,
    the layer, the row and the channel alone.

    References
    ----------
    Tompson et al. (2015), Efficient object localization using convolutional networks, arXiv:1411.4280.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((2, 1)), layers.SpatialDropout1D(0.5)]).predict([[[1.0], [2.0]]]).tolist()
    [[[1.0], [2.0]]]
    """

    axes = 1


class SpatialDropout2D(_SpatialDropout):
    """In training, each channel of an image is 0 with probability `rate` and else x / (1 - rate); otherwise y = x.

    Parameters
    ----------
    rate : float
        0 <= rate < 1.
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        If `rate` is below 0, or 1 or more, or, where the layer is called, the input is not of (N, H, W, C).
    TypeError
        If `rate` is no number.

    Notes
    -----
    Shape (N, H, W, C) to the same. A channel falls in all pixels or in none, because neighbouring pixels are much
    alike and would tell what a single dropped number was. Which channels fall is a function of the network's seed, the
    step, the layer, the image and the channel alone.

    References
    ----------
    Tompson et al. (2015), Efficient object localization using convolutional networks, arXiv:1411.4280.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((1, 2, 1)), layers.SpatialDropout2D(0.5)]).predict([[[[1.0], [2.0]]]]).tolist()
    [[[[1.0], [2.0]]]]
    """

    axes = 2


class GaussianNoise(Layer):
    """In training, y = x + stddev * z with normal random numbers z; otherwise y = x.

    Parameters
    ----------
    stddev : float
        Standard deviation of the noise, 0 or more.
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        If `stddev` is negative or not finite.
    TypeError
        If `stddev` is no number.

    Notes
    -----
    Shape (N, ...) to the same. z is a function of the network's seed, the step, the layer and the element alone: the
    same for any number of threads and after a resume from a checkpoint. Noise on the inputs acts like weight decay.

    References
    ----------
    Bishop (1995), Training with noise is equivalent to Tikhonov regularization, DOI 10.1162/neco.1995.7.1.108.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((2,)), layers.GaussianNoise(0.1)]).predict([[1.0, 2.0]])
    array([[1., 2.]], dtype=float32)
    """

    op = "gaussian_noise"

    def __init__(self, stddev: float, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.stddev = real("GaussianNoise", "stddev", stddev, minimum=0.0)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "stddev": self.stddev}
