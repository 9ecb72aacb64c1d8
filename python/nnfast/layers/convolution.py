"""Convolutions over one or two axes, depthwise and transposed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

from nnfast import activations, initializers
from nnfast.core.options import flag, integer
from nnfast.core.typing import Shape, Spec
from nnfast.core.window import each, padding_of, plain_padding, sizes_of
from nnfast.initializers import Initializer
from nnfast.layers.base import Layer
from nnfast.layers.weight_options import KernelOptions

__all__ = ["Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose", "DepthwiseConv2D"]


class _Convolution(Layer):
    """A window that slides over `axes` axes, with a bias and an activation function."""

    axes: ClassVar[int]
    shared_arguments: ClassVar[dict[str, Any]] = dict.fromkeys(KernelOptions.__annotations__)

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int],
        padding: Any,
        dilation_rate: int | Sequence[int],
        activation: Any,
        use_bias: bool,
        kernel_initializer: Any,
        bias_initializer: Any,
        trainable: bool | Sequence[str],
        name: str | None,
    ) -> None:
        super().__init__(name=name)
        where = type(self).__name__
        self._declare_trainable(trainable)
        self.kernel_size = sizes_of(where, "kernel_size", kernel_size, self.axes)
        self.strides = sizes_of(where, "strides", strides, self.axes)
        self.dilation_rate = sizes_of(where, "dilation_rate", dilation_rate, self.axes)
        self.padding = self._padding(padding)
        self.function = activations.get(activation)
        self.use_bias = flag(where, "use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def _padding(self, value: Any) -> str | tuple[tuple[int, int], ...]:
        return padding_of(type(self).__name__, value, self.axes)

    @property
    def activation(self) -> str | dict[str, Any] | None:
        """Name of the activation function, with its parameter if that differs from the default."""
        return None if self.function.name == "identity" else self.function.plain()

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {
            "op": self.op,
            "kernel_size": each(self.kernel_size, self.axes),
            "strides": each(self.strides, self.axes),
            "padding": plain_padding(self.padding),
            "dilation_rate": each(self.dilation_rate, self.axes),
            "use_bias": int(self.use_bias),
            "activation": self.function.name,
            "alpha": self.function.alpha,
        }

    def fans(self, parameter: str, shape: Shape) -> tuple[int, int]:
        """Fan-in and fan-out of a parameter; subclasses define those of kernels."""
        return (
            self._kernel_fans(math.prod(shape[:-2]), *shape[-2:])
            if parameter == "kernel"
            else super().fans(parameter, shape)
        )

    def _kernel_fans(self, field: int, before_last: int, last: int) -> tuple[int, int]:
        raise NotImplementedError

    def initializer(self, parameter: str) -> Initializer:
        return {"kernel": self.kernel_initializer, "bias": self.bias_initializer}[parameter]


class _Forward(_Convolution):
    op = "conv"

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: Any = "valid",
        dilation_rate: int | Sequence[int] = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        *,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
        **weights: Unpack[KernelOptions],
    ) -> None:
        super().__init__(
            *(kernel_size, strides, padding, dilation_rate, activation, use_bias),
            *(kernel_initializer, bias_initializer, trainable, name),
        )
        self._declare_weights(weights)
        self.filters = integer(type(self).__name__, "filters", filters)
        self.groups = integer(type(self).__name__, "groups", groups)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {**super().spec(input_shapes), "filters": self.filters, "groups": self.groups}

    def _kernel_fans(self, field: int, before_last: int, last: int) -> tuple[int, int]:
        return field * before_last, field * (last // self.groups)


class _Transposed(_Convolution):
    op = "conv_transpose"

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: Any = "valid",
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        *,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
        **weights: Unpack[KernelOptions],
    ) -> None:
        super().__init__(
            *(kernel_size, strides, padding, dilation_rate, activation, use_bias),
            *(kernel_initializer, bias_initializer, trainable, name),
        )
        self._declare_weights(weights)
        self.filters = integer(type(self).__name__, "filters", filters)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        return {**super().spec(input_shapes), "filters": self.filters}

    def _kernel_fans(self, field: int, before_last: int, last: int) -> tuple[int, int]:
        return field * last, field * before_last


class Conv2D(_Forward):
    """2D convolution (cross-correlation): y = g(x * kernel + bias).

    Parameters
    ----------
    filters : int
        Number O of output channels.
    kernel_size : int or (int, int)
        Height and width of the window.
    strides : int or (int, int), default 1
        Step between windows.
    padding : {"valid", "same"}, int, (int, int) or ((top, bottom), (left, right)), default "valid"
        Zeros around the image: none, as many as preserve the size with strides of 1, or the given numbers.
    dilation_rate : int or (int, int), default 1
        Spacing between the elements of a window.
    groups : int, default 1
        Number of groups that channels and filters are divided into; a filter sees only the channels of its group.
    activation, use_bias, kernel_initializer, bias_initializer, trainable, name, **weights
        See `nnfast.layers`.

    Raises
    ------
    ValueError
        When the layer is called: if `groups` does not divide the channels and `filters`, the window is larger than the
        padded image, or the padded image has more than 2^22 pixels and more than 4 times the pixels of the image.

    Notes
    -----
    Shape (N, H, W, C) to (N, OH, OW, O). Parameters: kernel (KH, KW, C / groups, O), bias (O,).
    2 OH OW KH KW C O / groups operations per image. See `nnfast.kernels.conv2d_forward` for the output size and the
    algorithms.

    References
    ----------
    LeCun et al. (1998), Gradient-based learning applied to document recognition, DOI 10.1109/5.726791. Yu & Koltun
    (2015), Multi-scale context aggregation by dilated convolutions, arXiv:1511.07122.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((28, 28, 1)), layers.Conv2D(32, 3, activation="relu")], seed=0)
    >>> net.output_shape, net.num_parameters
    ((26, 26, 32), 320)
    """

    axes = 2


class Conv1D(_Forward):
    """1D convolution (cross-correlation) along a sequence: y = g(x * kernel + bias).

    Parameters
    ----------
    filters, kernel_size, strides, dilation_rate, groups
        See `Conv2D`.
    padding : {"valid", "same", "causal"}, int or ((before, after),), default "valid"
        Zeros around the sequence, see `Conv2D`. "causal" means (K - 1) D of them before it, where D is the dilation
        rate: an output depends on no later step.
    activation, use_bias, kernel_initializer, bias_initializer, trainable, name, **weights
        See `nnfast.layers`.

    Notes
    -----
    Shape (N, T, C) to (N, OT, O). Parameters: kernel (K, C / groups, O), bias (O,). 2 OT K C O / groups operations per
    row.

    References
    ----------
    Waibel et al. (1989), Phoneme recognition using time-delay neural networks, DOI 10.1109/29.21701.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((5, 1)), layers.Conv1D(1, 2, kernel_initializer=[[[-1.0]], [[1.0]]])])
    >>> net.predict([[[0.0], [0.0], [1.0], [1.0], [3.0]]])[0, :, 0]
    array([0., 1., 0., 2.], dtype=float32)
    """

    axes = 1

    def _padding(self, value: Any) -> str | tuple[tuple[int, int], ...]:
        if isinstance(value, str) and value.lower() == "causal":
            (size,), (rate,) = each(self.kernel_size, 1), each(self.dilation_rate, 1)
            return (((size - 1) * rate, 0),)
        return super()._padding(value)


class DepthwiseConv2D(_Convolution):
    """2D convolution of each channel with its own filters.

    Parameters
    ----------
    kernel_size, strides, padding, dilation_rate
        See `Conv2D`.
    depth_multiplier : int, default 1
        Number of filters per channel.
    activation, use_bias, kernel_initializer, bias_initializer, trainable, name, **weights
        See `nnfast.layers`.

    Notes
    -----
    Shape (N, H, W, C) to (N, OH, OW, C * depth_multiplier), the filters of a channel being adjacent. Parameters: kernel
    (KH, KW, C, depth_multiplier), bias (C * depth_multiplier,). 2 OH OW KH KW C depth_multiplier operations per image.

    References
    ----------
    Chollet (2017), Xception: deep learning with depthwise separable convolutions, arXiv:1610.02357.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((8, 8, 4)), layers.DepthwiseConv2D(3, padding="same")], seed=0)
    >>> net.output_shape, net.num_parameters
    ((8, 8, 4), 40)
    """

    op = "conv"
    axes = 2

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: Any = "valid",
        depth_multiplier: int = 1,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        *,
        trainable: bool | Sequence[str] = True,
        name: str | None = None,
        **weights: Unpack[KernelOptions],
    ) -> None:
        super().__init__(
            *(kernel_size, strides, padding, dilation_rate, activation, use_bias),
            *(kernel_initializer, bias_initializer, trainable, name),
        )
        self._declare_weights(weights)
        self.depth_multiplier = integer("DepthwiseConv2D", "depth_multiplier", depth_multiplier)

    def spec(self, input_shapes: list[Shape]) -> Spec:
        channels = input_shapes[0][-1] if input_shapes[0] else 0
        filters = channels * self.depth_multiplier
        return {**super().spec(input_shapes), "filters": filters, "groups": channels, "depthwise": 1}

    def _kernel_fans(self, field: int, before_last: int, last: int) -> tuple[int, int]:
        return field, field * last


class Conv2DTranspose(_Transposed):
    """Transposed 2D convolution: every input pixel adds a kernel-sized patch to the output, `strides` apart.

    Parameters
    ----------
    filters, kernel_size, strides, dilation_rate
        See `Conv2D`.
    padding : {"valid", "same"}, int, (int, int) or ((top, bottom), (left, right)), default "valid"
        Rows and columns removed from the output, i.e. the padding of the convolution of which this is the transpose:
        none, as many as make the output `strides` times the input's size, or the given numbers.
    activation, use_bias, kernel_initializer, bias_initializer, trainable, name, **weights
        See `nnfast.layers`.

    Notes
    -----
    Shape (N, H, W, C) to (N, OH, OW, O), where OH is H S + max(KH - S, 0) for "valid", H S for "same" (as in Keras),
    and (H - 1) S + KH - top - bottom for explicit padding; with dilation D, replace KH by (KH - 1) D + 1. Parameters:
    kernel (KH, KW, O, C), bias (O,). 2 H W KH KW C O operations per image.

    References
    ----------
    Dumoulin & Visin (2016), A guide to convolution arithmetic for deep learning, arXiv:1603.07285.

    Examples
    --------
    >>> import numpy as np
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((2, 2, 1)), layers.Conv2DTranspose(1, 2, strides=2, kernel_initializer="ones")])
    >>> net.predict(np.array([[[[1.0], [2.0]], [[3.0], [4.0]]]]))[0, :, :, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.],
           [3., 3., 4., 4.],
           [3., 3., 4., 4.]], dtype=float32)
    """

    axes = 2


class Conv1DTranspose(_Transposed):
    """Transposed 1D convolution along a sequence.

    Parameters
    ----------
    filters, kernel_size, strides, padding, dilation_rate
        See `Conv2DTranspose`; explicit padding is an int or ((before, after),).
    activation, use_bias, kernel_initializer, bias_initializer, trainable, name, **weights
        See `nnfast.layers`.

    Notes
    -----
    Shape (N, T, C) to (N, OT, O), with OT computed like OH in `Conv2DTranspose`. Parameters: kernel (K, O, C), bias
    (O,). 2 T K C O operations per row.

    Examples
    --------
    >>> from nnfast import Network, layers
    >>> net = Network([layers.Input((2, 1)), layers.Conv1DTranspose(1, 2, strides=2, kernel_initializer="ones")])
    >>> net.predict([[[1.0], [5.0]]])[0, :, 0]
    array([1., 1., 5., 5.], dtype=float32)
    """

    axes = 1
