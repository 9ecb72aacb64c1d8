"""Normalization layers: y = gamma (x - mean) / sqrt(variance + epsilon) + beta.

They differ in the elements over which mean and variance are taken. All map (N, ..., C) to the same shape and have
parameters gamma (C,) and beta (C,); `RMSNormalization` has neither mean nor beta.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

from nnfast import initializers
from nnfast.core.options import flag, integer, real
from nnfast.core.typing import Shape, Spec
from nnfast.initializers import Initializer
from nnfast.layers.base import Layer
from nnfast.layers.weight_options import GammaOptions, NormOptions

__all__ = ["BatchNormalization", "GroupNormalization", "LayerNormalization", "RMSNormalization"]


def _epsilon(kind: str, epsilon: float) -> float:
    epsilon = real(kind, "epsilon", epsilon, minimum=0.0)
    if epsilon == 0:
        raise ValueError(f"{kind}: expected epsilon > 0, got 0.0")
    return epsilon


class _Normalization(Layer):
    """The options shared by all normalization layers."""

    shared_arguments: ClassVar[dict[str, Any]] = dict.fromkeys(NormOptions.__annotations__)

    def __init__(
        self,
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        trainable: bool | Sequence[str],
        name: str | None,
    ) -> None:
        super().__init__(name=name)
        self._declare_trainable(trainable)
        kind = type(self).__name__
        self.epsilon = _epsilon(kind, epsilon)
        self.center = flag(kind, "center", center)
        self.scale = flag(kind, "scale", scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "epsilon": self.epsilon, "center": int(self.center), "scale": int(self.scale)}

    def initializer(self, parameter: str) -> Initializer:
        return {"gamma": self.gamma_initializer, "beta": self.beta_initializer}[parameter]


class BatchNormalization(_Normalization):
    """Normalize each channel over the batch.

    In training, mean and variance are taken over the batch and all axes but the last, and moving averages follow them:
    moving = momentum * moving + (1 - momentum) * batch. Prediction uses the moving averages.

    Parameters
    ----------
    momentum : float, default 0.99
        Decay of the moving averages, 0 <= momentum < 1.
    epsilon : float, default 1e-3
        Added to the variance; larger than 0.
    center, scale : bool, default True
        Whether to add beta, and to multiply by gamma.
    beta_initializer, gamma_initializer, name, **weights
        See `nnfast.layers`.
    moving_mean_initializer, moving_variance_initializer : Initializer, str, float or array_like
        Initial moving averages; zeros and ones by default.
    trainable : bool or sequence of str, default True
        Which of gamma and beta are trained. With False, and after ``net.freeze("<layer>")``, the moving averages do not
        change either, and training uses them in place of the batch's statistics.

    Notes
    -----
    Further parameters: moving_mean (C,) and moving_variance (C,), which are saved, copied and counted but not trained.

    The variance is biased (divided by n) in the moving average too, as in Keras. PyTorch's running variance is larger
    by n / (n - 1), and its momentum is 1 - momentum here.

    Variances are summed around the mean of a tile of rows, and the tiles are merged in float64; tiles and order depend
    on the shape alone. A ReLU directly after the layer is fused into it; in prediction, the layer is fused into a
    preceding dense layer or convolution without activation.

    References
    ----------
    Ioffe & Szegedy (2015), Batch normalization: accelerating deep network training by reducing internal covariate
    shift, arXiv:1502.03167. Chan, Golub & LeVeque (1983), Algorithms for computing the sample variance,
    DOI 10.1080/00031305.1983.10483115.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((2,)), layers.BatchNormalization(momentum=0.5, epsilon=1e-6)])
    >>> net.parameters["batch_normalization.moving_mean"][...] = [1.0, -1.0]
    >>> net.predict([[1.0, 0.0]]).round(4)
    array([[0., 1.]], dtype=float32)
    >>> net.trainable
    ['batch_normalization.gamma', 'batch_normalization.beta']
    """

    op = "batch_normalization"

    def __init__(
        self,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        *,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
        **weights: Unpack[NormOptions],
    ) -> None:
        super().__init__(epsilon, center, scale, beta_initializer, gamma_initializer, trainable, name)
        self._declare_weights(weights)
        self.momentum = real("BatchNormalization", "momentum", momentum, minimum=0.0, upper_bound=1.0)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def trains(self, parameter: str) -> bool:
        """Whether training changes the parameter; moving averages are fixed only if the whole layer is."""
        if parameter.startswith("moving_") and self.source is None:
            return self._trainable is not False
        return super().trains(parameter)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {**super().spec(input_shapes), "momentum": self.momentum}

    def initializer(self, parameter: str) -> Initializer:
        moving = {"moving_mean": self.moving_mean_initializer, "moving_variance": self.moving_variance_initializer}
        return moving[parameter] if parameter in moving else super().initializer(parameter)


class LayerNormalization(_Normalization):
    """Normalize each vector along the last axis, in training and prediction alike.

    Parameters
    ----------
    epsilon, center, scale
        See `BatchNormalization`.
    beta_initializer, gamma_initializer, trainable, name, **weights
        See `nnfast.layers`.

    References
    ----------
    Ba, Kiros & Hinton (2016), Layer normalization, arXiv:1607.06450.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((2,)), layers.LayerNormalization(epsilon=1e-6)])
    >>> net.predict([[3.0, 5.0], [0.0, -4.0]]).round(4)
    array([[-1.,  1.],
           [ 1., -1.]], dtype=float32)
    """

    passes_mask = True
    op = "layer_normalization"

    def __init__(
        self,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        *,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
        **weights: Unpack[NormOptions],
    ) -> None:
        super().__init__(epsilon, center, scale, beta_initializer, gamma_initializer, trainable, name)
        self._declare_weights(weights)


class RMSNormalization(Layer):
    """Divide each vector along the last axis by its root mean square: y = gamma x / sqrt(mean(x^2) + epsilon).

    It has no mean to subtract and no beta, and costs less than `LayerNormalization`, in whose place many transformers
    use it.

    Parameters
    ----------
    epsilon : float, default 1e-6
        Added to the mean of the squares; larger than 0.
    gamma_initializer, trainable, name, **weights
        See `nnfast.layers`.

    References
    ----------
    Zhang & Sennrich (2019), Root mean square layer normalization, arXiv:1910.07467.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((2,)), layers.RMSNormalization()])
    >>> net.predict([[3.0, 3.0], [1.0, -7.0]]).round(4)
    array([[ 1. ,  1. ],
           [ 0.2, -1.4]], dtype=float32)
    """

    passes_mask = True
    op = "rms_norm"
    shared_arguments: ClassVar[dict[str, Any]] = dict.fromkeys(GammaOptions.__annotations__)

    def __init__(
        self,
        epsilon: float = 1e-6,
        gamma_initializer: Any = "ones",
        *,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
        **weights: Unpack[GammaOptions],
    ) -> None:
        super().__init__(name=name)
        self._declare_trainable(trainable)
        self.epsilon = _epsilon("RMSNormalization", epsilon)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self._declare_weights(weights)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "epsilon": self.epsilon}

    def initializer(self, parameter: str) -> Initializer:
        return self.gamma_initializer


class GroupNormalization(_Normalization):
    """Normalize each image over groups of adjacent channels, in training and prediction alike.

    Mean and variance are taken over the C / groups channels of a group and all axes but the batch axis. Since rows do
    not interact, it suits batches that are too small for `BatchNormalization`.

    Parameters
    ----------
    groups : int, default 32
        Number of groups; must divide C. With 1, a whole image is normalized; with C, each channel (instance
        normalization).
    epsilon, center, scale
        See `BatchNormalization`.
    beta_initializer, gamma_initializer, trainable, name, **weights
        See `nnfast.layers`.

    References
    ----------
    Wu & He (2018), Group normalization, arXiv:1803.08494. Ulyanov, Vedaldi & Lempitsky (2016), Instance normalization,
    arXiv:1607.08022.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((4,)), layers.GroupNormalization(groups=2, epsilon=1e-6)])
    >>> net.predict([[1.0, 3.0, 30.0, 10.0]]).round(4)
    array([[-1.,  1.,  1., -1.]], dtype=float32)
    """

    op = "group_normalization"

    def __init__(
        self,
        groups: int = 32,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        *,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
        **weights: Unpack[NormOptions],
    ) -> None:
        super().__init__(epsilon, center, scale, beta_initializer, gamma_initializer, trainable, name)
        self._declare_weights(weights)
        self.groups = integer("GroupNormalization", "groups", groups)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {**super().spec(input_shapes), "groups": self.groups}
