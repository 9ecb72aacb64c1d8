"""Activations and softmax at their edges: kinks, extremes, NaN, in place, names."""

import numpy as np
import pytest
from kernel_cases import DTYPES, activation_gradient_tolerance, activation_tolerance, assert_close, eps
from kernel_table import ACTIVATIONS, ALPHA
from reference.activations import activation_backward, activation_forward

from nnfast import _core, kernels

dtypes = pytest.mark.parametrize("dtype", DTYPES)
activations = pytest.mark.parametrize("name", ACTIVATIONS)


def test_reference_knows_every_activation() -> None:
    assert set(_core.activation_names()) == {*ACTIVATIONS, "softmax", "log_softmax"}


@dtypes
@activations
def test_far_from_zero_and_near_it(name: str, dtype: str) -> None:
    magnitudes = np.concatenate([np.logspace(-20, 20, 81), np.linspace(0.1, 110, 200)])
    x = np.concatenate([-magnitudes, [0.0], magnitudes]).astype(dtype)
    alpha = ALPHA.get(name, 0.0)
    with np.errstate(over="ignore"):
        y = activation_forward(name, x, alpha)
        got = kernels.activation_forward(name, x, alpha)
        assert_close(got, y, activation_tolerance(name, x, y, dtype), name)
        dy = np.ones_like(x)
        dx = activation_backward(name, dy, x, alpha)
        # Where y is tiny or 1, the derivative from y keeps an absolute accuracy only; x itself bounds nothing there.
        tolerance = activation_gradient_tolerance(name, dy, np.minimum(np.abs(x), 20), dtype)
        assert_close(kernels.activation_backward(name, dy, x, got, alpha), dx, tolerance, name)


@dtypes
@activations
def test_limits(name: str, dtype: str) -> None:
    limits = {
        "identity": (-np.inf, np.inf),
        "heaviside": (0, 1),
        "sigmoid": (0, 1),
        "tanh": (-1, 1),
        "relu": (0, np.inf),
        "leaky_relu": (-np.inf, np.inf),
        "elu": (-ALPHA["elu"], np.inf),
        "selu": (-1.0507009873554805 * 1.6732632423543772, np.inf),
        "softplus": (0, np.inf),
        "hard_sigmoid": (0, 1),
        "gelu": (0, np.inf),
        "gelu_tanh": (0, np.inf),
        "silu": (0, np.inf),
        "softsign": (-1, 1),
    }
    slopes = {
        **dict.fromkeys(("heaviside", "sigmoid", "tanh", "softsign", "hard_sigmoid"), (0, 0)),
        **dict.fromkeys(("relu", "elu", "gelu", "gelu_tanh", "silu", "softplus"), (0, 1)),
        "identity": (1, 1),
        "leaky_relu": (ALPHA["leaky_relu"], 1),
        "selu": (0, 1.0507009873554805),
    }
    alpha = ALPHA.get(name, 0.0)
    for size in (np.inf, np.finfo(dtype).max):
        x = np.array([-size, size], dtype)
        y = kernels.activation_forward(name, x, alpha)
        if size == np.inf:
            assert_close(y, np.array(limits[name], np.float64), 4 * eps(dtype) * 2)
        dx = kernels.activation_backward(name, np.ones_like(x), x, y, alpha)
        assert_close(dx, np.array(slopes[name], np.float64), 4 * eps(dtype))


@dtypes
@activations
def test_nan_passes_through(name: str, dtype: str) -> None:
    x = np.linspace(-2, 2, 37).astype(dtype)
    x[[0, 17, 36]] = np.nan
    got = kernels.activation_forward(name, x)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(x))


@dtypes
@activations
def test_in_place(name: str, dtype: str, rng: np.random.Generator) -> None:
    x, dy = rng.standard_normal((2, 77)).astype(dtype)
    y = kernels.activation_forward(name, x)
    inplace = x.copy()
    assert kernels.activation_forward(name, inplace, out=inplace) is inplace
    np.testing.assert_array_equal(inplace, y)
    dx = kernels.activation_backward(name, dy, x, y)
    kernels.activation_backward(name, dy, x, y, out=dy)
    np.testing.assert_array_equal(dy, dx)


@dtypes
def test_kinks(dtype: str) -> None:
    one, zero = np.ones(1, dtype), np.zeros(1, dtype)
    for name, slope in (("relu", 0.0), ("leaky_relu", np.array(0.01, dtype)), ("elu", 1.0)):
        y = kernels.activation_forward(name, zero)
        assert y[0] == 0
        assert kernels.activation_backward(name, one, zero, y)[0] == slope
    edge = np.array([0.25], dtype)
    assert kernels.activation_forward("heaviside", edge, 0.25)[0] == 1
    assert kernels.activation_forward("heaviside", np.nextafter(edge, -one), 0.25)[0] == 0


def test_default_alpha() -> None:
    x = np.array([-1.0, 0.0, 1.0])
    np.testing.assert_array_equal(kernels.activation_forward("leaky_relu", x), [-0.01, 0, 1])
    np.testing.assert_array_equal(kernels.activation_forward("heaviside", x), [0, 1, 1])
    assert_close(kernels.activation_forward("elu", x), [np.expm1(-1), 0, 1], 2 * eps("float64"))


@dtypes
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (2, 3, 5)])
def test_any_number_of_axes(shape: tuple[int, ...], dtype: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal(shape).astype(dtype)[...]
    np.testing.assert_array_equal(kernels.activation_forward("relu", np.asarray(x, dtype)), np.maximum(x, 0))


@dtypes
def test_softmax_of_extreme_logits(dtype: str) -> None:
    big = np.finfo(dtype).max
    x = np.array([[big, 0, -big], [-big, -big, -big], [0, -np.inf, 0], [1000, 1000, 999]], dtype)
    e = 1 / (2 + np.exp(-1))
    expected = [[1, 0, 0], [1 / 3] * 3, [0.5, 0, 0.5], [e, e, np.exp(-1) * e]]
    assert_close(kernels.softmax_forward(x), expected, 8 * eps(dtype))
    log = kernels.log_softmax_forward(x)
    assert_close(
        log[2:],
        np.log(np.maximum(expected[2:], 0), where=np.array(expected[2:]) > 0, out=np.full((2, 3), -np.inf)),
        8 * eps(dtype),
    )


@dtypes
def test_log_softmax_rows_stand_alone_and_in_place(dtype: str, rng: np.random.Generator) -> None:
    x = (10 * rng.standard_normal((37, 9))).astype(dtype)  # more rows than one logarithm serves, and a rest
    y = kernels.log_softmax_forward(x)
    for i in range(37):
        np.testing.assert_array_equal(kernels.log_softmax_forward(x[i]), y[i])
    kernels.log_softmax_forward(x, out=x)
    np.testing.assert_array_equal(x, y)


@dtypes
def test_softmax_rows_sum_to_one_and_stand_alone(dtype: str, rng: np.random.Generator) -> None:
    x = (10 * rng.standard_normal((9, 37))).astype(dtype)
    y = kernels.softmax_forward(x)
    assert_close(y.astype(np.float64).sum(axis=1), np.ones(9), 37 * eps(dtype))
    dy = rng.standard_normal((9, 37)).astype(dtype)
    dx = kernels.softmax_backward(dy, y)
    for i in range(9):
        np.testing.assert_array_equal(kernels.softmax_forward(x[i]), y[i])
        np.testing.assert_array_equal(kernels.softmax_backward(dy[i], y[i]), dx[i])


def test_activation_forward_offers_softmax() -> None:
    x = np.array([[1.0, 2.0, 4.0]])
    np.testing.assert_array_equal(kernels.activation_forward("softmax", x), kernels.softmax_forward(x))
    np.testing.assert_array_equal(kernels.activation_forward("log_softmax", x), kernels.log_softmax_forward(x))


def test_unknown_names_get_the_nearest() -> None:
    x = np.zeros(3)
    square, image = np.zeros((3, 3)), np.zeros((1, 3, 3, 1))
    with pytest.raises(ValueError, match=r"unknown activation 'sigmod'; did you mean 'sigmoid'\?"):
        kernels.activation_forward("sigmod", x)
    with pytest.raises(ValueError, match=r"did you mean 'gelu'\?"):
        kernels.activation_backward("geluu", x, x, x)
    with pytest.raises(ValueError, match=r"did you mean 'tanh'\?"):
        kernels.matmul(square, square, activation="tanhh")
    with pytest.raises(ValueError, match=r"did you mean 'relu'\?"):
        kernels.conv2d_forward(image, image, activation="rel")
    with pytest.raises(TypeError, match=r"activation: expected a name, got \['relu'\]"):
        kernels.activation_forward(["relu"], x)
