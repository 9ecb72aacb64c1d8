"""Building blocks of deep convolutional networks: functions from tensor to tensor."""

from __future__ import annotations

from typing import Any, Literal

from nnfast import layers
from nnfast.core.options import integer, shape_of
from nnfast.core.tensor import Tensor

__all__ = ["bottleneck_block", "convolution", "images", "inception_block", "residual_block"]

_MOMENTUM, _EPSILON = 0.9, 1e-5
"""Batch normalization as in He et al. and torchvision."""


def images(where: str, input_shape: Any, scale: float, offset: float) -> tuple[layers.Input, Tensor]:
    """A network's input and the scaled images; the scaling layer is omitted if it would do nothing."""
    shape = shape_of(where, "input_shape", input_shape)
    if len(shape) != 3:
        raise ValueError(f"{where}: expected input_shape as (height, width, channels), got {shape}")
    entry = layers.Input(shape)
    return entry, entry if (scale, offset) == (1, 0) else layers.Rescaling(scale, offset)(entry)


def convolution(
    x: Tensor,
    filters: int,
    kernel_size: int,
    strides: int = 1,
    *,
    relu: bool = True,
    batch_normalization: bool = True,
    name: str | None = None,
) -> Tensor:
    """Convolution, batch normalization and ReLU.

    Parameters
    ----------
    x : Tensor (H, W, C)
    filters : int
        Number O of output channels.
    kernel_size : int
        Odd; the image is padded by half of it on all sides.
    strides : int, default 1
        Step between windows along both axes.
    relu : bool, default True
        Whether to apply ReLU; False before an addition.
    batch_normalization : bool, default True
        If False, the convolution has a bias instead.
    name : str, optional
        Name of the last layer of the block, and prefix of the names of the others.

    Returns
    -------
    Tensor (ceil(H / strides), ceil(W / strides), O)

    Notes
    -----
    Kernels are initialized by `HeNormal`; batch normalization has momentum 0.9 and epsilon 1e-5.

    References
    ----------
    Ioffe & Szegedy (2015), Batch normalization, arXiv:1502.03167. He et al. (2015), Delving deep into rectifiers,
    arXiv:1502.01852.

    Examples
    --------
    >>> from nnfast import layers, models
    >>> models.convolution(layers.Input((32, 32, 3)), 16, 3, strides=2).shape
    (16, 16, 16)
    """
    fused = "relu" if relu and not batch_normalization else None
    y = layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=integer("convolution", "kernel_size", kernel_size) // 2,
        activation=fused,
        use_bias=not batch_normalization,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    if batch_normalization:
        y = layers.BatchNormalization(momentum=_MOMENTUM, epsilon=_EPSILON, name=name and f"{name}_norm")(y)
        y = layers.ReLU()(y) if relu else y
    return y


def residual_block(
    x: Tensor,
    filters: int,
    strides: int = 1,
    *,
    shortcut: Literal["projection", "padding"] = "projection",
    name: str | None = None,
) -> Tensor:
    """Residual block of two 3 x 3 convolutions: relu(x + f(x)).

    Parameters
    ----------
    x, name
        See `convolution`.
    filters : int
        Number O of output channels.
    strides : int, default 1
        Strides of the first convolution.
    shortcut : {"projection", "padding"}, default "projection"
        If f changes the shape, x passes through a 1 x 1 convolution (option B of He et al.), or is subsampled by
        `strides` and padded with zero channels (option A, without parameters).

    Returns
    -------
    Tensor (ceil(H / strides), ceil(W / strides), O)

    References
    ----------
    He et al. (2015), Deep residual learning for image recognition, arXiv:1512.03385.

    Examples
    --------
    >>> from nnfast import layers, models
    >>> models.residual_block(layers.Input((32, 32, 16)), 32, strides=2).shape
    (16, 16, 32)
    """
    strides = integer("residual_block", "strides", strides)
    y = convolution(x, filters, 3, strides, name=name and f"{name}_a")
    y = convolution(y, filters, 3, relu=False, name=name and f"{name}_b")
    return _add_shortcut(x, y, filters, strides, shortcut, name)


def bottleneck_block(x: Tensor, filters: int, strides: int = 1, *, name: str | None = None) -> Tensor:
    """Residual block of 1 x 1, 3 x 3 and 1 x 1 convolutions; the last has 4 times the filters of the others.

    Parameters
    ----------
    x, name
        See `convolution`.
    filters : int
        Number of inner channels; the output has O = 4 filters.
    strides : int, default 1
        Strides of the 3 x 3 convolution.

    Returns
    -------
    Tensor (ceil(H / strides), ceil(W / strides), O)

    Notes
    -----
    In the paper, the first 1 x 1 convolution has the strides and ignores three quarters of the pixels. Moving them to
    the 3 x 3 convolution, as in torchvision ("v1.5"), is more accurate with the same number of parameters.

    References
    ----------
    He et al. (2015), Deep residual learning for image recognition, arXiv:1512.03385.

    Examples
    --------
    >>> from nnfast import layers, models
    >>> models.bottleneck_block(layers.Input((56, 56, 256)), 128, strides=2).shape
    (28, 28, 512)
    """
    y = convolution(x, filters, 1, name=name and f"{name}_a")
    y = convolution(y, filters, 3, strides, name=name and f"{name}_b")
    y = convolution(y, 4 * filters, 1, relu=False, name=name and f"{name}_c")
    return _add_shortcut(x, y, 4 * filters, strides, "projection", name)


def _add_shortcut(x: Tensor, y: Tensor, filters: int, strides: int, shortcut: str, name: str | None) -> Tensor:
    if shortcut not in ("projection", "padding"):
        raise ValueError(f'residual_block: expected shortcut "projection" or "padding", got {shortcut!r}')
    if x.shape != y.shape:
        if shortcut == "projection":
            x = convolution(x, filters, 1, strides, relu=False, name=name and f"{name}_shortcut")
        else:
            x = _crop_and_pad(x, filters, strides)
    return layers.ReLU(name=name)(layers.Add()([x, y]))


def _crop_and_pad(x: Tensor, filters: int, strides: int) -> Tensor:
    """Subsample by `strides` and append zero channels, using layers without parameters.

    Average pooling over windows of one pixel subsamples. The channels then become columns of an image with one channel,
    to which zero padding can append more.
    """
    height, width, maps = x.shape
    if filters < maps:
        raise ValueError(f"residual_block: expected at least {maps} filters with padding, got {filters}")
    if strides > 1:
        x = layers.AvgPool2D(1, strides=strides)(x)
        height, width, _ = x.shape
    x = layers.Reshape((height * width, maps, 1))(x)
    x = layers.ZeroPadding2D(((0, 0), (0, filters - maps)))(x)
    return layers.Reshape((height, width, filters))(x)


def inception_block(
    x: Tensor,
    filters_1x1: int,
    filters_3x3: tuple[int, int],
    filters_5x5: tuple[int, int],
    filters_pool: int,
    *,
    batch_normalization: bool = False,
    name: str | None = None,
) -> Tensor:
    """Four concatenated branches: 1 x 1; 1 x 1 and 3 x 3; 1 x 1 and 5 x 5; max pooling and 1 x 1.

    Parameters
    ----------
    x, name
        See `convolution`.
    filters_1x1 : int
        Channels of the first branch.
    filters_3x3, filters_5x5 : (int, int)
        Channels of the reducing 1 x 1 convolution and of the large convolution after it.
    filters_pool : int
        Channels of the 1 x 1 convolution after the pooling.
    batch_normalization : bool, default False
        Whether convolutions have batch normalization instead of a bias; the paper predates it.

    Returns
    -------
    Tensor (H, W, O)
        O is the total number of channels of the branches.

    References
    ----------
    Szegedy et al. (2014), Going deeper with convolutions, arXiv:1409.4842.

    Examples
    --------
    >>> from nnfast import layers, models
    >>> models.inception_block(layers.Input((28, 28, 192)), 64, (96, 128), (16, 32), 32).shape
    (28, 28, 256)
    """

    def branch(tensor: Tensor, *steps: tuple[int, int, str]) -> Tensor:
        for filters, size, part in steps:
            part_name = name and f"{name}_{part}"
            tensor = convolution(tensor, filters, size, batch_normalization=batch_normalization, name=part_name)
        return tensor

    for option, value in (("filters_3x3", filters_3x3), ("filters_5x5", filters_5x5)):
        if len(shape_of("inception_block", option, value)) != 2:
            raise ValueError(f"inception_block: expected {option} as two numbers of filters, got {value!r}")
    pooled = layers.MaxPool2D(3, strides=1, padding="same")(x)
    return layers.Concatenate(name=name)(
        [
            branch(x, (filters_1x1, 1, "1x1")),
            branch(x, (filters_3x3[0], 1, "3x3_reduce"), (filters_3x3[1], 3, "3x3")),
            branch(x, (filters_5x5[0], 1, "5x5_reduce"), (filters_5x5[1], 5, "5x5")),
            branch(pooled, (filters_pool, 1, "pool_1x1")),
        ]
    )
