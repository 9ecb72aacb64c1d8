"""Layers that act in training only; in prediction y = x.

Random numbers are a function of the network's seed, the training step, the layer and the element: they do not depend
on the number of threads, and training resumed from a checkpoint continues the sequence.
"""

from __future__ import annotations

from typing import ClassVar

from nnfast.core.options import real
from nnfast.core.typing import Shape, Spec
from nnfast.layers.base import Layer

__all__ = ["Dropout", "GaussianNoise", "SpatialDropout1D", "SpatialDropout2D"]


class Dropout(Layer):
    """In training, set each element to 0 with probability `rate` and scale the others by 1 / (1 - rate).

    Parameters
    ----------
    rate : float
        0 <= rate < 1.

    References
    ----------
    Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting, JMLR 15.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((2,)), layers.Dropout(0.5)]).predict([[1.0, 2.0]])
    array([[1., 2.]], dtype=float32)
    """

    passes_mask = True
    op = "dropout"

    def __init__(self, rate: float, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.rate = real("Dropout", "rate", rate, minimum=0.0, upper_bound=1.0)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "rate": self.rate}


class _SpatialDropout(Layer):
    """Dropout of whole channels.

    Neighboring elements are strongly correlated, so dropping single elements would hide little information.
    """

    op = "spatial_dropout"
    axes: ClassVar[int]

    def __init__(self, rate: float, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.rate = real(type(self).__name__, "rate", rate, minimum=0.0, upper_bound=1.0)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "rate": self.rate, "axes": self.axes}


class SpatialDropout1D(_SpatialDropout):
    """In training, set each channel of a sequence to 0 with probability `rate` and scale the others by 1 / (1 - rate).

    Parameters
    ----------
    rate : float
        0 <= rate < 1.

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
    """In training, set each channel of an image to 0 with probability `rate` and scale the others by 1 / (1 - rate).

    Parameters
    ----------
    rate : float
        0 <= rate < 1.

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
    """In training, add normally distributed noise: y = x + stddev * z. Noise on the inputs acts like weight decay.

    Parameters
    ----------
    stddev : float
        Standard deviation of the noise, 0 or larger.

    References
    ----------
    Bishop (1995), Training with noise is equivalent to Tikhonov regularization, DOI 10.1162/neco.1995.7.1.108.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> Network([layers.Input((2,)), layers.GaussianNoise(0.1)]).predict([[1.0, 2.0]])
    array([[1., 2.]], dtype=float32)
    """

    passes_mask = True
    op = "gaussian_noise"

    def __init__(self, stddev: float, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.stddev = real("GaussianNoise", "stddev", stddev, minimum=0.0)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "stddev": self.stddev}
