"""Initializers: their distributions, their fans, and that they are the same everywhere."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.philox import random_uniform

import nnfast as nf
from nnfast import initializers, layers
from nnfast.core.typing import Shape

SCALED = {"glorot": lambda i, o: 2 / (i + o), "he": lambda i, o: 2 / i, "lecun": lambda i, o: 1 / i}


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [((), (1, 1)), ((7,), (7, 7)), ((3, 5), (3, 5)), ((3, 3, 4, 8), (36, 72)), ((5, 4, 8), (20, 40))],
)
def test_fans_of_a_shape(shape: Shape, wanted: tuple[int, int]) -> None:
    assert initializers.fans(shape) == wanted


def counted_fans(layer: layers.Layer, shape: Shape) -> tuple[Shape, tuple[int, int]]:
    """The kernel's shape, and its products counted: by ones through a kernel of ones, and by a single one.

    The middle of a large image sees no edge.
    """
    net = nf.Network([layers.Input(shape), layer], dtype="float64")
    middle = tuple(size // 2 for size in net.output_shape[:-1])
    fan_in = net.predict(np.ones((1, *shape)))[0][middle][0]
    one = np.zeros((1, *shape))
    one[0][tuple(size // 2 for size in shape[:-1])][0] = 1
    return layer.kernel.shape, (round(fan_in), round(net.predict(one).sum()))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda k: layers.Dense(5, kernel_initializer=k), (3,)),
        (lambda k: layers.Conv1D(6, 5, kernel_initializer=k), (20, 4)),
        (lambda k: layers.Conv2D(6, (3, 5), kernel_initializer=k), (16, 16, 4)),
        (lambda k: layers.Conv2D(6, 3, groups=2, kernel_initializer=k), (16, 16, 4)),
        (lambda k: layers.Conv1D(8, 3, groups=4, kernel_initializer=k), (16, 4)),
        (lambda k: layers.DepthwiseConv2D(3, kernel_initializer=k), (16, 16, 4)),
        (lambda k: layers.DepthwiseConv2D((5, 3), depth_multiplier=3, kernel_initializer=k), (16, 16, 4)),
        (lambda k: layers.Conv2DTranspose(6, 3, kernel_initializer=k), (16, 16, 4)),
        (lambda k: layers.Conv1DTranspose(3, 5, kernel_initializer=k), (16, 7)),
    ],
)
def test_fans_count_the_products_of_an_output_and_of_an_input(
    layer: Callable[[str], layers.Layer], shape: Shape
) -> None:
    plain = layer("ones")
    kernel, wanted = counted_fans(plain, shape)
    assert plain.fans("kernel", kernel) == wanted
    assert plain.fans("bias", (7,)) == (7, 7)
    for name, variance in SCALED.items():
        net = nf.Network([layers.Input(shape), layer(f"{name}_uniform")], seed=3, dtype="float64")
        limit = math.sqrt(3 * variance(*wanted))
        values = net.layers[1].kernel
        drawn = -limit + 2 * limit * random_uniform(values.size, 3, 0, "float64")
        np.testing.assert_allclose(values.ravel(), drawn, rtol=0, atol=4e-16 * max(1, limit))


def test_own_initializers_are_called_with_a_shape() -> None:
    class Own(initializers.Initializer):
        def __call__(self, shape: Shape, seed: int, stream: int) -> np.ndarray:
            return np.full(shape, 10.0 * seed + stream)

    net = nf.Network([layers.Input((4, 4, 2)), layers.Conv2DTranspose(3, 2, kernel_initializer=Own())], seed=2)
    assert (net.parameters["conv2dtranspose.kernel"] == 20).all()


@pytest.mark.parametrize("family", SCALED)
@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_variance_follows_the_fans(family: str, kind: str) -> None:
    shape = (300, 200)
    values = initializers.get(f"{family}_{kind}")(shape, 1, 0)
    variance = SCALED[family](*shape)
    n = values.size
    # The sample variance of n values deviates by sqrt((kurtosis - 1) / n) of itself: kurtosis 1.8 and 3.
    spread = math.sqrt((0.8 if kind == "uniform" else 2.0) / n)
    assert abs(values.mean()) < 5 * math.sqrt(variance / n)
    assert abs(values.var() / variance - 1) < 5 * spread
    if kind == "uniform":
        limit = math.sqrt(3 * variance)
        assert -limit <= values.min() < -0.999 * limit
        assert 0.999 * limit < values.max() <= limit


def test_uniform_values_are_those_of_the_stream() -> None:
    net = nf.Network([layers.Input((4,)), layers.Dense(3), layers.Dense(2)], seed=11, dtype="float64")
    for stream, name, limit in ((0, "dense.kernel", math.sqrt(6 / 7)), (2, "dense_1.kernel", math.sqrt(6 / 5))):
        view = net.parameters[name]
        wanted = -limit + 2 * limit * random_uniform(view.size, 11, stream, "float64")
        np.testing.assert_allclose(view.ravel(), wanted, rtol=0, atol=4e-16)


def test_simple_ones() -> None:
    assert (initializers.get("zeros")((2, 2), 0, 0) == 0).all()
    assert (initializers.get("ones")((2, 2), 0, 0) == 1).all()
    assert (initializers.get(0.25)((2, 2), 0, 0) == 0.25).all()
    assert (initializers.get([[1, 2]])((1, 2), 0, 0) == [[1, 2]]).all()
    uniform = initializers.RandomUniform(1.0, 3.0)((1000,), 0, 0)
    assert (uniform >= 1).all()
    assert (uniform < 3).all()
    normal = initializers.RandomNormal(5.0, 0.1)((10000,), 0, 0)
    assert abs(normal.mean() - 5) < 5 * 0.1 / 100


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (3, 3, 2, 5), (1, 3)])
def test_orthogonal(shape: Shape) -> None:
    values = initializers.Orthogonal(2.0)(shape, 3, 1)
    matrix = values.reshape(-1, shape[-1]) / 2
    rows, columns = matrix.shape
    gram = matrix.T @ matrix if rows >= columns else matrix @ matrix.T
    np.testing.assert_allclose(gram, np.eye(min(rows, columns)), atol=64 * np.finfo(float).eps)


@pytest.mark.parametrize("shape", [(300, 300), (400, 120), (120, 400)])
def test_orthogonal_to_rounding_where_it_is_large(shape: Shape) -> None:
    """One projection alone would leave 1e-12 and more: columns that are nearly parallel lose digits."""
    matrix = initializers.Orthogonal()(shape, 5, 2)
    gram = matrix.T @ matrix if shape[0] >= shape[1] else matrix @ matrix.T
    assert abs(gram - np.eye(min(shape))).max() < 1e-13


def test_orthogonal_matrices_are_spread_evenly() -> None:
    """By Haar's measure an element of an n x n matrix has mean 0, variance 1 / n and fourth moment 3 / (n (n + 2))."""
    n, draws = 3, 4000
    values = np.stack([initializers.Orthogonal()((n, n), seed, 0) for seed in range(draws)])
    fourth = 3 / (n * (n + 2))
    # The spread of a mean of `draws` squares, whose variance is fourth - 1 / n^2; fourth powers are at most 1.
    assert abs(values.mean(axis=0)).max() < 5 * math.sqrt(1 / n / draws)
    assert abs((values**2).mean(axis=0) - 1 / n).max() < 5 * math.sqrt((fourth - 1 / n**2) / draws)
    assert abs((values**4).mean(axis=0) - fourth).max() < 5 * math.sqrt(fourth / draws)
    assert (np.linalg.det(values) > 0).mean() == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(draws))


def moments(values: np.ndarray) -> list[float]:
    return [float(np.mean(values**k)) for k in (1, 2, 3, 4)]


def test_uniform_has_the_moments_of_its_bounds() -> None:
    low, high = -0.5, 2.0
    values = initializers.RandomUniform(low, high)((200, 1000), 8, 3)
    assert low <= values.min() < low + 1e-4
    assert high - 1e-4 < values.max() < high
    for k, moment in enumerate(moments(values), 1):
        wanted = (high ** (k + 1) - low ** (k + 1)) / ((k + 1) * (high - low))
        square = (high ** (2 * k + 1) - low ** (2 * k + 1)) / ((2 * k + 1) * (high - low))
        assert abs(moment - wanted) < 5 * math.sqrt((square - wanted**2) / values.size)


@pytest.mark.parametrize(
    ("draw", "mean", "deviation"),
    [
        (initializers.RandomNormal(0.3, 1.5), 0.3, 1.5),
        (initializers.RandomNormal(), 0.0, 0.05),
        (initializers.GlorotNormal(), 0.0, math.sqrt(2 / 1200)),
        (initializers.HeNormal(), 0.0, math.sqrt(2 / 200)),
        (initializers.LeCunNormal(), 0.0, math.sqrt(1 / 200)),
    ],
)
def test_normal_has_the_moments_of_its_deviation(draw: initializers.Initializer, mean: float, deviation: float) -> None:
    values = draw((200, 1000), 8, 3)
    standard = (values - mean) / deviation
    for moment, wanted, square in zip(moments(standard), (0, 1, 0, 3), (1, 3, 15, 105), strict=True):
        assert abs(moment - wanted) < 5 * math.sqrt((square - wanted**2) / values.size)
    # Not truncated: of 200,000 values some 54 are beyond 3.64 deviations.
    assert 20 < (abs(standard) > 3.64).sum() < 90


def test_documented_defaults() -> None:
    assert initializers.Constant().value == 0
    uniform, normal = initializers.RandomUniform(), initializers.RandomNormal()
    assert (uniform.minval, uniform.maxval) == (-0.05, 0.05)
    assert (normal.mean, normal.stddev) == (0, 0.05)
    assert initializers.Orthogonal().gain == 1
    for layer in (layers.Dense(1), layers.Conv2D(1, 1), layers.DepthwiseConv2D(1), layers.Conv1DTranspose(1, 1)):
        assert isinstance(layer.initializer("kernel"), initializers.GlorotUniform)
        assert isinstance(layer.initializer("bias"), initializers.Zeros)


@pytest.mark.parametrize("name", ["zeros", "ones", "glorot_uniform", "he_normal", "random_uniform"])
def test_shapes_of_any_number_of_axes(name: str) -> None:
    for shape in ((), (0,), (3,), (2, 0, 4), (2, 3, 4)):
        assert initializers.get(name)(shape, 0, 0).shape == shape


def test_streams_and_seeds_differ() -> None:
    draw = initializers.get("glorot_uniform")
    first = draw((4, 4), 0, 0)
    assert np.array_equal(first, draw((4, 4), 0, 0))
    assert not np.array_equal(first, draw((4, 4), 0, 1))
    assert not np.array_equal(first, draw((4, 4), 1, 0))


def test_a_given_array_is_copied() -> None:
    kernel = np.ones((2, 1))
    layer = layers.Dense(1, kernel_initializer=kernel)
    kernel[...] = 5
    assert (nf.Network([layers.Input((2,)), layer]).parameters["dense.kernel"] == 1).all()


def test_a_given_array_is_not_part_of_a_file(tmp_path: Path) -> None:
    """The parameters are, whatever they have become."""
    layer = layers.Dense(1, kernel_initializer=np.ones((2, 1)))
    assert repr(layer) == "Dense(1, kernel_initializer=Given(<array of shape (2, 1)>))"
    net = nf.Network([layers.Input((2,)), layer], seed=0)
    net.parameters["dense.kernel"] = [[3.0], [5.0]]
    net.save(tmp_path / "net")
    loaded = nf.Network.load(tmp_path / "net")
    assert loaded.predict([[1.0, 10.0]]).tolist() == [[53.0]]
    assert repr(loaded.layers[1]) == "Dense(1, kernel_initializer=Zeros(), name='dense')"


@pytest.mark.parametrize("shape", [(2**24, 2**24), (2**48,), (10**9, 10**9, 10**9)])
def test_shapes_beyond_memory_are_refused(shape: Shape) -> None:
    for name in ("glorot_uniform", "he_normal", "orthogonal"):
        with pytest.raises(ValueError, match=r"initializer: expected a shape of fewer than 2\^48 elements, got \("):
            initializers.get(name)((1, *shape), 0, 0)


def test_first_values_of_another_shape_are_refused() -> None:
    class Own(initializers.Initializer):
        def __call__(self, shape: Shape, seed: int, stream: int) -> np.ndarray:
            return np.ones(shape[:-1])

    with pytest.raises(ValueError, match=r"dense\.kernel: expected initial values of shape \(2, 1\), got \(2,\)"):
        nf.Network([layers.Input((2,)), layers.Dense(1, kernel_initializer=Own())])
    with pytest.raises(KeyError, match="kernel"):
        layers.ReLU().initializer("kernel")


@pytest.mark.parametrize("initializer", [1e39, "own"])
def test_first_values_beyond_the_dtype_are_refused(initializer: Any) -> None:
    class Own(initializers.Initializer):
        def __call__(self, shape: Shape, seed: int, stream: int) -> np.ndarray:
            return np.full(shape, np.nan)

    chosen = Own() if initializer == "own" else initializer
    with pytest.raises(ValueError, match=r"dense\.kernel: expected finite numbers, got NaN or infinity \(or too large"):
        nf.Network([layers.Input((2,)), layers.Dense(1, kernel_initializer=chosen)])
    if initializer != "own":
        net = nf.Network([layers.Input((2,)), layers.Dense(1, kernel_initializer=chosen)], dtype="float64")
        assert (net.parameters["dense.kernel"] == 1e39).all()


def test_wrong_ones() -> None:
    with pytest.raises(ValueError, match="'glorot_unifrom'; did you mean 'glorot_uniform'"):
        layers.Dense(1, kernel_initializer="glorot_unifrom")
    with pytest.raises(ValueError, match=r"shape \(2, 1\), got \(3, 1\)"):
        nf.Network([layers.Input((2,)), layers.Dense(1, kernel_initializer=np.ones((3, 1)))])
    with pytest.raises(ValueError, match="two or more axes"):
        nf.Network([layers.Input((2,)), layers.Dense(1, bias_initializer="orthogonal")])
    with pytest.raises(ValueError, match="finite"):
        layers.Dense(1, kernel_initializer=[[np.nan]])
    with pytest.raises(TypeError, match="initializer"):
        layers.Dense(1, kernel_initializer=None)
