"""Depthwise convolution: the reference's values, the general path's bits, the same for every number of threads."""

from typing import Any

import numpy as np
import pytest
from kernel_cases import Array, assert_close, eps
from reference.convolution import conv_backward, conv_forward

import nnfast as nf
from nnfast import kernels

WINDOWS = [(3, 1, "same"), (3, 2, "same"), (3, 1, "valid"), (5, 1, "same"), (5, 2, "valid"), (5, 2, "same")]


def arrays(rng: Any, shape: tuple[int, ...], window: int, multiplier: int = 1) -> tuple[Array, Array, Array]:
    filters = shape[-1] * multiplier
    return rng.standard_normal(shape), rng.standard_normal((window, window, 1, filters)), rng.standard_normal(filters)


@pytest.mark.parametrize("channels", [1, 3, 15, 16, 17, 40])
@pytest.mark.parametrize("multiplier", [1, 2])
@pytest.mark.parametrize(("window", "stride", "padding"), WINDOWS)
def test_awkward_sizes(channels: int, multiplier: int, window: int, stride: int, padding: str, rng: Any) -> None:
    x, kernel, bias = arrays(rng, (2, 7, 11, channels), window, multiplier)
    how = ((stride, stride), padding, (1, 1), channels)
    y = kernels.conv2d_forward(x, kernel, bias, *how)
    # 26 terms of magnitude below 5^2 at most; the sums over pixels have 154, and twice as many of them for dx.
    assert_close(y, conv_forward(x, kernel, bias, *how), 26 * 26 * 25 * eps("float64"))
    dy = rng.standard_normal(y.shape)
    for got, truth in zip(
        kernels.conv2d_backward(dy, x, kernel, *how), conv_backward(dy, x, kernel, *how), strict=True
    ):
        assert_close(got, truth, 154 * 154 * 25 * eps("float64"))


@pytest.mark.parametrize("activation", ["identity", "relu", "tanh"])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize(("window", "stride", "padding"), WINDOWS)
def test_bits_of_the_general_path(
    activation: str, dilation: int, window: int, stride: int, padding: str, rng: Any
) -> None:
    """A full kernel whose other elements are 0 adds nothing to the chains; with 16 channels it would be Winograd's."""
    x, kernel, bias = (a.astype(np.float32) for a in arrays(rng, (2, 10, 13, 13), window))
    full = np.zeros((window, window, 13, 13), np.float32)
    full[:, :, range(13), range(13)] = kernel[:, :, 0]
    how = {"strides": stride, "padding": padding, "dilation_rate": dilation, "activation": activation}
    got = kernels.conv2d_forward(x, kernel, bias, groups=13, **how)
    np.testing.assert_array_equal(got, kernels.conv2d_forward(x, full, bias, **how))


def test_a_window_larger_than_the_image(rng: Any) -> None:
    x, kernel, bias = arrays(rng, (2, 2, 3, 18), 9)
    how = ((1, 1), "same", (1, 1), 18)
    assert_close(kernels.conv2d_forward(x, kernel, bias, *how), conv_forward(x, kernel, bias, *how), 1e-12)
    for got, truth in zip(kernels.conv2d_backward(x, x, kernel, *how), conv_backward(x, x, kernel, *how), strict=True):
        assert_close(got, truth, 1e-12)


def test_sequences(rng: Any) -> None:
    x, kernel = rng.standard_normal((3, 11, 20)), rng.standard_normal((3, 1, 20))
    how = ((2,), "same", (1,), 20)
    assert_close(
        kernels.conv2d_forward(x, kernel, None, 2, "same", groups=20), conv_forward(x, kernel, None, *how), 1e-13
    )


@pytest.mark.parametrize("images", [1, 21])
def test_bits_do_not_depend_on_threads(images: int, rng: Any) -> None:
    x, kernel, bias = (a.astype(np.float32) for a in arrays(rng, (images, 30, 31, 150), 3))
    before = nf.get_num_threads()
    runs = []
    try:
        for threads in (1, 2, 3, 8):
            nf.set_num_threads(threads)
            y = kernels.conv2d_forward(x, kernel, bias, padding="same", groups=150, activation="tanh")
            results = kernels.conv2d_backward(y, x, kernel, padding="same", groups=150)
            runs.append([np.asarray(result).tobytes() for result in (y, *results)])
    finally:
        nf.set_num_threads(before)
    assert runs[1:] == runs[:1] * 3


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_batch_normalization_folded_into_it(activation: str, rng: Any) -> None:
    net = nf.Network(
        [
            nf.layers.Input((7, 9, 21)),
            nf.layers.DepthwiseConv2D(3, padding="same"),
            nf.layers.BatchNormalization(),
            nf.layers.Activation(activation),
        ],
        dtype="float64",
    )
    for value in net.parameters.values():
        value[...] = rng.uniform(0.5, 1.5, value.shape)
    kernel, bias, gamma, beta, mean, variance = (value.copy() for value in net.parameters.values())
    x = rng.standard_normal((3, 7, 9, 21))
    y = conv_forward(x, kernel.reshape(3, 3, 1, 21), bias, (1, 1), "same", (1, 1), 21)
    y = (y - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    assert_close(net.predict(x), np.tanh(y) if activation == "tanh" else np.maximum(y, 0), 1e-12)
