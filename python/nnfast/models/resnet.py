"""Residual networks for CIFAR-10 and for ImageNet."""

from __future__ import annotations

from typing import Any, Literal

from nnfast import layers
from nnfast.core.options import integer
from nnfast.core.tensor import Tensor
from nnfast.models.blocks import bottleneck_block, convolution, images, residual_block
from nnfast.network import Network

__all__ = ["resnet", "resnet_cifar"]

_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
"""Number of blocks in each stage, by depth."""


def resnet_cifar(
    depth: int = 20,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    *,
    shortcut: Literal["padding", "projection"] = "padding",
    scale: float = 1 / 255,
    offset: float = 0.0,
    seed: int | None = None,
    dtype: Any = "float32",
) -> Network:
    """Residual network for small images: a convolution, stages of 16, 32 and 64 channels, and global average pooling.

    Parameters
    ----------
    depth : int, default 20
        6 n + 2 layers, with n blocks per stage: 20, 32, 44, 56 and 110 in the paper.
    input_shape, classes, scale, offset, seed, dtype
        See `nnfast.models`; images may have any size.
    shortcut : {"padding", "projection"}, default "padding"
        See `residual_block`; the paper's results for these networks use padding.

    Returns
    -------
    Network
        Trainable parameters: 0.27 M at depth 20, 0.46 M at 32, 0.66 M at 44, 0.85 M at 56, 1.73 M at 110.

    References
    ----------
    He et al. (2015), Deep residual learning for image recognition, arXiv:1512.03385, section 4.2.

    Examples
    --------
    >>> import nnfast as nf
    >>> net = nf.models.resnet_cifar(20, seed=0)
    >>> sum(net.parameters[name].size for name in net.trainable)
    269722
    """
    blocks, rest = divmod(integer("resnet_cifar", "depth", depth) - 2, 6)
    if rest or blocks < 1:
        raise ValueError(f"resnet_cifar: expected a depth of 6 n + 2, such as 20, 32, 44, 56 or 110, got {depth}")
    entry, x = images("resnet_cifar", input_shape, scale, offset)
    x = convolution(x, 16, 3, name="conv1")
    for stage, filters in enumerate((16, 32, 64)):
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            name = f"conv{stage + 2}_{block + 1}"
            x = residual_block(x, filters, strides, shortcut=shortcut, name=name)
    return _network(entry, x, classes, seed, dtype, f"resnet{depth}_cifar")


def resnet(
    depth: int = 50,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    *,
    scale: float = 1 / 255,
    offset: float = 0.0,
    seed: int | None = None,
    dtype: Any = "float32",
) -> Network:
    """Residual network for large images: a 7 x 7 convolution, max pooling, four stages, and global average pooling.

    Parameters
    ----------
    depth : {18, 34, 50, 101, 152}, default 50
        From 50 on, the blocks are bottlenecks; see `bottleneck_block` for their strides.
    input_shape, classes, scale, offset, seed, dtype
        See `nnfast.models`; images may have any size.

    Returns
    -------
    Network
        Trainable parameters: 11,689,512 at depth 18, 21,797,672 at 34, 25,557,032 at 50, 44,549,160 at 101, 60,192,808
        at 152.

    Notes
    -----
    Shortcuts are projections where the shape changes (option B).

    References
    ----------
    He et al. (2015), Deep residual learning for image recognition, arXiv:1512.03385, table 1.

    Examples
    --------
    >>> import nnfast as nf
    >>> net = nf.models.resnet(18, seed=0)
    >>> sum(net.parameters[name].size for name in net.trainable)
    11689512
    """
    if integer("resnet", "depth", depth) not in _BLOCKS:
        raise ValueError(f"resnet: expected a depth of {', '.join(map(str, _BLOCKS))}, got {depth}")
    make_block = residual_block if depth < 50 else bottleneck_block
    entry, x = images("resnet", input_shape, scale, offset)
    x = convolution(x, 64, 7, 2, name="conv1")
    x = layers.MaxPool2D(3, strides=2, padding=1)(x)
    for stage, blocks in enumerate(_BLOCKS[depth]):
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            x = make_block(x, 64 << stage, strides, name=f"conv{stage + 2}_{block + 1}")
    return _network(entry, x, classes, seed, dtype, f"resnet{depth}")


def _network(entry: Tensor, x: Tensor, classes: int, seed: int | None, dtype: Any, name: str) -> Network:
    outputs = layers.Dense(classes, activation="softmax")(layers.GlobalAvgPool2D()(x))
    return Network(inputs=entry, outputs=outputs, seed=seed, dtype=dtype, name=name)
