"""GoogLeNet."""

from __future__ import annotations

from typing import Any

from nnfast import layers
from nnfast.models.blocks import convolution, images, inception_block
from nnfast.network import Network

__all__ = ["googlenet"]

_STAGES: dict[int, dict[str, tuple[int, tuple[int, int], tuple[int, int], int]]] = {
    3: {
        "a": (64, (96, 128), (16, 32), 32),
        "b": (128, (128, 192), (32, 96), 64),
    },
    4: {
        "a": (192, (96, 208), (16, 48), 64),
        "b": (160, (112, 224), (24, 64), 64),
        "c": (128, (128, 256), (24, 64), 64),
        "d": (112, (144, 288), (32, 64), 64),
        "e": (256, (160, 320), (32, 128), 128),
    },
    5: {
        "a": (256, (160, 320), (32, 128), 128),
        "b": (384, (192, 384), (48, 128), 128),
    },
}
"""Arguments of `inception_block`, from table 1 of the paper."""


def googlenet(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    *,
    batch_normalization: bool = False,
    scale: float = 1 / 255,
    offset: float = 0.0,
    seed: int | None = None,
    dtype: Any = "float32",
) -> Network:
    """GoogLeNet (Inception v1): 22 layers with parameters, among them nine Inception blocks.

    Parameters
    ----------
    input_shape, classes, scale, offset, seed, dtype
        See `nnfast.models`; images may have any size.
    batch_normalization : bool, default False
        Whether convolutions have batch normalization instead of a bias. It makes training easier; the paper predates
        it.

    Returns
    -------
    Network
        6,998,552 parameters; with batch normalization, 7,005,832 trainable ones.

    Notes
    -----
    The auxiliary classifiers, which are removed after training, and local response normalization are omitted.

    References
    ----------
    Szegedy et al. (2014), Going deeper with convolutions, arXiv:1409.4842, table 1.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.models.googlenet(seed=0).num_parameters
    6998552
    """
    entry, x = images("googlenet", input_shape, scale, offset)
    x = convolution(x, 64, 7, 2, batch_normalization=batch_normalization, name="conv1")
    x = layers.MaxPool2D(3, strides=2, padding="same")(x)
    x = convolution(x, 64, 1, batch_normalization=batch_normalization, name="conv2_reduce")
    x = convolution(x, 192, 3, batch_normalization=batch_normalization, name="conv2")
    for stage, blocks in _STAGES.items():
        x = layers.MaxPool2D(3, strides=2, padding="same")(x)
        for letter, filters in blocks.items():
            name = f"inception_{stage}{letter}"
            x = inception_block(x, *filters, batch_normalization=batch_normalization, name=name)
    x = layers.Dropout(0.4)(layers.GlobalAvgPool2D()(x))
    outputs = layers.Dense(classes, activation="softmax")(x)
    return Network(inputs=entry, outputs=outputs, seed=seed, dtype=dtype, name="googlenet")
