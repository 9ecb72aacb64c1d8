"""Layers that act in training only; in prediction y = x.

Random numbers are a function of the network's seed, the training step, the layer and the element: they do not depend
on the number of threads, and training resumed from a checkpoint continues the sequence.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from nnfast.core.options import real
from nnfast.core.tensor import batch_shape
from nnfast.core.typing import Shape, Spec
from nnfast.layers.base import Layer
from nnfast.layers.operation import Operation

__all__ = ["ActivityRegularization", "Dropout", "GaussianNoise", "Sampling", "SpatialDropout1D", "SpatialDropout2D"]


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

    passes_mask = True
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


class ActivityRegularization(Layer):
    """y = x, and l1 sum_j abs(x_j) + l2 sum_j x_j^2, averaged over the rows, is added to the loss.

    Parameters
    ----------
    l1, l2 : float, default 0
        0 or larger.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import layers
    >>> net = nf.Network([layers.Input((2,)), layers.ActivityRegularization(l1=0.5)])
    >>> nf.Trainer(net).evaluate([[1.0, -2.0], [0.0, 1.0]])
    {'loss': 1.0}
    """

    passes_mask = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.l1 = real("ActivityRegularization", "l1", l1, minimum=0.0)
        self.l2 = real("ActivityRegularization", "l2", l2, minimum=0.0)

    def call(self, inputs: Any) -> Any:
        for function, factor in (("abs", self.l1), ("square", self.l2)):
            if factor:
                terms = _elementwise(function, inputs)
                self.add_loss(factor * math.prod(inputs.shape) * terms)  # of which the mean is taken
        return inputs


class Sampling(Layer):
    """In training, draw the code of a variational autoencoder from the normal distribution that the encoder gives.

    z = mean + exp(log_variance / 2) * e, with standard normal noise e, through which gradients reach the mean and the
    variance. In prediction, z is the mean. The divergence of the distribution from the standard normal one, averaged
    over the rows, is added to the loss:

        kl_weight * sum_j (mean_j^2 + exp(log_variance_j) - log_variance_j - 1) / 2

    Parameters
    ----------
    kl_weight : float
        0 or larger. Losses such as "binary_cross_entropy" are means over the D elements of an output: with 1 / D, the
        sum is the negative evidence lower bound, divided by D. More makes codes simpler and less exact (Higgins et
        al.).

    Notes
    -----
    Called on two tensors of the same shape (N, ...): ``Sampling(1 / 784)([mean, log_variance])``. The bound itself is
    estimated by a step of training: ``net.loss_and_gradients(x, x, "binary_cross_entropy", training=True)``. Prediction
    and evaluation decode the mean, which gives a smaller loss.

    References
    ----------
    Kingma & Welling (2014), Auto-encoding variational Bayes, arXiv:1312.6114. Higgins et al. (2017), beta-VAE: learning
    basic visual concepts with a constrained variational framework, ICLR.

    Examples
    --------
    >>> import nnfast as nf
    >>> from nnfast import layers
    >>> mean, log_variance = layers.Input((2,)), layers.Input((2,))
    >>> net = nf.Network(inputs=[mean, log_variance], outputs=layers.Sampling(1.0)([mean, log_variance]))
    >>> net.predict([[[1.0, 3.0]], [[0.0, 0.0]]])
    array([[1., 3.]], dtype=float32)
    >>> nf.Trainer(net).evaluate([[[1.0, 3.0]], [[0.0, 0.0]]])
    {'loss': 5.0}
    """

    passes_mask = True
    num_inputs = 2

    def __init__(self, kl_weight: float, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.kl_weight = real("Sampling", "kl_weight", kl_weight, minimum=0.0)

    def call(self, inputs: Any) -> Any:
        shapes = [x.shape for x in inputs] if isinstance(inputs, list) else [inputs.shape]
        if len(shapes) != 2 or shapes[0] != shapes[1]:
            raise ValueError(
                f"{self.place}: expected a mean and a log_variance of the same shape, got {len(shapes)} with "
                f"{' and '.join(map(batch_shape, shapes))}; write layers.Sampling(kl_weight)([mean, log_variance])"
            )
        mean, log_variance = inputs
        if self.kl_weight:
            terms = mean * mean + (_elementwise("expm1", log_variance) - log_variance)
            self.add_loss(self.kl_weight / 2 * math.prod(mean.shape) * terms)  # of which the mean is taken
        return mean + _elementwise("exp", log_variance / 2) * GaussianNoise(1.0)(0.0 * mean)


def _elementwise(function: str, x: Any) -> Any:
    return Operation("elementwise", {"function": function})(x)
