"""Pictures made of pixels: what is drawn of kernels, outputs, weights and gradients."""

from typing import Any

import numpy as np
import pytest

import nnfast as nf
from nnfast import layers
from nnfast.core.typing import Array

figure = pytest.importorskip("matplotlib.figure")


@pytest.fixture
def axes() -> Any:
    return figure.Figure().subplots()


def drawn(axes: Any, height: int, width: int) -> Array:
    """The pictures of these sizes in a mosaic, (rows, columns, H, W, ...), after a check of the lines between them."""
    (image,) = axes.images
    grid = np.ma.filled(image.get_array(), np.nan)
    zoom = -(-16 // max(height, width))
    rows, columns = ((size + 1) / (zoom * n + 1) for size, n in zip(grid.shape, (height, width), strict=False))
    assert rows == int(rows)
    assert columns == int(columns)
    cells = np.full((int(rows) * (zoom * height + 1), int(columns) * (zoom * width + 1), *grid.shape[2:]), np.nan)
    cells[: grid.shape[0], : grid.shape[1]] = grid
    cells = cells.reshape(int(rows), zoom * height + 1, int(columns), zoom * width + 1, *grid.shape[2:]).swapaxes(1, 2)
    if grid.ndim == 2:
        assert np.isnan(cells[:, :, -1]).all()
        assert np.isnan(cells[:, :, :, -1]).all()
    pixels = cells[:, :, : zoom * height, : zoom * width]
    small: Array = pixels[:, :, ::zoom, ::zoom]
    np.testing.assert_array_equal(small.repeat(zoom, axis=2).repeat(zoom, axis=3), pixels)
    return small


def test_images_in_rows(axes: Any, rng: np.random.Generator) -> None:
    x = rng.random((5, 9, 20))
    assert nf.plot.images(x, columns=3, cmap="gray_r", vmin=0, vmax=2, axes=axes) is axes
    found = drawn(axes, 9, 20)
    assert found.shape == (2, 3, 9, 20)
    np.testing.assert_array_equal(found.reshape(6, 9, 20)[:5], x)
    assert np.isnan(found[1, 2]).all()
    (image,) = axes.images
    assert (image.get_clim(), image.cmap.name) == ((0, 2), "gray_r")


def test_small_images_are_magnified(axes: Any) -> None:
    nf.plot.images(np.arange(4.0).reshape(1, 2, 2, 1), axes=axes)
    assert drawn(axes, 2, 2)[0, 0].tolist() == [[0, 1], [2, 3]]
    assert axes.images[0].get_array().shape == (16, 16)


def test_images_in_colors(axes: Any) -> None:
    x = np.zeros((2, 16, 16, 3), np.uint8)
    x[0, ..., 0] = 255
    nf.plot.images(x, axes=axes)
    grid = axes.images[0].get_array()
    assert grid[0, 0].tolist() == [1, 0, 0]
    assert grid[0, 16].tolist() == [1, 1, 1]  # the line between
    assert grid[0, 17].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("x", "options", "match"),
    [
        (np.ones((4, 4)), {}, r"plot.images: expected x \(N, H, W\).* got shape \(4, 4\)"),
        (np.ones((1, 4, 4, 2)), {}, r"got shape \(1, 4, 4, 2\)"),
        (np.ones((0, 4, 4)), {}, "not empty"),
        (np.full((1, 4, 4, 3), 2.0), {}, "expected colors of uint8 or from 0 to 1, got 2 to 2"),
        (np.ones((1, 4, 4)), {"columns": 0}, "expected columns >= 1, got 0"),
    ],
)
def test_wrong_images(x: Any, options: Any, match: str, axes: Any) -> None:
    with pytest.raises(ValueError, match=match):
        nf.plot.images(x, **options, axes=axes)


# ---- filters -----------------------------------------------------------------


def test_kernels_of_gray_images(axes: Any) -> None:
    net = nf.Network([layers.Input((8, 8, 1)), layers.Conv2D(6, (3, 2), name="edges")], seed=0)
    nf.plot.filters(net, "edges", columns=3, axes=axes)
    kernel = net.parameters["edges.kernel"].astype(float)
    wanted = np.stack([kernel[:, :, 0, k] / np.abs(kernel[..., k]).max() for k in range(6)])
    np.testing.assert_allclose(drawn(axes, 3, 2).reshape(6, 3, 2), wanted)
    (image,) = axes.images
    assert (image.get_clim(), image.cmap.name, axes.get_title()) == ((-1, 1), "seismic", "edges: 6 kernels of 3 x 2")


def test_kernels_of_colors(axes: Any, rng: np.random.Generator) -> None:
    kernel = rng.normal(size=(5, 5, 3, 4))
    nf.plot.filters(kernel, axes=axes)
    wanted = np.stack([(kernel[..., k] / np.abs(kernel[..., k]).max() + 1) / 2 for k in range(4)])
    np.testing.assert_allclose(drawn(axes, 5, 5).reshape(4, 5, 5, 3), wanted)


def test_one_row_of_channels_for_each_kernel(axes: Any, rng: np.random.Generator) -> None:
    kernel = rng.normal(size=(3, 3, 4, 2))
    nf.plot.filters(kernel, axes=axes)
    found = drawn(axes, 3, 3)
    assert found.shape == (2, 4, 3, 3)
    np.testing.assert_allclose(found[1, 2], kernel[:, :, 2, 1] / np.abs(kernel[..., 1]).max())


def test_other_convolutions(rng: np.random.Generator) -> None:
    depthwise = nf.Network([layers.Input((8, 8, 2)), layers.DepthwiseConv2D(3, depth_multiplier=2, name="c")], seed=0)
    axes = figure.Figure().subplots()
    nf.plot.filters(depthwise, "c", columns=4, axes=axes)
    kernel = depthwise.parameters["c.kernel"].astype(float)
    np.testing.assert_allclose(drawn(axes, 3, 3)[0, 1], kernel[:, :, 0, 1] / np.abs(kernel[:, :, 0, 1]).max())

    transposed = nf.Network([layers.Input((8, 8, 5)), layers.Conv2DTranspose(2, 3, name="c")], seed=0)
    axes = figure.Figure().subplots()
    nf.plot.filters(transposed, "c", axes=axes)
    kernel = transposed.parameters["c.kernel"].astype(float)  # (3, 3, 2, 5)
    np.testing.assert_allclose(drawn(axes, 3, 3)[1, 4], kernel[:, :, 1, 4] / np.abs(kernel[:, :, 1]).max())

    sequence = nf.Network([layers.Input((20, 3)), layers.Conv1D(2, 5, name="c")], seed=0)
    axes = figure.Figure().subplots()
    nf.plot.filters(sequence, "c", axes=axes)
    kernel = sequence.parameters["c.kernel"].astype(float)  # (5, 3, 2)
    np.testing.assert_allclose(drawn(axes, 3, 5)[0, 1], kernel[:, :, 1].T / np.abs(kernel[:, :, 1]).max())


def test_a_kernel_of_zeros(axes: Any) -> None:
    nf.plot.filters(np.zeros((3, 3, 1, 1)), axes=axes)
    assert not drawn(axes, 3, 3).any()


def test_wrong_filters(axes: Any) -> None:
    net = nf.Network([layers.Input((4, 4, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)], seed=0)
    with pytest.raises(ValueError, match=r"unknown layer with a kernel in plot.filters 'conv'; did you mean 'conv2d'"):
        nf.plot.filters(net, "conv", axes=axes)
    with pytest.raises(ValueError, match=r"expected a convolution, got 'dense' .* plot.hidden_units draws"):
        nf.plot.filters(net, "dense", axes=axes)
    with pytest.raises(ValueError, match=r"expected kernels \(KH, KW, C, O\), not empty, got shape \(3, 3\)"):
        nf.plot.filters(np.ones((3, 3)), axes=axes)
    with pytest.raises(ValueError, match="the kernels: expected finite numbers"):
        nf.plot.filters(np.full((3, 3, 1, 1), np.nan), axes=axes)
    with pytest.raises(ValueError, match=r"expected a dense layer, got 'conv2d' .* plot.filters draws"):
        nf.plot.hidden_units(net, "conv2d", axes=axes)


# ---- maps --------------------------------------------------------------------


def test_feature_maps(rng: np.random.Generator) -> None:
    chain = [layers.Input((7, 6, 1)), layers.Conv2D(5, 2, activation="relu", name="a"), layers.Conv2D(3, 2, name="b")]
    net = nf.Network(chain, seed=0)
    x = rng.random((7, 6, 1)).astype("float32")
    found = net.trace(x[None])
    for given in (x, x[None]):
        axes = figure.Figure().subplots()
        nf.plot.feature_maps(net, given, "a", columns=5, axes=axes)
        wanted = found["a"][0].transpose(2, 0, 1)
        np.testing.assert_allclose(drawn(axes, 6, 5)[0], wanted / wanted.max(), rtol=1e-6)
        assert (axes.images[0].get_clim(), axes.images[0].cmap.name) == ((0, 1), "magma")
        assert axes.get_title() == "a: 5 maps of 6 x 5"
    wanted = found["b"][0].transpose(2, 0, 1)
    assert wanted.min() < 0 < wanted.max()
    axes = figure.Figure().subplots()
    nf.plot.feature_maps(net, x, "b", columns=3, axes=axes)
    np.testing.assert_allclose(drawn(axes, 5, 4)[0], wanted / np.abs(wanted).max(), rtol=1e-6)
    assert (axes.images[0].get_clim(), axes.images[0].cmap.name) == ((-1, 1), "seismic")
    axes = figure.Figure().subplots()
    nf.plot.feature_maps(net, x, "b", signed=False, columns=3, axes=axes)
    np.testing.assert_allclose(drawn(axes, 5, 4)[0], wanted / wanted.max(), rtol=1e-6)
    assert axes.images[0].get_clim() == (0, 1)
    with pytest.raises(ValueError, match=r"unknown layer in plot.feature_maps 'c'"):
        nf.plot.feature_maps(net, x, "c", axes=axes)
    with pytest.raises(ValueError, match=r"expected one row and a layer .* for 2 rows of 'a'"):
        nf.plot.feature_maps(net, np.stack([x, x]), "a", axes=axes)


# ---- hidden units ------------------------------------------------------------


def test_hidden_units(axes: Any, rng: np.random.Generator) -> None:
    net = nf.Network([layers.Input((6, 5, 1)), layers.Flatten(), layers.Dense(7, name="hidden")], seed=0)
    x = rng.integers(0, 2, (9, 6, 5, 1)).astype(np.uint8)
    x[:, 0], x[0, 1:] = 0, 1
    nf.plot.hidden_units(net, "hidden", x=x, count=4, columns=2, axes=axes)
    kernel = net.parameters["hidden.kernel"].astype(float).copy()
    kernel[:5] = 0  # the first row of pixels has no ink
    wanted = (kernel / np.quantile(np.abs(kernel), 0.99, axis=0)).T.reshape(7, 6, 5)
    np.testing.assert_allclose(drawn(axes, 6, 5).reshape(4, 6, 5), wanted[:4])
    assert axes.get_title() == "hidden: what 4 units look for"
    assert axes.images[0].get_clim() == (-1, 1)


def test_hidden_units_of_colors(axes: Any) -> None:
    net = nf.Network([layers.Input((48,)), layers.Dense(1, name="hidden")], seed=0)
    nf.plot.hidden_units(net, "hidden", (4, 4, 3), axes=axes)
    kernel = net.parameters["hidden.kernel"].astype(float)[:, 0]
    wanted = (np.clip(kernel / np.quantile(np.abs(kernel), 0.99), -1, 1) + 1) / 2
    np.testing.assert_allclose(drawn(axes, 4, 4)[0, 0], wanted.reshape(4, 4, 3))


def test_units_without_weights_or_with_a_few(axes: Any) -> None:
    """A percentile of 0 does not divide."""
    kernel = np.zeros((400, 2))
    kernel[3, 1] = -0.5
    net = nf.Network([layers.Input((400,)), layers.Dense(2, kernel_initializer=kernel, name="hidden")])
    nf.plot.hidden_units(net, "hidden", (20, 20), axes=axes)
    found = drawn(axes, 20, 20)
    assert not found[0, 0].any()
    assert (found[0, 1].min(), found[0, 1][0, 3], found[0, 1].max()) == (-1, -1, 0)


def test_wrong_hidden_units(axes: Any) -> None:
    net = nf.Network([layers.Input((12,)), layers.Dense(2, name="hidden")], seed=0)
    with pytest.raises(ValueError, match=r"expected shape .* of images with 12 numbers, got \(12,\); pass shape="):
        nf.plot.hidden_units(net, "hidden", axes=axes)
    with pytest.raises(ValueError, match=r"with 12 numbers, got \(4, 4\)"):
        nf.plot.hidden_units(net, "hidden", (4, 4), axes=axes)
    with pytest.raises(ValueError, match=r"expected x with 12 pixels in each row, got shape \(2, 11\)"):
        nf.plot.hidden_units(net, "hidden", (3, 4), x=np.ones((2, 11)), axes=axes)
    with pytest.raises(ValueError, match="expected count >= 1, got 0"):
        nf.plot.hidden_units(net, "hidden", (3, 4), count=0, axes=axes)


# ---- saliency ----------------------------------------------------------------


def test_saliency_of_a_linear_network(axes: Any, rng: np.random.Generator) -> None:
    """Of y = x W, the gradient of y_k is column k of W."""
    w = rng.normal(size=(12, 3))
    net = nf.Network([layers.Input((12,)), layers.Dense(3, use_bias=False, kernel_initializer=w)], dtype="float64")
    x = rng.normal(size=(4, 12))
    nf.plot.saliency(net, x, shape=(3, 4), columns=4, axes=axes)
    found = drawn(axes, 3, 4)[0]
    chosen = np.abs(w[:, (x @ w).argmax(axis=1)]).T
    np.testing.assert_allclose(found, (chosen / chosen.max(axis=1, keepdims=True)).reshape(4, 3, 4))
    assert axes.get_title() == "What the largest output depends on"
    axes = figure.Figure().subplots()
    nf.plot.saliency(net, x[0], 2, shape=(3, 4), axes=axes)
    np.testing.assert_allclose(drawn(axes, 3, 4)[0, 0], (np.abs(w[:, 2]) / np.abs(w[:, 2]).max()).reshape(3, 4))
    assert axes.get_title() == "What output 2 depends on"


def test_saliency_is_the_largest_of_channels(axes: Any) -> None:
    w = np.arange(1.0, 9.0)[:, None] * np.resize([1, -1], (8, 1))
    dense = layers.Dense(1, kernel_initializer=w)
    net = nf.Network([layers.Input((2, 2, 2)), layers.Flatten(), dense])
    nf.plot.saliency(net, np.ones((1, 2, 2, 2), np.uint8), axes=axes)
    assert drawn(axes, 2, 2)[0, 0].tolist() == [[0.25, 0.5], [0.75, 1.0]]


def test_wrong_saliency(axes: Any) -> None:
    net = nf.Network([layers.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2)], seed=0)
    with pytest.raises(ValueError, match=r"plot.saliency: expected output < 2, the number of outputs, got 2"):
        nf.plot.saliency(net, np.ones((4, 4, 1)), 2, axes=axes)
    with pytest.raises(ValueError, match=r"expected input \(N, 4, 4, 1\), got \(3, 3\)"):
        nf.plot.saliency(net, np.ones((3, 3)), axes=axes)
    maps = nf.Network([layers.Input((4, 4, 1)), layers.Conv2D(2, 3)], seed=0)
    with pytest.raises(ValueError, match=r"expected a network from one input to outputs \(K,\), got .* to \(2, 2, 2\)"):
        nf.plot.saliency(maps, np.ones((4, 4, 1)), axes=axes)
