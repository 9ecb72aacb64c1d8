"""Small convolutional networks for handwritten digits."""

from __future__ import annotations

from typing import Any, Literal

from nnfast import layers
from nnfast.core.options import choose
from nnfast.models.blocks import images
from nnfast.network import Network

__all__ = ["lenet5", "mnist_convnet"]


def lenet5(
    input_shape: tuple[int, int, int] = (28, 28, 1),
    classes: int = 10,
    *,
    activation: Any = "relu",
    pooling: Literal["max", "average"] = "max",
    scale: float = 1 / 255,
    offset: float = 0.0,
    seed: int | None = None,
    dtype: Any = "float32",
) -> Network:
    """LeNet-5 as it is used today: two convolutions of 5x5 with pooling, and dense layers of 120, 84 and 10 units.

    Parameters
    ----------
    input_shape : (int, int, int), default (28, 28, 1)
        Height, width, channels.
    classes : int, default 10
        Units of the last layer.
    activation : str or activation layer, default "relu"
        Of all layers but the last, which is softmax. The original's is "tanh".
    pooling : {"max", "average"}, default "max"
        The original's averages, with trained scales.
    scale, offset : float, default 1 / 255 and 0
        The first layer makes x * scale + offset of the images.
    seed : int, optional
        From 0 on; see `Network`.
    dtype : {"float32", "float64"}, default "float32"

    Returns
    -------
    Network
        44,426 parameters; 61,706 for images of 32x32x1, which the original takes.

    Raises
    ------
    ValueError
        If `input_shape` has not three sizes, or height or width is below 16; `classes` is below 1; `activation`,
        `pooling` or `dtype` is unknown; `scale` or `offset` is not finite; or `seed` is negative.
    TypeError
        If a size, `classes` or `seed` is no integer, `scale` or `offset` no number, or another argument of a type
        that it does not take.

    References
    ----------
    LeCun et al. (1998), Gradient-based learning applied to document recognition, doi:10.1109/5.726791.

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.models.lenet5(activation="tanh", pooling="average", seed=0)
    <Network 'lenet5': 10 layers, 44426 parameters, input (28, 28, 1), output (10,), float32>
    """
    kinds = {"max": layers.MaxPool2D, "average": layers.AvgPool2D}
    pool = kinds[choose("pooling", pooling, kinds)]
    entry, x = images("lenet5", input_shape, scale, offset)
    for filters in (6, 16):
        x = pool(2)(layers.Conv2D(filters, 5, activation=activation)(x))
    x = layers.Flatten()(x)
    for units in (120, 84):
        x = layers.Dense(units, activation=activation)(x)
    outputs = layers.Dense(classes, activation="softmax")(x)
    return Network(inputs=entry, outputs=outputs, seed=seed, dtype=dtype, name="lenet5")


def mnist_convnet(
    input_shape: tuple[int, int, int] = (28, 28, 1),
    classes: int = 10,
    *,
    scale: float = 1 / 255,
    offset: float = 0.0,
    seed: int | None = None,
    dtype: Any = "float32",
) -> Network:
    """The network of Keras's "Simple MNIST convnet": two convolutions of 3x3 with pooling, dropout, one dense layer.

    Parameters
    ----------
    input_shape : (int, int, int), default (28, 28, 1)
        Height, width, channels.
    classes : int, default 10
        Units of the last layer.
    scale, offset : float, default 1 / 255 and 0
        The first layer makes x * scale + offset of the images.
    seed : int, optional
        From 0 on; see `Network`.
    dtype : {"float32", "float64"}, default "float32"

    Returns
    -------
    Network
        34,826 parameters.

    Raises
    ------
    ValueError
        If `input_shape` has not three sizes, or height or width is below 10; `classes` is below 1; `dtype` is
        unknown; `scale` or `offset` is not finite; or `seed` is negative.
    TypeError
        If a size, `classes` or `seed` is no integer, or `scale` or `offset` no number.

    References
    ----------
    Chollet (2015), Simple MNIST convnet, https://keras.io/examples/vision/mnist_convnet/

    Examples
    --------
    >>> import nnfast as nf
    >>> nf.models.mnist_convnet(seed=0)
    <Network 'mnist_convnet': 9 layers, 34826 parameters, input (28, 28, 1), output (10,), float32>
    """
    entry, x = images("mnist_convnet", input_shape, scale, offset)
    for filters in (32, 64):
        x = layers.MaxPool2D(2)(layers.Conv2D(filters, 3, activation="relu")(x))
    x = layers.Dropout(0.5)(layers.Flatten()(x))
    outputs = layers.Dense(classes, activation="softmax")(x)
    return Network(inputs=entry, outputs=outputs, seed=seed, dtype=dtype, name="mnist_convnet")
