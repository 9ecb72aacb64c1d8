"""The blocks of deep convolutional networks, as functions from tensor to tensor."""

from __future__ import annotations

from typing import Any, Literal

from nnfast import layers
from nnfast.core.options import integer, shape_of
from nnfast.core.tensor import Tensor

__all__ = ["bottleneck_block", "convolution", "images", "inception_block", "residual_block"]

_MOMENTUM, _EPSILON = 0.9, 1e-5
"""Of batch normalisation, as in He et al.'s own networks and in torchvision."""


def images(where: str, input_shape: Any, scale: float, offset: float) -> tuple[layers.Input, Tensor]:
    """A network's input, and the images scaled; no layer scales where there is nothing to do."""
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
    """Convolution, batch normalisation, ReLU.

    Parameters
    ----------
    x : Tensor (H, W, C)
    filters : int
        Number O of feature maps.
    kernel_size : int
        Odd; the image is padded by half of it on all sides. (An even one, which is not refused, adds a row and a column
        at strides of 1.)
    strides : int, default 1
        Steps between windows, along both axes.
    relu : bool, default True
        False leaves the ReLU out, as before an addition.
    batch_normalization : bool, default True
        False gives the convolution a bias instead.
    name : str, optional
        Of the convolution; the normalisation's is the same with "_norm" at its end.

    Returns
    -------
    Tensor (ceil(H / strides), ceil(W / strides), O)

    Raises
    ------
    ValueError
        If a number is below 1, `x` is not (H, W, C), or the name is not valid; see `layers.Layer`.
    TypeError
        If a number is no integer, or `x` is no tensor.

    Notes
    -----
    Kernels start from He et al.'s normal distribution. The moving statistics have momentum .9, epsilon is 1e-5.
    Costs 2 kernel_size^2 C O operations for each pixel of the output.

    References
    ----------
    Ioffe and Szegedy (2015), Batch normalization, arXiv:1502.03167.
    He et al. (2015), Delving deep into rectifiers, arXiv:1502.01852.

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
    """Two convolutions of 3x3 whose result is added to what came in: relu(x + f(x)).

    Parameters
    ----------
    x : Tensor (H, W, C)
    filters : int
        Number O of feature maps.
    strides : int, default 1
        Of the first convolution.
    shortcut : {"projection", "padding"}, default "projection"
        What x goes through where its shape changes: a convolution of 1x1 (option B of He et al.), or every
        `strides`-th pixel with zeros as the additional maps (option A, without parameters).
    name : str, optional
        Of the block's last layer, and prefix of the convolutions' names.

    Returns
    -------
    Tensor (ceil(H / strides), ceil(W / strides), O)

    Raises
    ------
    ValueError
        As in `convolution`, and if the shortcut is unknown, or is padding while `filters` is below C.
    TypeError
        As in `convolution`.

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
    """Convolutions of 1x1, 3x3 and 1x1 whose result is added to what came in; the last has four times the maps.

    Parameters
    ----------
    x : Tensor (H, W, C)
    filters : int
        Number of feature maps inside; O = 4 filters come out.
    strides : int, default 1
        Of the convolution of 3x3.
    name : str, optional
        Of the block's last layer, and prefix of the convolutions' names.

    Returns
    -------
    Tensor (ceil(H / strides), ceil(W / strides), O)

    Raises
    ------
    ValueError
        As in `convolution`.
    TypeError
        As in `convolution`.

    Notes
    -----
    The paper has the stride in the first convolution of 1x1, where three quarters of the pixels are never looked at.
    In the one of 3x3, as torchvision has it ("v1.5"), accuracy is better; the parameters are as many.

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
    """Every `strides`-th pixel in both directions, with zeros as the additional maps, from layers without parameters.

    Averages over windows of one pixel are the pixels themselves. The maps then stand as columns of an image with one
    channel, where padding can append more of them.
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
    """Four branches side by side: 1x1; 1x1 and 3x3; 1x1 and 5x5; max-pooling and 1x1.

    Parameters
    ----------
    x : Tensor (H, W, C)
    filters_1x1 : int
        Feature maps of the first branch.
    filters_3x3, filters_5x5 : (int, int)
        Feature maps of the convolution of 1x1 that reduces them, and of the large one after it.
    filters_pool : int
        Feature maps of the convolution of 1x1 after pooling.
    batch_normalization : bool, default False
        After each convolution, which then has no bias. The paper's networks had none yet.
    name : str, optional
        Of the block's last layer, and prefix of the convolutions' names.

    Returns
    -------
    Tensor (H, W, O)
        O is the sum of the branches' maps, which stand in the order above.

    Raises
    ------
    ValueError
        As in `convolution`, and if `filters_3x3` or `filters_5x5` are not two numbers.
    TypeError
        As in `convolution`.

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
            raise ValueError(f"inception_block: expected {option} as (before, of the branch), got {value!r}")
    pooled = layers.MaxPool2D(3, strides=1, padding="same")(x)
    return layers.Concatenate(name=name)(
        [
            branch(x, (filters_1x1, 1, "1x1")),
            branch(x, (filters_3x3[0], 1, "3x3_reduce"), (filters_3x3[1], 3, "3x3")),
            branch(x, (filters_5x5[0], 1, "5x5_reduce"), (filters_5x5[1], 5, "5x5")),
            branch(pooled, (filters_pool, 1, "pool_1x1")),
        ]
    )
