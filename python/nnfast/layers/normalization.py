"""Layers that bring their inputs to mean 0 and variance 1, and then scale and shift them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnfast import initializers
from nnfast.core.options import flag, integer, real
from nnfast.core.typing import Shape, Spec
from nnfast.initializers import Initializer
from nnfast.layers.base import Layer

__all__ = ["BatchNormalization", "GroupNormalization", "LayerNormalization"]


class _Normalization(Layer):
    """What the normalising layers have in common: epsilon, gamma and beta."""

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
        self.epsilon = real(kind, "epsilon", epsilon, minimum=0.0)
        if self.epsilon == 0:
            raise ValueError(f"{kind}: expected epsilon > 0, got 0.0")
        self.center = flag(type(self).__name__, "center", center)
        self.scale = flag(type(self).__name__, "scale", scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {"op": self.op, "epsilon": self.epsilon, "center": int(self.center), "scale": int(self.scale)}

    def initializer(self, parameter: str) -> Initializer:
        return {"gamma": self.gamma_initializer, "beta": self.beta_initializer}[parameter]


class BatchNormalization(_Normalization):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, for each channel over the batch.

    In training, mean and variance are those of the batch: over the rows and all axes but the last. Moving averages
    follow them, moving = momentum * moving + (1 - momentum) * batch, and take their place in prediction.

    Parameters
    ----------
    momentum : float, default 0.99
        0 <= momentum < 1.
    epsilon : float, default 1e-3
        Above 0.
    center, scale : bool, default True
        Whether there is a beta, and a gamma.
    beta_initializer, gamma_initializer : Initializer, str, float or array_like
        By default zeros and ones.
    moving_mean_initializer, moving_variance_initializer : Initializer, str, float or array_like
        By default zeros and ones.
    trainable : bool or names, default True
        Which of gamma and beta training changes. With False, as after ``net.freeze("<layer>")``, the moving averages
        stay too, and they are used in training as well.
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        If `momentum` is not in [0, 1), `epsilon` is not above 0, or an initializer is unknown. Where the layer is
        called: if a name in `trainable` is no parameter's that an optimiser trains. Where the moving averages are used:
        if a variance is negative.
    TypeError
        If one of the numbers is none, or another argument is of a type that it does not take.

    Notes
    -----
    Shape (N, ..., C) to the same. Parameters: gamma (C,), beta (C,), moving_mean (C,), moving_variance (C,). The last
    two are no parameters that an optimiser trains, but they are saved, copied and counted like the others; a step that
    fails leaves them as they were.

    The variance is the mean of squared distances, in the moving average too, as in Keras. (PyTorch's running variance
    is larger by n / (n - 1), and its momentum is 1 - momentum here.) A batch of one row is allowed. In training, x is
    read twice forward, and x and dy twice backward. The variance is summed around the mean of a tile of rows, and the
    tiles are merged in float64; cut and order follow from the shape alone. A ReLU layer right after it runs inside of
    it. In prediction it runs inside of a dense layer or a convolution right before it that has no activation.

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
    ) -> None:
        super().__init__(epsilon, center, scale, beta_initializer, gamma_initializer, trainable, name)
        self.momentum = real("BatchNormalization", "momentum", momentum, minimum=0.0, upper_bound=1.0)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def trains(self, parameter: str) -> bool:
        """Whether training changes the parameter; the moving averages stay only where all stays."""
        if parameter.startswith("moving_"):
            return self._trainable is not False
        return super().trains(parameter)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {**super().spec(input_shapes), "momentum": self.momentum}

    def initializer(self, parameter: str) -> Initializer:
        moving = {"moving_mean": self.moving_mean_initializer, "moving_variance": self.moving_variance_initializer}
        return moving[parameter] if parameter in moving else super().initializer(parameter)


class LayerNormalization(_Normalization):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, mean and variance being those of the last axis.

    Parameters
    ----------
    epsilon : float, default 1e-3
        Above 0.
    center, scale : bool, default True
        Whether there is a beta, and a gamma.
    beta_initializer, gamma_initializer : Initializer, str, float or array_like
        By default zeros and ones.
    trainable : bool or names, default True
        Which parameters training changes.
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        If `epsilon` is not above 0, or an initializer is unknown. Where the layer is called: if a name in `trainable`
        is no parameter's.
    TypeError
        If `epsilon` is no number, or another argument is of a type that it does not take.

    Notes
    -----
    Shape (N, ..., D) to the same. Parameters: gamma (D,), beta (D,). The same in training and in prediction, and each
    row by itself. Mean and variance are found again in the backward pass, from a row that is in the cache.

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
    ) -> None:
        super().__init__(epsilon, center, scale, beta_initializer, gamma_initializer, trainable, name)


class GroupNormalization(_Normalization):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, over a group of channels of one image.

    Mean and variance are taken over all axes but the batch, and over the C / groups channels of a group, which stand
    together.

    Parameters
    ----------
    groups : int, default 32
        Divides C. 1 normalises a whole image; C, each channel by itself (instance normalisation).
    epsilon : float, default 1e-3
        Above 0.
    center, scale : bool, default True
        Whether there is a beta, and a gamma.
    beta_initializer, gamma_initializer : Initializer, str, float or array_like
        By default zeros and ones.
    trainable : bool or names, default True
        Which parameters training changes.
    name : str, optional
        As in `Layer`; errors too.

    Raises
    ------
    ValueError
        If `groups` is below 1, `epsilon` is not above 0, or an initializer is unknown. Where the layer is called: if
        `groups` does not divide C, or a name in `trainable` is no parameter's.
    TypeError
        If `groups` is no integer, `epsilon` is no number, or another argument is of a type that it does not take.

    Notes
    -----
    Shape (N, ..., C) to the same. Parameters: gamma (C,), beta (C,). The same in training and in prediction, and each
    image by itself, so it serves where batches are too small for `BatchNormalization`. Sums are made as there.

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
    ) -> None:
        super().__init__(epsilon, center, scale, beta_initializer, gamma_initializer, trainable, name)
        self.groups = integer("GroupNormalization", "groups", groups)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {**super().spec(input_shapes), "groups": self.groups}
