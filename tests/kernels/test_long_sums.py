"""Sums over many pixels, rows or steps in float32: as accurate as sums of few, wherever one is made.

A chain of n additions of equal numbers loses up to n / 2 units in the last place, 1e5 of them up to half a per cent;
sums of the sums of tiles lose what their short chains do. The sums here have 2^16 terms or more, one pixel, row or
step each, and may be off by `LOST`, relatively; one chain was off by ten times as much and more in all of them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import kernels, layers

EPS = float(np.finfo(np.float32).eps)
# Chains of up to 1024 terms, and of up to 1024 sums of such; rounding goes either way for all but equal terms.
LOST = 512 * EPS
TENTH = float(np.float32(0.1))


def full(*shape: int) -> Any:
    return np.full(shape, 0.1, np.float32)


def gradients(net: nf.Network, rows: int) -> dict[str, Any]:
    """Of the mean over rows: outputs are 0 and targets .1, and so the gradient of each output is -.1."""
    for value in net.parameters.values():
        value[...] = 0
    return net.loss_and_gradients(full(rows, *net.input_shape), full(rows, *net.output_shape), "half_squared_error")[1]


def pooled(shape: tuple[int, ...], layer: layers.Layer) -> Any:
    return nf.Network([layers.Input(shape), layer]).predict(full(1, *shape))


def conv_gradients(n: int, size: tuple[int, int], channels: int, filters: int, kernel: Any, **options: Any) -> Any:
    """The gradients at kernel and bias, divided by the number of pixels that each tap sees."""
    groups = options.get("groups", 1)
    x = full(n, *size, channels)
    w = np.zeros((*kernel, channels // groups, filters), np.float32)
    y = kernels.conv2d_forward(x, w, **options)
    _, d_kernel, d_bias = kernels.conv2d_backward(np.full_like(y, 0.1), x, w, **options)
    pixels = y.size // filters
    return np.concatenate([d_kernel.ravel().astype("f8") / TENTH, d_bias.astype("f8")]) / pixels


def dense_gradients(rows: int, inputs: int, units: int, **options: Any) -> Any:
    found = gradients(nf.Network([layers.Input((inputs,)), layers.Dense(units)]), rows)
    return np.concatenate([found["dense.kernel"].ravel() / TENTH, found["dense.bias"]]) * -1.0


def normalized_gradients(kind: str) -> Any:
    """d_gamma and d_beta of 2^18 rows whose u are +-1 and whose dy are .1 and .3: sums of .1 and -.1 a row, .2."""
    x = np.tile(np.float32([[-1, 1], [1, -1]]), (2**17, 1)).reshape(-1, 2)
    dy = np.where(x > 0, np.float32(0.3), np.float32(0.1))
    if kind == "batch":
        _, d_gamma, d_beta = kernels.batch_norm_backward(dy, x, epsilon=1e-12)
    elif kind == "group":
        image = (1, 512, 512, 2)
        _, d_gamma, d_beta = kernels.group_norm_backward(dy.reshape(image), x.reshape(image), groups=1, epsilon=1e-12)
    else:
        _, d_gamma, d_beta = kernels.layer_norm_backward(dy, x, epsilon=1e-12)
    return np.concatenate([d_gamma, d_beta / 2]) / len(x)


def transposed_gradients() -> Any:
    net = nf.Network([layers.Input((300, 300, 1)), layers.Conv2DTranspose(1, 1)])
    found = gradients(net, 1)
    return -np.concatenate([value.ravel() for value in found.values()]) / 300**2 * [1 / TENTH, 1]


MILLION = 2**20
SUMS: dict[str, Callable[[], Any]] = {
    "mean of an image": lambda: kernels.global_avg_pool2d_forward(full(1, 1024, 1024, 1)),
    "mean of an image of many channels": lambda: kernels.global_avg_pool2d_forward(full(1, 256, 256, 37)),
    "mean of a sequence": lambda: pooled((MILLION, 1), layers.GlobalAvgPool1D()),
    "mean of an image's rows": lambda: pooled((1024, 1024, 1), layers.AvgPool2D((1024, 1))),
    "mean of large windows": lambda: pooled((600, 700, 3), layers.AvgPool2D((300, 350), padding=1)),
    "sum of everything": lambda: kernels.reduce_sum(full(MILLION)) / MILLION,
    "sums of rows": lambda: kernels.reduce_sum(full(2, MILLION), 1) / MILLION,
    "sums of columns": lambda: kernels.reduce_sum(full(MILLION, 1), 0) / MILLION,
    "sums of many columns": lambda: kernels.reduce_sum(full(2**16, 37), 0) / 2**16,
    "dense": lambda: dense_gradients(MILLION, 2, 3),
    "dense, one input": lambda: dense_gradients(MILLION, 1, 3),
    "dense, wide": lambda: dense_gradients(2**16, 9, 40),
    "convolution": lambda: conv_gradients(2, (700, 700), 2, 9, (2, 2)),
    "convolution of few filters": lambda: conv_gradients(2, (700, 700), 1, 1, (2, 2)),
    "convolution of pairs": lambda: conv_gradients(700, (30, 30), 1, 2, (2, 2)),
    "convolution of small images": lambda: conv_gradients(4096, (5, 5), 2, 17, (2, 2)),
    "convolution of long rows": lambda: conv_gradients(1, (1, MILLION), 1, 2, (1, 2)),
    "convolution of single pixels": lambda: conv_gradients(1, (700, 700), 2, 9, (1, 1)),
    "convolution in groups": lambda: conv_gradients(2, (700, 700), 4, 4, (2, 2), groups=2),
    "Winograd's": lambda: conv_gradients(2, (400, 400), 16, 16, (3, 3)),
    "depthwise": lambda: conv_gradients(2, (700, 700), 5, 5, (2, 2), groups=5),
    "depthwise, long rows": lambda: conv_gradients(1, (1, MILLION), 2, 2, (1, 3), groups=2),
    "transposed convolution": transposed_gradients,
    "batch normalization": lambda: normalized_gradients("batch"),
    "group normalization": lambda: normalized_gradients("group"),
    "layer normalization": lambda: normalized_gradients("layer"),
    "loss of a long row": lambda: kernels.loss_forward("mae", full(1, MILLION), full(1, MILLION) * 0),
    "loss of many rows": lambda: nf.losses.get("mae")(full(MILLION, 1) * 0, full(MILLION, 1)),
}


@pytest.mark.parametrize("name", SUMS)
def test_equal_numbers(name: str) -> None:
    np.testing.assert_allclose(np.asarray(SUMS[name](), np.float64), TENTH, rtol=LOST)


def test_the_mean_of_more_ones_than_float32_counts() -> None:
    """A chain stands still at 2^24."""
    assert kernels.global_avg_pool2d_forward(np.ones((1, 4200, 4200, 1), np.float32)).item() == 1


@pytest.mark.parametrize("n", [4097, 100_003, MILLION])
def test_long_rows(n: int, rng: np.random.Generator) -> None:
    """Moments and softmax's mass: sums of positive numbers."""
    x = rng.random((2, n)).astype(np.float32)
    wide = x.astype("f8")
    unit = (wide - wide.mean(axis=1, keepdims=True)) / wide.std(axis=1, keepdims=True)
    np.testing.assert_allclose(kernels.layer_norm_forward(x, epsilon=1e-12), unit, rtol=0, atol=LOST)
    mass = np.exp(wide - wide.max(axis=1, keepdims=True))
    wanted = mass / mass.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(kernels.softmax_forward(x), wanted, rtol=LOST)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_shows_in_a_long_mean(value: float) -> None:
    x = full(1, 60, 70, 3)
    x[0, 5, 6, 1] = value
    got = kernels.global_avg_pool2d_forward(x)[0]
    np.testing.assert_array_equal(got[1], np.float32(value))
    np.testing.assert_allclose(got[[0, 2]], TENTH, rtol=LOST)
    x[0, 50, 60, 1] = -value
    assert np.isnan(kernels.global_avg_pool2d_forward(x)[0, 1])
