"""Autoencoders: networks that learn to reproduce their input from a short code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from nnfast import layers
from nnfast.core.options import flag, integer, real, shape_of
from nnfast.core.tensor import Tensor
from nnfast.core.typing import Shape
from nnfast.network import Network

__all__ = ["autoencoder", "variational_autoencoder"]

_KERNEL_SIZE = 3


class _Encoded(NamedTuple):
    """What the decoder mirrors."""

    shapes: list[Shape]
    """The input's, and that after each convolution."""
    hidden: list[tuple[layers.Dense, int]]
    """The dense layers and the sizes of their inputs, the last of the encoder first."""


def autoencoder(
    input_shape: int | Sequence[int],
    code_size: int = 32,
    units: Sequence[int] = (128,),
    filters: Sequence[int] = (),
    *,
    activation: Any = "relu",
    code_activation: Any = None,
    output_activation: Any = "sigmoid",
    noise: float = 0.0,
    tied: bool = False,
    activity_regularizer: Any = None,
    seed: int | None = None,
    dtype: Any = "float32",
) -> Network:
    """Autoencoder: an encoder to a code of `code_size` numbers, and a decoder that mirrors it.

    Train it to reproduce its input: ``trainer.fit(x, x)``, with ``loss="binary_cross_entropy"`` or ``"mse"``.

    Parameters
    ----------
    input_shape : int or tuple of int
        (D,), or for convolutions (T, C) or (H, W, C).
    code_size : int, default 32
        Number of elements of the code, the output of the layer "code".
    units : sequence of int, default (128,)
        Sizes of the dense layers before the code.
    filters : sequence of int, default ()
        Channels of the convolutions before them, each of kernel size 3 and strides 2; by default there are none.
    activation, code_activation, output_activation : str or activation layer
        Of the hidden layers, of the code, and of the output: by default ReLU, none, and the sigmoid, which is for data
        from 0 to 1.
    noise : float, default 0
        Standard deviation of normal noise that is added to the input in training: a denoising autoencoder.
    tied : bool, default False
        Whether the decoder's dense layers have the transposed kernels of the encoder's; without `filters`.
    activity_regularizer : Regularizer, str or callable, optional
        Penalty on the code, for a sparse autoencoder; see `nnfast.regularizers`.
    seed, dtype
        See `nnfast.models`.

    Returns
    -------
    Network
        It ends in the layer "decoded". ``net.extract("code")`` is the encoder, and
        ``net.extract("decoded", inputs="code")`` the decoder.

    References
    ----------
    Hinton & Salakhutdinov (2006), Reducing the dimensionality of data with neural networks, DOI
    10.1126/science.1127647. Vincent et al. (2008), Extracting and composing robust features with denoising
    autoencoders, DOI 10.1145/1390156.1390294.

    Examples
    --------
    >>> import nnfast as nf
    >>> net = nf.models.autoencoder((28, 28, 1), 8, filters=(16, 32), seed=0)
    >>> net
    <Network 'autoencoder': 12 layers, 414857 parameters, input (28, 28, 1), output (28, 28, 1), float32>
    >>> net.extract("code").output_shape, net.extract("decoded", inputs="code").input_shape
    ((8,), (8,))
    """
    where = "autoencoder"
    if flag(where, "tied", tied) and filters:
        raise ValueError("autoencoder: expected no filters with tied=True, which ties dense layers; leave one out")
    entry = layers.Input(input_shape)
    noise = real(where, "noise", noise, minimum=0.0)
    noisy = layers.GaussianNoise(noise)(entry) if noise else entry
    x, encoded = _encode(where, noisy, units, filters, activation)
    size = integer(where, "code_size", code_size)
    code = layers.Dense(size, code_activation, activity_regularizer=activity_regularizer, name="code")
    encoded.hidden.insert(0, (code, x.shape[0]))
    decoded = _decode(code(x), encoded, filters, activation, output_activation, tied)
    return Network(inputs=entry, outputs=decoded, seed=seed, dtype=dtype, name=where)


def variational_autoencoder(
    input_shape: int | Sequence[int],
    code_size: int = 2,
    units: Sequence[int] = (128,),
    filters: Sequence[int] = (),
    *,
    beta: float = 1.0,
    activation: Any = "relu",
    output_activation: Any = "sigmoid",
    seed: int | None = None,
    dtype: Any = "float32",
) -> Network:
    """Variational autoencoder: the encoder gives a normal distribution of codes, and codes fill a standard normal one.

    Train it to reproduce its input: ``trainer.fit(x, x)``. With ``loss="binary_cross_entropy"`` and `beta` = 1, the
    loss times the number of elements of x is the negative evidence lower bound (ELBO); see `layers.Sampling`.

    Parameters
    ----------
    input_shape, units, filters, activation, output_activation
        See `autoencoder`.
    code_size : int, default 2
        Number of elements of the code.
    beta : float, default 1
        Weight of the divergence of the codes' distribution from the standard normal one. With ``loss="mse"``, 2 s^2
        gives the bound for a normal distribution of x with the standard deviation s around the output.
    seed, dtype
        See `nnfast.models`.

    Returns
    -------
    Network
        With the layers "mean", "log_variance", "code" and "decoded". ``net.extract("mean")`` is the encoder, and
        ``net.extract("decoded", inputs="code")`` the decoder, which generates: ``decoder.predict(z)`` for standard
        normal z.

    References
    ----------
    Kingma & Welling (2014), Auto-encoding variational Bayes, arXiv:1312.6114. Higgins et al. (2017), beta-VAE: learning
    basic visual concepts with a constrained variational framework, ICLR.

    Examples
    --------
    >>> import numpy as np
    >>> import nnfast as nf
    >>> net = nf.models.variational_autoencoder(784, 2, (400,), seed=0)
    >>> decoder = net.extract("decoded", inputs="code")
    >>> decoder.predict(np.random.default_rng(0).normal(size=(5, 2))).shape
    (5, 784)
    """
    where = "variational_autoencoder"
    entry = layers.Input(input_shape)
    x, encoded = _encode(where, entry, units, filters, activation)
    size = integer(where, "code_size", code_size)
    mean, log_variance = (layers.Dense(size, name=name) for name in ("mean", "log_variance"))
    kl_weight = real(where, "beta", beta, minimum=0.0) / math.prod(entry.shape)
    code = layers.Sampling(kl_weight, name="code")([mean(x), log_variance(x)])
    encoded.hidden.insert(0, (mean, x.shape[0]))
    decoded = _decode(code, encoded, filters, activation, output_activation)
    return Network(inputs=entry, outputs=decoded, seed=seed, dtype=dtype, name=where)


def _encode(
    where: str, x: Tensor, units: Sequence[int], filters: Sequence[int], activation: Any
) -> tuple[Tensor, _Encoded]:
    """Convolutions of strides 2 and dense layers."""
    encoded = _Encoded([x.shape], [])
    if filters and x.ndim not in (3, 4):
        raise ValueError(
            f"{where}: expected input_shape as (T, C) or (H, W, C) with filters, got {x.shape}; leave out filters"
        )
    units, filters = (shape_of(where, name, sizes) for name, sizes in (("units", units), ("filters", filters)))
    convolution = layers.Conv1D if x.ndim == 3 else layers.Conv2D
    for channels in filters:
        x = convolution(channels, _KERNEL_SIZE, strides=2, padding="same", activation=activation)(x)
        encoded.shapes.append(x.shape)
    x = layers.Flatten()(x) if len(x.shape) > 1 else x
    for size in units:
        dense = layers.Dense(size, activation)
        encoded.hidden.insert(0, (dense, x.shape[0]))
        x = dense(x)
    return x, encoded


def _decode(
    x: Tensor, encoded: _Encoded, filters: Sequence[int], activation: Any, output_activation: Any, tied: bool = False
) -> Tensor:
    """The encoder's layers in reverse."""
    for number, (dense, size) in enumerate(encoded.hidden, 1):
        is_last = number == len(encoded.hidden) and not filters
        function = None if is_last else activation
        x = layers.Dense(size, function, tied_to=dense if tied else None)(x)
    *before, innermost = encoded.shapes
    x = layers.Reshape(innermost)(x) if len(innermost) > 1 else x
    transposed = layers.Conv1DTranspose if len(innermost) == 2 else layers.Conv2DTranspose
    for number, shape in enumerate(before[::-1], 1):
        function = None if number == len(before) else activation
        # That of the encoder's convolution, "same", so that odd sizes come back too.
        padding = tuple((size % 2, 1) for size in shape[:-1])
        x = transposed(shape[-1], _KERNEL_SIZE, strides=2, padding=padding, activation=function)(x)
    return layers.Activation(output_activation or "identity", name="decoded")(x)
