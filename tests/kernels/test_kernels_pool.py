"""Pooling and resampling beyond the table: any window, ties, padding, layers in one dimension, and errors."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import DTYPES, Array
from reference.pooling import avg_pool, avg_pool_backward, max_pool, max_pool_backward
from reference.resize import upsample, upsample_backward, upsampling_matrix

import nnfast as nf
from nnfast import kernels, layers

dtypes = pytest.mark.parametrize("dtype", DTYPES)


@st.composite
def windows(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, int], tuple[int, int], object]:
    """Draw a shape, a window, its strides and a padding under which it fits."""
    pool = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    strides = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    padding: object = draw(st.sampled_from(["valid", "same", "numbers"]))
    if padding == "numbers":
        padding = tuple((draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))) for k in pool)
    least = pool if padding == "valid" else (4, 4)
    size = draw(st.integers(least[0], 9)), draw(st.integers(least[1], 9))
    channels = draw(st.sampled_from([1, 2, 3, 6, 7, 8, 16, 17, 20, 33, 70]))
    return (draw(st.integers(1, 3)), *size, channels), pool, strides, padding


@given(windows(), st.sampled_from(DTYPES))
def test_any_window(case: tuple[tuple[int, ...], tuple[int, int], tuple[int, int], str], dtype: str) -> None:
    shape, pool, strides, padding = case
    rng = np.random.default_rng(5)
    x = rng.integers(-3, 4, shape).astype(dtype)
    y = max_pool(x, pool, strides, padding)
    winners = np.full(y.shape, np.nan, dtype)
    got = kernels.max_pool2d_forward(x, pool, strides, padding, winners=winners)
    np.testing.assert_array_equal(got, y)
    np.testing.assert_array_equal(kernels.max_pool2d_forward(x, pool, strides, padding), y)
    dy = rng.integers(-8, 9, y.shape).astype(dtype)
    dx = kernels.max_pool2d_backward(dy, winners, shape[1:3], pool, strides, padding, np.full(shape, np.nan, dtype))
    np.testing.assert_array_equal(dx, max_pool_backward(dy, x, pool, strides, padding))
    # Sums of at most 16 integers below 4 are exact; then one or two roundings.
    rounding = 2 * np.finfo(dtype).eps
    mean = kernels.avg_pool2d_forward(x, pool, strides, padding)
    np.testing.assert_allclose(mean, avg_pool(x, pool, strides, padding), rtol=rounding, atol=0)
    dx = kernels.avg_pool2d_backward(dy, shape[1:3], pool, strides, padding, np.full(shape, np.nan, dtype))
    size = avg_pool_backward(np.abs(dy), shape[1:3], pool, strides, padding)
    error = np.abs(dx - avg_pool_backward(dy, shape[1:3], pool, strides, padding))
    assert (error <= 9 * rounding * size).all()


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 3, 6, 16, 21])),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.sampled_from(["nearest", "bilinear"]),
)
def test_any_factor(shape: tuple[int, ...], factors: tuple[int, int], interpolation: str) -> None:
    rng = np.random.default_rng(6)
    x = rng.standard_normal(shape)
    y = kernels.upsample2d_forward(x, factors, interpolation)
    np.testing.assert_allclose(y, upsample(x, factors, interpolation), rtol=0, atol=1e-14)
    dy = rng.standard_normal(y.shape)
    dx = kernels.upsample2d_backward(dy, factors, interpolation, np.full(shape, np.nan))
    np.testing.assert_allclose(dx, upsample_backward(dy, factors, interpolation), rtol=0, atol=1e-12)


def test_bilinear_weights_are_those_of_half_pixel_centres() -> None:
    """Worked by hand: outputs of factor 2 lie a quarter of a pixel from centers, of factor 3 on them or a third off."""
    np.testing.assert_allclose(upsampling_matrix(2, 2, "bilinear"), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    thirds = np.array([[3, 0], [3, 0], [2, 1], [1, 2], [0, 3], [0, 3]]) / 3
    np.testing.assert_allclose(upsampling_matrix(2, 3, "bilinear"), thirds, atol=1e-15)


@dtypes
@pytest.mark.parametrize("channels", [1, 6, 16, 20])
def test_padding_never_wins(dtype: str, channels: int) -> None:
    x = np.full((1, 3, 3, channels), -np.inf, dtype)
    assert (kernels.max_pool2d_forward(x, 3, 1, "same") == -np.inf).all()
    x[...] = np.finfo(dtype).min
    winners = np.empty((1, 2, 2, channels), dtype)
    y = kernels.max_pool2d_forward(x, 2, 2, 1, winners=winners)
    assert (y == x.min()).all()
    assert not winners.any()
    dx = kernels.max_pool2d_backward(np.ones_like(y), winners, (3, 3), 2, 2, 1)
    assert dx.sum() == y.size


@dtypes
def test_the_first_of_equals_gets_the_gradient(dtype: str) -> None:
    x = np.zeros((1, 4, 4, 6), dtype)
    winners = np.empty((1, 2, 2, 6), dtype)
    y = kernels.max_pool2d_forward(x, 2, winners=winners)
    dx = kernels.max_pool2d_backward(np.ones_like(y), winners, (4, 4), 2)
    np.testing.assert_array_equal(dx[0, :, :, 3], [[1, 0, 1, 0], [0, 0, 0, 0]] * 2)
    signed = np.array([-0.0, 0.0, 0.0, -0.0], dtype).reshape(1, 2, 2, 1)
    assert np.signbit(kernels.max_pool2d_forward(signed, 2)).all()


@dtypes
def test_sequences_are_images_of_one_row(dtype: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((5, 9, 3)).astype(dtype)
    wanted = kernels.max_pool2d_forward(x[:, None], (1, 3), (1, 2), ((0, 0), (1, 1)))[:, 0]
    net = nf.Network([layers.Input((9, 3)), layers.MaxPool1D(3, 2, 1)], dtype=dtype)
    np.testing.assert_array_equal(net.predict(x), wanted)


def test_zeros_and_margins(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 4, 5))
    wide = np.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0)))
    np.testing.assert_array_equal(kernels.zero_padding2d_forward(x, ((1, 2), (0, 3))), wide)
    np.testing.assert_array_equal(kernels.zero_padding2d_backward(wide, ((1, 2), (0, 3))), x)
    np.testing.assert_array_equal(kernels.cropping2d_forward(x, (1, 0)), x[:, 1:-1])
    np.testing.assert_array_equal(kernels.cropping2d_backward(x, 1), np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))))
    out = np.full((2, 6, 7, 5), np.nan)
    assert kernels.zero_padding2d_forward(x, ((1, 2), (0, 3)), out) is out
    np.testing.assert_array_equal(out, wide)


X = np.ones((2, 4, 4, 3), np.float32)
Y = np.ones((2, 2, 2, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: kernels.max_pool2d_forward(X, 5), ValueError, ("at most the padded input's height, 4", "5", "same")),
        (lambda: kernels.max_pool2d_forward(X, (2, 5)), ValueError, ("width", "5")),
        (lambda: kernels.max_pool2d_forward(X, 0), ValueError, ("pool_size >= 1", "0")),
        (lambda: kernels.max_pool2d_forward(X, -2), ValueError, ("pool_size >= 1", "-2")),
        (lambda: kernels.max_pool2d_forward(X, 2.5), TypeError, ("integer", "2.5")),
        (lambda: kernels.max_pool2d_forward(X, (2, 2, 2)), ValueError, ("one number or 2",)),
        (lambda: kernels.max_pool2d_forward(X, 2, 0), ValueError, ("strides >= 1",)),
        (lambda: kernels.max_pool2d_forward(X, 2**40), ValueError, ("2^30",)),
        (lambda: kernels.max_pool2d_forward(X, 2, 1, 2), ValueError, ("smaller than the window, 2", "sees nothing")),
        (lambda: kernels.avg_pool2d_forward(X, 2, 1, ((0, 2), (0, 0))), ValueError, ("smaller than the window",)),
        (lambda: kernels.avg_pool2d_forward(X, 2, padding="full"), ValueError, ('"valid", "same"', "full")),
        (lambda: kernels.avg_pool2d_forward(X, 2, padding=-1), ValueError, ("padding >= 0",)),
        (lambda: kernels.max_pool2d_forward(X[0], 2), ValueError, ("(N, H, W, C)", "(4, 4, 3)")),
        (lambda: kernels.max_pool2d_forward(X[:, :0], 2), ValueError, ("1 or more", "0")),
        (lambda: kernels.max_pool2d_forward(X.astype(np.int32), 2), TypeError, ("int32",)),
        (lambda: kernels.max_pool2d_forward(X, 1, out=X), ValueError, ("does not overlap",)),
        (lambda: kernels.max_pool2d_forward(X, 2, out=Y[:1]), ValueError, ("(2, 2, 2, 3)", "(1, 2, 2, 3)")),
        (lambda: kernels.max_pool2d_forward(X, 2, winners=Y[:1]), ValueError, ("winners", "(2, 2, 2, 3)")),
        (lambda: kernels.max_pool2d_forward(X, 2, winners=Y.astype("f8")), TypeError, ("winners", "float64")),
        (lambda: kernels.max_pool2d_forward(X, 2, out=Y, winners=Y), ValueError, ("winners", "does not overlap out")),
        (lambda: kernels.max_pool2d_backward(Y, Y, (6, 4), 2), ValueError, ("dy: ", "(2, 3, 2, 3)", "(2, 2, 2, 3)")),
        (lambda: kernels.max_pool2d_backward(Y, Y[:, :1].copy(), (4, 4), 2), ValueError, ("winners: ", "(2, 2, 2, 3)")),
        (lambda: kernels.max_pool2d_backward(Y, Y.astype("f8"), (4, 4), 2), TypeError, ("winners", "float64")),
        (lambda: kernels.max_pool2d_backward(Y, Y, (4, 0), 2), ValueError, ("size >= 1",)),
        (lambda: kernels.avg_pool2d_backward(Y, (6, 4), 2), ValueError, ("(2, 3, 2, 3)", "(2, 2, 2, 3)")),
        (lambda: kernels.avg_pool2d_backward(Y, (0, 4), 2), ValueError, ("size >= 1",)),
        (lambda: kernels.avg_pool2d_backward(Y[0], (4, 4), 2), ValueError, ("(N, OH, OW, C)", "(2, 2, 3)")),
        (lambda: kernels.global_max_pool2d_forward(X[0]), ValueError, ("(N, H, W, C)",)),
        (lambda: kernels.global_avg_pool2d_forward(X[:, :, :0]), ValueError, ("one pixel",)),
        (lambda: kernels.global_avg_pool2d_backward(Y, (2, 2)), ValueError, ("(N, C)", "(2, 2, 2, 3)")),
        (lambda: kernels.upsample2d_forward(X, 0), ValueError, ("size >= 1",)),
        (lambda: kernels.upsample2d_forward(X, 2**29), ValueError, ("2^30",)),
        (lambda: kernels.upsample2d_forward(X, 2, "cubic"), ValueError, ("bilinear", "cubic")),
        (lambda: kernels.upsample2d_backward(X, 3), ValueError, ("multiples of 3", "(2, 4, 4, 3)")),
        (lambda: kernels.zero_padding2d_forward(X, -1), ValueError, ("padding >= 0",)),
        (lambda: kernels.zero_padding2d_forward(X, "same"), TypeError, ("integer", "same")),
        (lambda: kernels.zero_padding2d_forward(X, (1, 2, 3)), ValueError, ("2 axes", "(1, 2, 3)")),
        (lambda: kernels.zero_padding2d_forward(X, 2**40), ValueError, ("2^30",)),
        (lambda: kernels.cropping2d_forward(X, 2), ValueError, ("leave something", "(2, 4, 4, 3)")),
        (lambda: kernels.cropping2d_forward(X, ((3, 0), (1, 4))), ValueError, ("leave something", "1 and 4")),
    ],
)
def test_bad_calls_say_what_is_wrong(call: Callable[[], Array], error: type, words: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def _network(shape: tuple[int, ...], layer: Callable[[], layers.Layer]) -> nf.Network:
    return nf.Network([layers.Input(shape), layer()])


@pytest.mark.parametrize(
    ("shape", "layer", "error", "words"),
    [
        ((28, 28), layers.MaxPool2D, ValueError, ("max_pool2d: ", "(N, H, W, C)", "(N, 28, 28)", "Reshape")),
        ((28, 28, 1), layers.MaxPool1D, ValueError, ("max_pool1d: ", "(N, T, C)", "(N, 28, 28, 1)")),
        ((784,), layers.GlobalAvgPool2D, ValueError, ("global_avg_pool2d: ", "(N, H, W, C)", "(N, 784)")),
        ((4, 4, 1), layers.GlobalMaxPool1D, ValueError, ("global_max_pool1d: ", "(N, T, C)", "(N, 4, 4, 1)")),
        ((4, 4, 1), lambda: layers.MaxPool2D(5), ValueError, ("max_pool2d: ", "height, 4", "got one of 5")),
        ((4, 4, 1), lambda: layers.AvgPool2D(2, padding=3), ValueError, ("avg_pool2d: ", "smaller than the window")),
        ((4, 4, 1), lambda: layers.MaxPool2D(0), ValueError, ("MaxPool2D: ", "pool_size >= 1")),
        ((4, 4, 1), lambda: layers.MaxPool2D((2, 2, 2)), ValueError, ("MaxPool2D: ", "one number or 2")),
        ((4, 4, 1), lambda: layers.MaxPool2D(strides=-1), ValueError, ("MaxPool2D: ", "strides >= 1")),
        ((4, 4, 1), lambda: layers.MaxPool2D("2"), TypeError, ("MaxPool2D: ", "integer")),
        ((4, 4, 1), lambda: layers.AvgPool2D(padding="full"), ValueError, ("AvgPool2D: ", "full")),
        ((4, 1), lambda: layers.AvgPool1D(2, padding=(1, 1)), ValueError, ("AvgPool1D: ", "1 axes")),
        ((4,), layers.UpSampling1D, ValueError, ("up_sampling1d: ", "(N, T, C)", "(N, 4)")),
        ((4, 4, 1), lambda: layers.UpSampling2D(0), ValueError, ("UpSampling2D: ", "size >= 1")),
        ((4, 4, 1), lambda: layers.UpSampling2D(2, "cubic"), ValueError, ("interpolation of UpSampling2D", "cubic")),
        ((4, 4, 1), lambda: layers.UpSampling2D(2**29), ValueError, ("up_sampling2d: ", "2^30")),
        ((2**20, 2**20, 1), lambda: layers.UpSampling2D(2**9), ValueError, ()),
        ((4, 4), layers.ZeroPadding2D, ValueError, ("zero_padding2d: ", "(N, H, W, C)", "(N, 4, 4)")),
        ((4, 4, 1), lambda: layers.ZeroPadding2D(-1), ValueError, ("ZeroPadding2D: ", "padding >= 0")),
        ((4, 4, 1), lambda: layers.ZeroPadding2D(((1, 2), 3, 4)), ValueError, ("ZeroPadding2D: ", "2 axes")),
        ((4, 4, 1), lambda: layers.ZeroPadding2D(2**40), ValueError, ("zero_padding2d: ", "2^30")),
        ((4, 4, 1), lambda: layers.Cropping2D(2), ValueError, ("cropping2d: ", "(N, 4, 4, 1)", "2 and 2 of 4")),
        ((4, 1), lambda: layers.Cropping1D((1, 3)), ValueError, ("cropping1d: ", "1 and 3 of 4")),
        ((4, 1), lambda: layers.Cropping1D((1.5, 1)), TypeError, ("Cropping1D: ", "integer")),
    ],
)
def test_bad_layers_say_what_is_wrong(
    shape: tuple[int, ...], layer: Callable[[], layers.Layer], error: type, words: tuple[str, ...]
) -> None:
    with pytest.raises(error) as caught:
        _network(shape, layer)
    for word in words:
        assert word in str(caught.value)


@dtypes
@pytest.mark.parametrize("channels", [1, 6, 16, 35])
@pytest.mark.parametrize("size", [(2, 2), (3, 3), (2, 4), (4, 4)])
def test_a_window_with_a_nan_is_nan(size: tuple[int, int], channels: int, dtype: str) -> None:
    """Wherever it stands, with and without winners, and as the largest of the network's pooling layers."""
    rng = np.random.default_rng(8)
    for place in np.ndindex(*size):
        x = rng.standard_normal((2, 2 * size[0], 2 * size[1], channels)).astype(dtype)
        x[0, place[0], size[1] + place[1], ::2] = np.nan
        wanted = x.reshape(2, 2, size[0], 2, size[1], channels).max(axis=(2, 4))
        assert np.isnan(wanted).sum() == (channels + 1) // 2
        winners = np.full(wanted.shape, -7, dtype)
        np.testing.assert_array_equal(kernels.max_pool2d_forward(x, size), wanted)
        np.testing.assert_array_equal(kernels.max_pool2d_forward(x, size, winners=winners), wanted)
        assert (winners[0, 0, 1, ::2] == place[0] * size[1] + place[1]).all()
        whole = x.max(axis=(1, 2))
        np.testing.assert_array_equal(kernels.global_max_pool2d_forward(x), whole)
        shape = x.shape[1:]
        for layer, y in ((layers.MaxPool2D(size), wanted), (layers.GlobalMaxPool2D(), whole)):
            noise = nf.Network([layers.Input(shape), Spoilt(x), layer], dtype=dtype)
            np.testing.assert_array_equal(noise.predict(np.zeros_like(x)), y)


class Spoilt(layers.CustomLayer):
    """Gives the numbers of `values`, which no input may have."""

    def __init__(self, values: Array, name: str | None = None) -> None:
        super().__init__(name=name)
        self.values = values

    def forward(self, inputs: list[Array], output: Array, *more: object) -> None:
        output[...] = self.values[: len(output)]


@dtypes
def test_the_gradient_of_a_window_with_nans_goes_to_the_last(dtype: str) -> None:
    x = np.array([[1, np.nan, 3, 4], [np.nan, 2, 7, 5]], dtype).reshape(1, 2, 4, 1)
    winners = np.empty((1, 1, 2, 1), dtype)
    kernels.max_pool2d_forward(x, 2, winners=winners)
    dx = kernels.max_pool2d_backward(np.array([[[[2.0], [3.0]]]], dtype), winners, (2, 4), 2)
    np.testing.assert_array_equal(dx[0, :, :, 0], [[0, 0, 0, 0], [2, 0, 3, 0]])
