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
    """LeNet-5 in its modern form: two 5 x 5 convolutions with pooling, and dense layers of 120, 84 and `classes` units.

    Parameters
    ----------
    input_shape, classes, scale, offset, seed, dtype
        See `nnfast.models`; height and width are at least 16.
    activation : str or activation layer, default "relu"
        Activation function of all layers but the last; "tanh" in the original.
    pooling : {"max", "average"}, default "max"
        The original uses averages with trainable scales.

    Returns
    -------
    Network
        44,426 parameters; 61,706 for the original's 32 x 32 x 1 images.

    References
    ----------
    LeCun et al. (1998), Gradient-based learning applied to document recognition, DOI 10.1109/5.726791.

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
    """Keras's "Simple MNIST convnet": two 3 x 3 convolutions with pooling, dropout, and a dense layer.

    Parameters
    ----------
    input_shape, classes, scale, offset, seed, dtype
        See `nnfast.models`; height and width are at least 10.

    Returns
    -------
    Network
        34,826 parameters.

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
