"""Elementary functions: largest error in units in the last place against a longer type, and their limits."""

import numpy as np
import pytest
from kernel_cases import DTYPES, Array, units_in_last_place
from reference.math_functions import FUNCTIONS

from nnfast import kernels

# Largest errors allowed, in units in the last place; the functions' own notes give what was measured.
LARGEST_ERROR = {"exp": 1.5, "expm1": 2.0, "log": 1.5, "log1p": 2.0, "tanh": 2.5, "sigmoid": 2.5, "erf": 2.5}

HAS_LONG_DOUBLE = np.finfo(np.longdouble).nmant >= 63

dtypes = pytest.mark.parametrize("dtype", DTYPES)
functions = pytest.mark.parametrize("name", LARGEST_ERROR)


def _arguments(name: str, dtype: str, rng: np.random.Generator) -> Array:
    """Return arguments of every magnitude whose results are normal numbers."""
    info = np.finfo(dtype)
    highest, lowest = float(np.log(info.max)), float(np.log(info.tiny))
    spread = np.exp(rng.uniform(lowest, highest, 20_000))
    line = rng.uniform(-12, 12, 20_000)
    if name == "log":
        x = np.concatenate([spread, rng.uniform(0.4, 2.5, 20_000)])
    elif name == "log1p":
        x = np.concatenate([spread, -spread[spread < 0.999], rng.uniform(-0.99, 3, 20_000)])
    elif name in ("exp", "sigmoid", "expm1"):
        small = spread[spread < 1]
        x = np.concatenate([line, rng.uniform(lowest, highest, 20_000) * 0.99, small, -small])
    else:
        x = np.concatenate([line, spread, -spread])
    return x.astype(dtype)


@dtypes
@functions
def test_error_in_units_in_the_last_place(name: str, dtype: str, rng: np.random.Generator) -> None:
    if dtype == "float64" and not HAS_LONG_DOUBLE:
        pytest.skip("long double is no longer than float64 here, so it cannot judge")
    x = _arguments(name, dtype, rng)
    with np.errstate(over="ignore", under="ignore"):
        truth = FUNCTIONS[name](x.astype(np.longdouble))
    error = units_in_last_place(getattr(kernels, name)(x), truth)
    worst = int(error.argmax())
    assert error[worst] <= LARGEST_ERROR[name], f"{name}({x[worst]!r}) is {error[worst]:.2f} units off"


@dtypes
@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("exp", [-np.inf, -1e4, 0.0, 1e4, np.inf, np.nan], [0, 0, 1, np.inf, np.inf, np.nan]),
        ("expm1", [-np.inf, -1e4, 0.0, 1e4, np.inf, np.nan], [-1, -1, 0, np.inf, np.inf, np.nan]),
        ("log", [-1.0, 0.0, -0.0, 1.0, np.inf, np.nan], [np.nan, -np.inf, -np.inf, 0, np.inf, np.nan]),
        ("log1p", [-2.0, -1.0, 0.0, np.inf, np.nan, -np.inf], [np.nan, -np.inf, 0, np.inf, np.nan, np.nan]),
        ("tanh", [-np.inf, -1e4, 0.0, 1e4, np.inf, np.nan], [-1, -1, 0, 1, 1, np.nan]),
        ("sigmoid", [-np.inf, -1e4, 0.0, 1e4, np.inf, np.nan], [0, 0, 0.5, 1, 1, np.nan]),
        ("erf", [-np.inf, -1e4, 0.0, 1e4, np.inf, np.nan], [-1, -1, 0, 1, 1, np.nan]),
    ],
)
def test_limits(name: str, x: list[float], expected: list[float], dtype: str) -> None:
    np.testing.assert_array_equal(getattr(kernels, name)(np.array(x, dtype)), np.array(expected, dtype))


@dtypes
def test_odd_functions_keep_the_sign_of_zero(dtype: str) -> None:
    x = np.array([-0.0, 0.0], dtype)
    for name in ("expm1", "log1p", "tanh", "erf"):
        np.testing.assert_array_equal(np.signbit(getattr(kernels, name)(x)), [True, False])


@dtypes
def test_log_of_subnormal_numbers(dtype: str) -> None:
    info = np.finfo(dtype)
    x = np.array([info.smallest_subnormal, info.tiny / 2, info.tiny], dtype)
    truth = np.log(x.astype(np.longdouble))
    assert units_in_last_place(kernels.log(x), truth).max() <= LARGEST_ERROR["log"]


@dtypes
def test_an_element_does_not_depend_on_its_place(dtype: str, rng: np.random.Generator) -> None:
    x = rng.uniform(0.1, 5, 103).astype(dtype)
    for name in LARGEST_ERROR:
        function = getattr(kernels, name)
        whole = function(x)
        for i in (0, 1, 50, 102):
            np.testing.assert_array_equal(function(x[i:]), whole[i:])
            np.testing.assert_array_equal(function(x[i : i + 1]), whole[i : i + 1])
